// SPDX-License-Identifier: Apache-2.0
// Reading the records: what each says alone, and of records that came before it.
#include "plugins/check/namespace.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace rideau::check {

using namespace fs;

namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<std::uint8_t>(byte)));
    text += digits;
  }
  return text;
}

std::uint64_t number_at(Bytes key, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | key.data[at + i];
  return value;
}

std::string entry_text(InodeId directory, std::string_view name) {
  return "\"" + std::string(name) + "\" in directory " + std::to_string(directory);
}

bool is_good_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace

InodeInfo* Namespace::find(InodeId inode) noexcept {
  const auto at = std::lower_bound(inodes_.begin(), inodes_.end(), inode,
                                   [](const InodeInfo& info, InodeId id) { return info.id < id; });
  return at != inodes_.end() && at->id == inode ? &*at : nullptr;
}

Finding& Namespace::add(Kind kind, std::string text) {
  Finding& finding = findings.emplace_back();
  finding.kind = kind;
  finding.text = std::move(text);
  return finding;
}

void Namespace::add_damaged(Kind kind, const std::string& key, Status why) {
  if (why.code == Code::refused) kind = Kind::unknown_record;
  add(kind, "record " + hex(key) + " cannot be read: " + (why.where != nullptr ? why.where : "damaged")).key = key;
}

void Namespace::take(const std::string& key, const std::string& value) {
  const Bytes key_bytes{std::string_view(key)};
  const Bytes bytes{std::string_view(value)};
  const auto kind = static_cast<KeyKind>(key[0]);
  // It is the first; what names hash to is not known without it.
  if (!superblock_read && kind != KeyKind::superblock) return;
  switch (kind) {
    case KeyKind::superblock: {
      const Status status = decode(key_bytes, bytes, &superblock);
      superblock_read = status.ok();
      if (!status.ok()) add_damaged(Kind::damaged_superblock, key, status);
      return;
    }
    case KeyKind::counters: {
      const Status status = decode(key_bytes, bytes, &counters);
      counters_read = status.ok();
      if (!status.ok()) add_damaged(Kind::damaged_counters, key, status);
      return;
    }
    case KeyKind::inode:
      return take_inode(key, bytes);
    case KeyKind::entry:
      return take_entry(key, bytes);
    case KeyKind::xattr:
      return take_xattr(key, bytes);
    case KeyKind::back_link:
      return take_back_link(key, bytes);
    case KeyKind::open_unlinked:
      return take_open_mark(key, bytes);
    case KeyKind::session:
      return take_plain<SessionRecord>(key, bytes);
    case KeyKind::slot:
      return take_plain<SlotRecord>(key, bytes);
    case KeyKind::destroy:
      return take_destroy(key, bytes);
    case KeyKind::inline_bytes:
      return take_inline(key, bytes);
    case KeyKind::drain:
      return take_plain<DrainRecord>(key, bytes);
    case KeyKind::change:
      break;
  }
  add(Kind::unknown_record, "record " + hex(key) + " is of a kind that this version does not know").key = key;
}

template <class Record>
void Namespace::take_plain(const std::string& key, Bytes value) {
  Record record;
  const Status status = decode(Bytes(std::string_view(key)), value, &record);
  if (!status.ok()) add_damaged(Kind::damaged_record, key, status);
}

void Namespace::take_inode(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  std::uint64_t id = 0;
  if (!parse_id_key(KeyKind::inode, key_bytes, &id)) {
    return add_damaged(Kind::damaged_record, key, {Code::corrupt, 0, "its key has another shape"});
  }
  ++inode_count;
  if (id >> kCounterBits == superblock.inode_sequence) counter_max = std::max(counter_max, id & kCounterMax);
  InodeRecord record;
  const Status status = decode(key_bytes, value, &record);
  if (!status.ok()) {
    add_damaged(Kind::damaged_inode, key, status);
    findings.back().inode = id;
    findings.back().text = "inode " + std::to_string(id) + ": " + findings.back().text;
    if (status.code == Code::refused) unknown_.insert(id);
    return;
  }
  change_max = std::max(change_max, record.inode.change);
  InodeInfo& info = inodes_.emplace_back();
  info.id = id;
  info.mode = record.inode.mode;
  info.link_count = record.inode.link_count;
  info.size = record.inode.size;
  info.link_parent = record.link_parent;
  info.link_cookie = record.link_cookie;
  info.xattr_count = record.xattr_count;
  info.lists_said = record.inode.flags & kLists;
  info.is_inline = record.inode.is_inline();
  info.layout_generation = record.inode.layout.generation;
  const auto known = layout_numbers_.try_emplace(record.inode.layout.targets, layouts_.size());
  if (known.second) layouts_.push_back(record.inode.layout.targets);
  info.layout = known.first->second;
}

