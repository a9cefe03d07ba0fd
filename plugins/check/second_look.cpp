// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/second_look.hpp"

#include <algorithm>

namespace rideau::check {

using namespace fs;

namespace {

constexpr int kDirectoryTries = 3;

std::string text_of(const Key& key) { return std::string(Bytes(key).view()); }

// False when there is no such record, or none that can be read.
template <class Record>
bool read(const std::string& key, const std::optional<std::string>& value, Record* to) {
  return value && decode(Bytes(std::string_view(key)), Bytes(std::string_view(*value)), to).ok();
}
bool read(InodeId inode, const std::optional<std::string>& value, InodeRecord* to) {
  return read(text_of(inode_key(inode)), value, to);
}

}  // namespace

Task<Status> SecondLook::judge(std::vector<Finding>& findings) {
  // What was done before anything was found is in what is read now.
  Status status = co_await meta_.begin();
  if (!status.ok()) co_return status;
  std::vector<Finding*> orphans;
  for (Finding& finding : findings) {
    const std::vector<std::string> keys = keys_of(finding);
    auto values = co_await meta_.get(keys);
    if (!values.ok()) co_return values.status();
    Verdict verdict = judge_values(finding, *values);
    if (verdict == Verdict::unsettled && counts_directory(finding)) {
      const auto counted = co_await count_directory(finding);
      if (!counted.ok()) co_return counted.status();
      verdict = *counted;
    }
    if (verdict == Verdict::unsettled) ++unsettled_;
    if (verdict != Verdict::real) continue;
    if (finding.kind == Kind::orphan_object) {
      orphans.push_back(&finding);
    } else {
      real_.push_back(std::move(finding));
    }
  }
  for (ObjectSource* source : objects_) {
    status = co_await keep_objects_still_there(*source, orphans);
    if (!status.ok()) co_return status;
  }
  co_return kOk;
}

// What the judgement needs: all of one moment.
std::vector<std::string> SecondLook::keys_of(const Finding& finding) {
  const std::string inode = text_of(inode_key(finding.inode));
  switch (finding.kind) {
    case Kind::damaged_superblock:
    case Kind::unknown_target:
      return {};
    case Kind::damaged_inode:
    case Kind::damaged_record:
    case Kind::unknown_record:
    case Kind::misplaced_entry:
      return {finding.key};
    case Kind::damaged_counters:
    case Kind::wrong_counters:
      return {text_of(counters_key())};
    case Kind::unsafe_numbers:
      return {text_of(superblock_key())};
    case Kind::missing_root:
    case Kind::wrong_first_name:
    case Kind::missing_back_link:
    case Kind::wrong_link_count:
    case Kind::wrong_entry_count:
    case Kind::wrong_attribute_count:
    case Kind::wrong_access_list:
    case Kind::no_name:
    case Kind::forgotten:
      return {inode};
    case Kind::stray_entry:
    case Kind::repeated_entry:
      return {finding.key, text_of(inode_key(finding.directory))};
    case Kind::dangling_entry:
    case Kind::wrong_entry_type:
    case Kind::second_name:
    case Kind::stray_back_link:
    case Kind::stray_open_mark:
    case Kind::stray_attribute:
    case Kind::destroy_of_living:
      return {finding.key, inode};
    case Kind::stray_inline_bytes:
    case Kind::wrong_inline_size:
      return {text_of(inline_key(finding.inode)), inode};
    case Kind::loop: {
      std::vector<std::string> keys;
      for (const InodeId one : finding.loop) keys.push_back(text_of(inode_key(one)));
      return keys;
    }
    case Kind::orphan_object:
      return {text_of(superblock_key()), text_of(counters_key()), text_of(inode_key(owner_of(finding.object))),
              text_of(destroy_key(owner_of(finding.object), generation_of(finding.object)))};
  }
  return {};
}

SecondLook::Verdict SecondLook::judge_values(const Finding& finding, const MetaSource::Values& values) const {
  switch (finding.kind) {
    case Kind::damaged_superblock:
    case Kind::unknown_target:
      return Verdict::real;
    case Kind::damaged_inode:
    case Kind::damaged_record:
    case Kind::unknown_record:
    case Kind::misplaced_entry:
      return values[0] ? Verdict::real : Verdict::gone;
    case Kind::missing_root:
      return values[0] ? Verdict::gone : Verdict::real;
    case Kind::wrong_first_name:
    case Kind::missing_back_link:
    case Kind::wrong_link_count:
    case Kind::wrong_entry_count:
    case Kind::wrong_attribute_count:
    case Kind::wrong_access_list:
    case Kind::no_name:
    case Kind::forgotten:
      return if_unchanged(finding.inode, values[0]);
    case Kind::repeated_entry:
      return if_unchanged(finding.directory, values[1]);
    case Kind::loop:
      return judge_loop(finding, values);
    case Kind::stray_entry:
    case Kind::dangling_entry:
    case Kind::wrong_entry_type:
    case Kind::second_name:
      return judge_entry(finding, values);
    case Kind::stray_back_link:
    case Kind::stray_open_mark:
    case Kind::stray_attribute:
      return judge_of_inode(finding, values);
    case Kind::stray_inline_bytes:
    case Kind::wrong_inline_size:
      return judge_inline(finding, values);
    case Kind::damaged_counters:
    case Kind::wrong_counters:
    case Kind::unsafe_numbers:
      return judge_counters(finding, values);
    case Kind::destroy_of_living:
      return judge_destroy(finding, values);
    case Kind::orphan_object:
      return judge_object(finding, values);
  }
  return Verdict::real;
}

// What was read of it was all of one state, for there was no other.
SecondLook::Verdict SecondLook::if_unchanged(InodeId inode, const std::optional<std::string>& value) const {
  InodeRecord record;
  if (!read(inode, value, &record)) return Verdict::gone;
  return record.inode.change <= as_of_ ? Verdict::real : Verdict::unsettled;
}

SecondLook::Verdict SecondLook::judge_loop(const Finding& finding, const MetaSource::Values& values) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Verdict one = if_unchanged(finding.loop[i], values[i]);
    if (one != Verdict::real) return one;
  }
  return Verdict::real;
}

