// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/repair.hpp"

#include <algorithm>

namespace rideau::check {

using namespace fs;

namespace {

constexpr const char* kLostAndFound = "lost+found";
constexpr std::size_t kEditsPerChange = 1000;
constexpr std::uint64_t kTransactionsSkipped = 1'000'000;  // when nobody knows how many there were

std::string text_of(const Key& key) { return std::string(Bytes(key).view()); }

template <class Record>
Status decode_text(const std::string& key, const std::string& value, Record* to) {
  return decode(Bytes(std::string_view(key)), Bytes(std::string_view(value)), to);
}

}  // namespace

template <class Record>
void Repair::put(const Key& key, const Record& record) {
  RecordBuffer buffer;
  encode(record, key, buffer);
  edits_[text_of(key)] = std::string(buffer.begin(), buffer.end());
}

Task<Result<std::optional<std::string>>> Repair::get(const std::string& key) {
  const auto edited = edits_.find(key);
  if (edited != edits_.end()) co_return edited->second;
  const std::vector<std::string> keys(1, key);
  auto values = co_await meta_.get(keys);
  if (!values.ok()) co_return values.status();
  co_return std::move(values->front());
}

Task<Result<InodeRecord*>> Repair::record(InodeId inode) {
  const auto known = records_.find(inode);
  if (known != records_.end()) co_return &known->second;
  const std::string key = text_of(inode_key(inode));
  auto value = co_await get(key);
  if (!value.ok()) co_return value.status();
  InodeRecord loaded;
  if (!value->has_value()) co_return Status{Code::not_found, 0, "read an inode"};
  const Status status = decode_text(key, **value, &loaded);
  if (!status.ok()) co_return status;
  co_return &records_.emplace(inode, std::move(loaded)).first->second;
}

Task<Result<Cookie>> Repair::free_place(InodeId directory, const std::string& name, InodeId* taken) {
  *taken = kNoInode;
  const Cookie first = first_cookie(name, names_.superblock.hash_seed);
  Cookie free = 0;
  for (Cookie at = first;; ++at) {
    const std::string key = text_of(entry_key(directory, at));
    auto value = co_await get(key);
    if (!value.ok()) co_return value.status();
    EntryRecord entry;
    if (!value->has_value()) {
      if (free == 0) free = at;
    } else if (decode_text(key, **value, &entry).ok() && entry.name == name) {
      *taken = entry.inode;
      co_return at;
    }
    if (at == last_cookie(first)) break;
  }
  if (free == 0) co_return Status{Code::no_space, 0, "no place for a name with this hash"};
  co_return free;
}

void Repair::put_superblock() { put(superblock_key(), names_.superblock); }

void Repair::make_root() {
  InodeRecord root;
  root.inode.id = kRootInode;
  root.inode.mode = S_IFDIR | 0755;
  root.inode.link_count = 2;
  root.inode.atime_ns = root.inode.mtime_ns = root.inode.ctime_ns = root.inode.birth_ns = now_ns_;
  root.link_parent = root.inode.parent = kRootInode;
  records_[kRootInode] = root;
}

void Repair::count_anew() {
  Counters counters = names_.counters;
  if (!names_.counters_read) {
    counters = Counters{};
    counters.transaction = names_.change_max + kTransactionsSkipped;
    counters.next_counter = names_.superblock.counter_reserved;
  }
  counters.transaction = std::max(counters.transaction, names_.change_max);
  counters.inodes = names_.inode_count;
  counters.entries = names_.entry_count;
  put(counters_key(), counters);
}

// The directory /lost+found, made when there is none.
Task<Status> Repair::find_lost_and_found() {
  if (lost_and_found_ != kNoInode) co_return kOk;
  InodeId there = kNoInode;
  const std::string name = kLostAndFound;
  auto place = co_await free_place(kRootInode, name, &there);
  if (!place.ok()) co_return place.status();
  if (there != kNoInode) {
    const InodeInfo* info = names_.find(there);
    if (info == nullptr || !info->is_directory()) {
      co_return Status{Code::exists, 0, "/lost+found is no directory: rename it and mend again"};
    }
    lost_and_found_ = there;
    co_return kOk;
  }
  InodeRecord made;
  made.inode.id = make_inode_id(names_.superblock.inode_sequence, names_.superblock.counter_reserved++);
  made.inode.mode = S_IFDIR | 0700;
  made.inode.link_count = 2;
  made.inode.atime_ns = made.inode.mtime_ns = made.inode.ctime_ns = made.inode.birth_ns = now_ns_;
  made.link_parent = made.inode.parent = kRootInode;
  made.link_cookie = *place;
  put_superblock();
  put(entry_key(kRootInode, *place), EntryRecord{made.inode.id, S_IFDIR, name});
  lost_and_found_ = made.inode.id;
  records_[made.inode.id] = made;
  co_return kOk;
}

// Its only name is in /lost+found from now on: "#" and its number.
Task<Status> Repair::attach(InodeId inode) {
  if (names_.find(kRootInode) == nullptr) co_return kOk;  // the next reading has a root
  const Status found = co_await find_lost_and_found();
  if (!found.ok()) co_return found;
  auto of_inode = co_await record(inode);
  if (!of_inode.ok()) co_return of_inode.status();
  InodeRecord& changed = **of_inode;
  InodeId taken = kNoInode;
  const std::string name = "#" + std::to_string(inode);
  auto place = co_await free_place(lost_and_found_, name, &taken);
  if (!place.ok()) co_return place.status();
  if (taken != kNoInode) co_return Status{Code::exists, 0, "/lost+found has a file of that name: rename it"};
  put(entry_key(lost_and_found_, *place), EntryRecord{inode, changed.inode.mode & S_IFMT, name});
  changed.link_parent = lost_and_found_;
  changed.link_cookie = *place;
  if (changed.inode.is_directory()) {
    changed.inode.parent = lost_and_found_;
  } else {
    changed.inode.link_count = 1;
  }
  co_return kOk;
}

Task<Status> Repair::retype(const Finding& finding) {
  auto value = co_await get(finding.key);
  if (!value.ok()) co_return value.status();
  const InodeInfo* info = names_.find(finding.inode);
  if (!value->has_value() || info == nullptr) co_return kOk;
  EntryRecord entry;
  const std::string bytes = **value;  // the name lies in it
  const Status status = decode_text(finding.key, bytes, &entry);
  if (!status.ok()) co_return status;
  entry.type = info->mode & S_IFMT;
  put(entry_key(finding.directory, finding.cookie), entry);
  co_return kOk;
}

Task<Status> Repair::move(const Finding& finding) {
  auto value = co_await get(finding.key);
  if (!value.ok()) co_return value.status();
  if (!value->has_value()) co_return kOk;
  EntryRecord entry;
  const std::string bytes = **value;
  const Status status = decode_text(finding.key, bytes, &entry);
  if (!status.ok()) co_return status;
  edits_[finding.key] = std::nullopt;
  const std::string name(entry.name);
  InodeId taken = kNoInode;
  auto place = co_await free_place(finding.directory, name, &taken);
  if (!place.ok()) co_return place.status();
  // Where the name is there already, this one is too much; its inode is seen to at the next reading.
  if (taken == kNoInode) put(entry_key(finding.directory, *place), entry);
  co_return kOk;
}

Task<Status> Repair::mend_inode(const Finding& finding, const InodeInfo& info) {
  auto of_inode = co_await record(info.id);
  if (!of_inode.ok()) co_return of_inode.status();
  InodeRecord& changed = **of_inode;
  switch (finding.kind) {
    case Kind::wrong_link_count:
      changed.inode.link_count = info.is_directory() ? 2 + info.subdirectories : info.names;
      break;
    case Kind::wrong_entry_count:
      changed.inode.size = info.entries;
      break;
    case Kind::wrong_attribute_count:
      changed.xattr_count = info.xattrs;
      break;
    case Kind::wrong_inline_size:
      changed.inode.size = info.inline_bytes;
      break;
    case Kind::wrong_access_list: {
      // The group's bits of the mode were those of everybody in the list: without it they are nobody's.
      const bool lost = (info.lists_said & ~info.lists & kAccessList) != 0;
      if (lost) changed.inode.mode &= ~static_cast<std::uint32_t>(S_IRWXG);
      changed.inode.flags = (changed.inode.flags & ~kLists) | info.lists;
      break;
    }
    case Kind::wrong_first_name:
      // A file without a first name has back links of all its names.
      changed.link_parent = info.is_directory() ? info.named_in : kNoInode;
      changed.link_cookie = info.is_directory() ? info.named_cookie : 0;
      break;
    default:
      break;
  }
  co_return kOk;
}

Task<Status> Repair::mend_one(const Finding& finding) {
  switch (finding.kind) {
    case Kind::damaged_superblock:
    case Kind::unknown_record:
    case Kind::unknown_target:
    case Kind::orphan_object:
      co_return kOk;
    case Kind::damaged_counters:
    case Kind::wrong_counters:
      count_anew();
      co_return kOk;
    case Kind::unsafe_numbers:
      names_.superblock.counter_reserved = names_.counter_max + 1;
      put_superblock();
      co_return kOk;
    case Kind::missing_root:
      make_root();
      co_return kOk;
    case Kind::damaged_inode:
    case Kind::damaged_record:
    case Kind::stray_entry:
    case Kind::dangling_entry:
    case Kind::repeated_entry:
    case Kind::second_name:
    case Kind::stray_back_link:
    case Kind::stray_open_mark:
    case Kind::stray_attribute:
    case Kind::stray_inline_bytes:
    case Kind::destroy_of_living:
      edits_[finding.key] = std::nullopt;
      co_return kOk;
    case Kind::missing_back_link: {
      RecordBuffer mark;
      encode_mark(Bytes(std::string_view(finding.key)), mark);
      edits_[finding.key] = std::string(mark.begin(), mark.end());
      co_return kOk;
    }
    case Kind::forgotten: {
      RecordBuffer mark;
      const Key key = open_unlinked_key(finding.inode);
      encode_mark(key, mark);
      edits_[text_of(key)] = std::string(mark.begin(), mark.end());
      co_return kOk;
    }
    case Kind::wrong_entry_type:
      co_return co_await retype(finding);
    case Kind::misplaced_entry:
      co_return co_await move(finding);
    case Kind::no_name:
      co_return co_await attach(finding.inode);
    case Kind::loop:
      edits_[finding.key] = std::nullopt;
      co_return co_await attach(finding.inode);
    case Kind::wrong_first_name:
    case Kind::wrong_link_count:
    case Kind::wrong_entry_count:
    case Kind::wrong_attribute_count:
    case Kind::wrong_inline_size:
    case Kind::wrong_access_list: {
      const InodeInfo* info = names_.find(finding.inode);
      if (info == nullptr) co_return kOk;
      co_return co_await mend_inode(finding, *info);
    }
  }
  co_return kOk;
}

Task<Status> Repair::mend(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    const Status status = co_await mend_one(finding);
    if (!status.ok()) co_return status;
  }
  for (auto& [inode, changed] : records_) put(inode_key(inode), changed);
  Edits part;
  for (auto& [key, value] : edits_) {
    part.emplace(key, std::move(value));
    if (part.size() < kEditsPerChange) continue;
    const Status status = co_await meta_.change(part);
    if (!status.ok()) co_return status;
    part.clear();
  }
  if (part.empty()) co_return kOk;
  co_return co_await meta_.change(part);
}

}  // namespace rideau::check