// Entries of one directory come in the order of their cookies, so those with one hash lie together.
bool Namespace::is_repeated(InodeId directory, Cookie cookie, std::string_view name) {
  if (bucket_directory_ != directory || bucket_hash_ != cookie >> kTieBits) {
    bucket_directory_ = directory;
    bucket_hash_ = cookie >> kTieBits;
    bucket_names_.clear();
  }
  return !bucket_names_.emplace(name).second;
}

void Namespace::take_entry(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  InodeId directory_id = kNoInode;
  Cookie cookie = 0;
  EntryRecord entry;
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (parse_entry_key(key_bytes, &directory_id, &cookie)) status = decode(key_bytes, value, &entry);
  if (status.ok() && !is_good_name(entry.name)) status = {Code::corrupt, 0, "no name has such bytes"};
  ++entry_count;
  if (!status.ok()) {
    add_damaged(Kind::damaged_record, key, status);
    findings.back().directory = directory_id;
    return;
  }
  const auto note = [&](Kind kind, const std::string& text) {
    Finding& finding = add(kind, entry_text(directory_id, entry.name) + " " + text);
    finding.key = key;
    finding.inode = entry.inode;
    finding.directory = directory_id;
    finding.cookie = cookie;
  };
  InodeInfo* directory = find(directory_id);
  if (directory == nullptr || !directory->is_directory()) return note(Kind::stray_entry, "has no such directory");
  InodeInfo* inode = find(entry.inode);
  if (unknown_.contains(entry.inode)) return;
  if (inode == nullptr)
    return note(Kind::dangling_entry, "means inode " + std::to_string(entry.inode) + ", which is not there");
  if (is_repeated(directory_id, cookie, entry.name)) return note(Kind::repeated_entry, "is there twice");
  const Cookie first = first_cookie(entry.name, superblock.hash_seed);
  if (cookie < first || cookie > last_cookie(first)) note(Kind::misplaced_entry, "lies where no lookup finds it");
  if (entry.type != (inode->mode & S_IFMT)) note(Kind::wrong_entry_type, "says another type than its inode");
  if (inode->is_directory()) return take_directory_name(*directory, *inode, cookie, key);
  ++directory->entries;
  ++inode->names;
  if (inode->link_parent == directory_id && inode->link_cookie == cookie) {
    inode->first_name_seen = true;
  } else {
    other_names_.push_back({inode->id, directory_id, cookie});
  }
}

// A directory keeps the name that its record knows, else the first that was met.
void Namespace::take_directory_name(InodeInfo& directory, InodeInfo& child, Cookie cookie, const std::string& key) {
  const bool first = child.link_parent == directory.id && child.link_cookie == cookie;
  const bool replaces = first && child.names != 0;
  if (child.id == kRootInode || (child.names != 0 && !replaces)) {
    Finding& finding = add(Kind::second_name, "directory " + std::to_string(child.id) + " has a second name in " +
                                                  std::to_string(directory.id));
    finding.key = key;
    finding.inode = child.id;
    return;
  }
  if (replaces) {
    Finding& finding = add(Kind::second_name, "directory " + std::to_string(child.id) + " has a second name in " +
                                                  std::to_string(child.named_in));
    finding.key = std::string(Bytes(entry_key(child.named_in, child.named_cookie)).view());
    finding.inode = child.id;
    InodeInfo* before = find(child.named_in);
    --before->entries;
    --before->subdirectories;
  }
  ++directory.entries;
  ++directory.subdirectories;
  child.names = 1;
  child.first_name_seen = first;
  child.named_in = directory.id;
  child.named_cookie = cookie;
}

void Namespace::take_xattr(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  InodeId id = kNoInode;
  std::string_view name;
  Bytes content;
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (parse_xattr_key(key_bytes, &id, &name)) status = decode_xattr(key_bytes, value, &content);
  const bool is_list = status.ok() && names_access_list(name);
  if (is_list) {
    const Result<AccessList> list = parse_access_list(content.view());
    if (!list.ok() || !check_access_list(*list).ok()) status = {Code::corrupt, 0, "it is no access control list"};
  }
  if (!status.ok()) return add_damaged(Kind::damaged_record, key, status);
  InodeInfo* inode = find(id);
  if (inode != nullptr) {
    ++inode->xattrs;
    if (is_list) inode->lists |= name == kAccessListXattr ? kAccessList : kDefaultList;
    return;
  }
  Finding& finding = add(Kind::stray_attribute,
                         "attribute " + std::string(name) + " of inode " + std::to_string(id) + ", which is not there");
  finding.key = key;
  finding.inode = id;
}