// Numbers of inodes do not come again: what names one that is not there does so for good.
SecondLook::Verdict SecondLook::judge_entry(const Finding& finding, const MetaSource::Values& values) const {
  EntryRecord entry;
  InodeRecord record;
  if (!read(finding.key, values[0], &entry)) return Verdict::gone;
  bool real = false;
  switch (finding.kind) {
    case Kind::stray_entry:
      real = !read(finding.directory, values[1], &record) || !record.inode.is_directory();
      break;
    case Kind::dangling_entry:
      real = entry.inode == finding.inode && !read(finding.inode, values[1], &record);
      break;
    case Kind::wrong_entry_type:
      real = entry.inode == finding.inode && read(finding.inode, values[1], &record) &&
             entry.type != (record.inode.mode & S_IFMT);
      break;
    default:  // second_name; the root has none at all
      return finding.inode == kRootInode ? Verdict::real : if_unchanged(finding.inode, values[1]);
  }
  return real ? Verdict::real : Verdict::gone;
}

// A record that belongs to an inode.
SecondLook::Verdict SecondLook::judge_of_inode(const Finding& finding, const MetaSource::Values& values) const {
  if (!values[0]) return Verdict::gone;
  if (!values[1]) return Verdict::real;
  return finding.kind == Kind::stray_attribute ? Verdict::gone : if_unchanged(finding.inode, values[1]);
}

// Both change in one batch, and were read at one moment.
SecondLook::Verdict SecondLook::judge_inline(const Finding& finding, const MetaSource::Values& values) const {
  InodeRecord record;
  const bool is_inline = read(finding.inode, values[1], &record) && record.inode.is_inline();
  if (finding.kind == Kind::stray_inline_bytes) return values[0] && !is_inline ? Verdict::real : Verdict::gone;
  Bytes bytes;
  const Key key = inline_key(finding.inode);
  if (values[0] && !decode_inline(key, Bytes(std::string_view(*values[0])), &bytes).ok()) return Verdict::gone;
  return is_inline && bytes.size != record.inode.size ? Verdict::real : Verdict::gone;
}

SecondLook::Verdict SecondLook::judge_counters(const Finding& finding, const MetaSource::Values& values) const {
  Superblock block;
  Counters counters;
  bool real = false;
  if (finding.kind == Kind::unsafe_numbers) {
    real = !read(text_of(superblock_key()), values[0], &block) || names_.counter_max >= block.counter_reserved;
  } else if (finding.kind == Kind::damaged_counters) {
    real = !read(text_of(counters_key()), values[0], &counters);
  } else {
    // They are of all records at once: only where nothing at all has changed they can be compared.
    real = meta_.transaction() == as_of_;
  }
  return real ? Verdict::real : Verdict::gone;
}