void Namespace::take_back_link(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (key.size() == 25) status = decode_mark(key_bytes, value);
  if (!status.ok()) return add_damaged(Kind::damaged_record, key, status);
  back_links_.push_back({number_at(key_bytes, 1), number_at(key_bytes, 9), number_at(key_bytes, 17)});
}

void Namespace::take_open_mark(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  InodeId id = kNoInode;
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (parse_id_key(KeyKind::open_unlinked, key_bytes, &id)) status = decode_mark(key_bytes, value);
  if (!status.ok()) return add_damaged(Kind::damaged_record, key, status);
  InodeInfo* inode = find(id);
  if (inode != nullptr && inode->names == 0) {
    inode->open_unlinked = true;
    return;
  }
  Finding& finding = add(Kind::stray_open_mark, "inode " + std::to_string(id) + " is marked as unlinked and " +
                                                    (inode == nullptr ? "is not there" : "has a name"));
  finding.key = key;
  finding.inode = id;
}

void Namespace::take_destroy(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  InodeId id = kNoInode;
  std::uint32_t generation = 0;
  DestroyRecord record;
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (parse_destroy_key(key_bytes, &id, &generation)) status = decode(key_bytes, value, &record);
  if (!status.ok()) return add_damaged(Kind::damaged_record, key, status);
  const InodeInfo* inode = find(id);
  if (inode != nullptr && inode->layout_generation == generation) {
    Finding& finding = add(Kind::destroy_of_living,
                           "the objects of inode " + std::to_string(id) + " are to be destroyed, and it is there");
    finding.key = key;
    finding.inode = id;
    return;
  }
  destroys_[{id, generation}] = record.targets;
}

void Namespace::take_inline(const std::string& key, Bytes value) {
  const Bytes key_bytes{std::string_view(key)};
  InodeId id = kNoInode;
  Bytes bytes;
  Status status{Code::corrupt, 0, "its key has another shape"};
  if (parse_id_key(KeyKind::inline_bytes, key_bytes, &id)) status = decode_inline(key_bytes, value, &bytes);
  InodeInfo* inode = find(id);
  if (!status.ok()) {
    add_damaged(Kind::damaged_record, key, status);
    findings.back().inode = id;
    findings.back().text = "the bytes of inode " + std::to_string(id) + ": " + findings.back().text;
    if (inode != nullptr) inode->inline_bytes = inode->size;  // one finding is enough
    return;
  }
  if (unknown_.contains(id)) return;
  if (inode != nullptr && inode->is_inline) {
    inode->inline_bytes = bytes.size;
    return;
  }
  Finding& finding =
      add(Kind::stray_inline_bytes, "bytes lie beside inode " + std::to_string(id) + ", which " +
                                        (inode == nullptr ? "is not there" : "has its bytes in objects"));
  finding.key = key;
  finding.inode = id;
}

// Numbers that were given away and may have been lost in a crash: the next start destroys what they left (OrphanSweep).
bool Namespace::is_lost_create(InodeId inode) const {
  if (inode >> kCounterBits != superblock.inode_sequence || !counters_read || counters.next_counter == 0) return false;
  std::uint64_t lost_from = std::min(counters.next_counter, superblock.counter_reserved);
  if (superblock.sweep_from != 0) lost_from = std::min(lost_from, superblock.sweep_from);
  const std::uint64_t counter = inode & kCounterMax;
  return counter >= lost_from && counter < superblock.counter_reserved;
}

bool Namespace::owns(TargetId target, ObjectId object) const {
  if (unknown_.contains(owner_of(object))) return true;
  const auto belongs = [&](const std::vector<TargetId>& targets) {
    return stripe_index_of(object) < targets.size() && targets[stripe_index_of(object)] == target;
  };
  const InodeInfo* inode = find(owner_of(object));
  if (inode != nullptr && inode->layout_generation == generation_of(object) && belongs(layouts_[inode->layout])) {
    return true;
  }
  if (inode == nullptr && is_lost_create(owner_of(object))) return true;
  const auto going = destroys_.find({owner_of(object), generation_of(object)});
  return going != destroys_.end() && belongs(going->second);
}

std::set<TargetId> Namespace::targets() const {
  std::set<TargetId> all;
  for (const auto& layout : layouts_) all.insert(layout.begin(), layout.end());
  return all;
}

}  // namespace rideau::check