SecondLook::Verdict SecondLook::judge_destroy(const Finding& finding, const MetaSource::Values& values) const {
  InodeId inode = kNoInode;
  std::uint32_t generation = 0;
  InodeRecord record;
  const bool real = values[0] && parse_destroy_key(Bytes(std::string_view(finding.key)), &inode, &generation) &&
                    read(inode, values[1], &record) && record.inode.layout.generation == generation;
  return real ? Verdict::real : Verdict::gone;
}

// It was listed before the records of this moment were durable, so the create of its file is among them.
SecondLook::Verdict SecondLook::judge_object(const Finding& finding, const MetaSource::Values& values) const {
  Namespace now;
  const std::vector<std::string> keys = keys_of(finding);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (values[i]) now.take(keys[i], *values[i]);
  }
  return now.owns(finding.target, finding.object) ? Verdict::gone : Verdict::real;
}

bool SecondLook::counts_directory(const Finding& finding) const {
  if (finding.kind != Kind::wrong_entry_count && finding.kind != Kind::wrong_link_count) return false;
  const InodeInfo* info = names_.find(finding.inode);
  return info != nullptr && info->is_directory();
}

// A directory that changes all the time may hold still for as long as it takes to count its entries alone.
Task<Result<SecondLook::Verdict>> SecondLook::count_directory(const Finding& finding) {
  const std::string prefix = text_of(Key(KeyKind::entry).u64(finding.inode));
  const std::vector<std::string> inode(1, text_of(inode_key(finding.inode)));
  for (int attempt = 0; attempt < kDirectoryTries; ++attempt) {
    std::uint64_t since = 0;
    std::uint64_t entries = 0;
    std::uint32_t subdirectories = 0;
    std::string after = prefix;
    for (bool end = false; !end;) {
      auto page = co_await meta_.next(after);
      if (!page.ok()) co_return page.status();
      if (after == prefix) since = meta_.transaction();
      end = page->empty();
      for (const auto& [key, value] : *page) {
        end = !has_prefix(Bytes(std::string_view(key)), Bytes(std::string_view(prefix)));
        if (end) break;
        EntryRecord entry;
        if (!decode(Bytes(std::string_view(key)), Bytes(std::string_view(value)), &entry).ok()) continue;
        ++entries;
        if (entry.type == S_IFDIR) ++subdirectories;
      }
      if (!end) after = page->back().first;
    }
    const auto values = co_await meta_.get(inode);
    if (!values.ok()) co_return values.status();
    InodeRecord record;
    if (!read(finding.inode, values->front(), &record)) co_return Verdict::gone;
    if (record.inode.change > since) continue;
    const bool right = finding.kind == Kind::wrong_entry_count ? record.inode.size == entries
                                                               : record.inode.link_count == 2 + subdirectories;
    co_return right ? Verdict::gone : Verdict::real;
  }
  co_return Verdict::unsettled;
}

// Nobody owns them; what was on its way to be destroyed when it was listed is gone by now.
Task<Status> SecondLook::keep_objects_still_there(ObjectSource& source, const std::vector<Finding*>& orphans) {
  std::vector<Finding*> here;
  for (Finding* orphan : orphans) {
    if (orphan->target == source.target()) here.push_back(orphan);
  }
  const auto by_object = [](const Finding* one, const Finding* other) { return one->object < other->object; };
  std::sort(here.begin(), here.end(), by_object);
  std::vector<ObjectId> listed;
  for (Finding* orphan : here) {
    // The listing goes on from one suspect to the next.
    while (listed.empty() || listed.back() < orphan->object) {
      std::optional<ObjectId> after;
      if (orphan->object.low != 0) {
        after = ObjectId{orphan->object.high, orphan->object.low - 1};
      } else if (orphan->object.high != 0) {
        after = ObjectId{orphan->object.high - 1, ~0ull};
      }
      auto found = co_await source.next(after);
      if (!found.ok()) co_return found.status();
      listed = std::move(*found);
      if (listed.empty()) co_return kOk;
    }
    if (std::binary_search(listed.begin(), listed.end(), orphan->object)) real_.push_back(std::move(*orphan));
  }
  co_return kOk;
}

}  // namespace rideau::check
