// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/namespace_store.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"

#include <cerrno>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

Status NamespaceStore::damaged(Status status, const char* what, std::uint64_t id) {
  log_.error("index: %s of inode %" PRIu64 ": %s%s%s; run rideau fsck", what, id, code_name(status.code),
             status.where != nullptr ? ": " : "", status.where != nullptr ? status.where : "");
  return {Code::io_error, EIO, "damaged record"};
}

Status NamespaceStore::get(InodeId inode, InodeRecord* to) {
  const Key key = inode_key(inode);
  Bytes record;
  Status status = committer_.get(key, &record);
  if (status.code == Code::not_found) {
    const auto gone = gone_.find(inode);
    if (gone != gone_.end() && gone->second > committer_.durable()) seen_.push_back(gone->second);
    return posix_error(ESTALE);
  }
  if (status.ok()) status = decode(key, record, to);
  if (!status.ok()) return damaged(status, "record", inode);
  if (to->inode.change > committer_.durable()) seen_.push_back(to->inode.change);
  // What was opened and written before this start is not known.
  const bool older = to->inode.change != 0 && to->inode.change <= committer_.first();
  if (older) to->inode.flags &= ~static_cast<std::uint32_t>(kUntouched);
  to->inode.access_list = nullptr;
  if ((to->inode.flags & kAccessList) == 0) return kOk;
  Result<AccessList> list = get_list(inode, kAccessListXattr);
  if (!list.ok()) return list.status();  // nobody knows who may do what: closed to all
  to->inode.access_list = std::make_shared<const AccessList>(std::move(*list));
  return kOk;
}

Result<AccessList> NamespaceStore::get_list(InodeId inode, std::string_view name) {
  constexpr Status kNone{Code::corrupt, 0, "it is not there, or it is none"};
  Bytes value;
  const Status status = get_xattr(inode, name, &value);
  if (status.code == Code::not_found) return damaged(kNone, "an access control list", inode);
  if (!status.ok()) return status;
  Result<AccessList> list = parse_access_list(value.view());
  if (!list.ok() || !check_access_list(*list).ok()) return damaged(kNone, "an access control list", inode);
  return list;
}

Status NamespaceStore::get_to_search(InodeId directory, InodeRecord* to) {
  const std::size_t before = seen_.size();
  const Status status = get(directory, to);
  const auto growth = growths_.find(directory);
  if (seen_.size() == before || growth == growths_.end() || growth->second.last != to->inode.change) return status;
  seen_.resize(before);
  if (growth->second.other > committer_.durable()) seen_.push_back(growth->second.other);
  return status;
}

void NamespaceStore::erase_inode(InodeId inode, std::uint64_t change) {
  constexpr std::size_t kGoneMax = 4096;
  if (gone_.size() >= kGoneMax) {
    std::erase_if(gone_, [this](const auto& one) { return one.second <= committer_.durable(); });
  }
  gone_[inode] = change;
  committer_.erase(inode_key(inode));
}

void NamespaceStore::note_growth(InodeId directory, std::uint64_t before, std::uint64_t change) {
  constexpr std::size_t kGrowthsMax = 4096;
  if (growths_.size() >= kGrowthsMax && !growths_.contains(directory)) {
    std::erase_if(growths_, [this](const auto& one) { return one.second.last <= committer_.durable(); });
  }
  Growth& growth = growths_[directory];
  if (growth.last != before) growth.other = before;
  growth.last = change;
}

Status NamespaceStore::get_named(InodeId inode, InodeRecord* to) {
  const Status status = get(inode, to);
  if (status.code != Code::posix) return status;
  return damaged({Code::corrupt, 0, "an entry names it, but it is not there"}, "record", inode);
}

Status NamespaceStore::find_entry(InodeId directory, std::string_view name, FoundEntry* found, Cookie* free) {
  const Cookie first = first_cookie(name, hash_seed_);
  const Cookie last = last_cookie(first);
  const Key hash = entry_hash_key(directory, first);
  *free = 0;
  for (Cookie at = first;; ++at) {
    const Key from = entry_key(directory, at);
    Bytes key;
    Bytes value;
    Status status = committer_.seek(hash, from, &key, &value);
    InodeId owner = kNoInode;
    if (status.ok() && !parse_entry_key(key, &owner, &found->cookie)) status = {Code::corrupt, 0, "key of an entry"};
    const bool none = status.code == Code::not_found || (status.ok() && found->cookie > last);
    if (none || (status.ok() && found->cookie > at)) {
      if (*free == 0) *free = at;
      if (none) return posix_error(ENOENT);
      at = found->cookie;
    }
    EntryRecord entry;
    if (status.ok()) status = decode(key, value, &entry);
    if (!status.ok()) return damaged(status, "an entry", directory);
    if (entry.name == name) {
      found->inode = entry.inode;
      found->type = entry.type;
      return kOk;
    }
    if (at == last) return posix_error(ENOENT);
  }
}

Status NamespaceStore::next_entry(InodeId directory, Cookie after, FoundEntry* found, std::string_view* name) {
  if (after == UINT64_MAX) return {Code::not_found, ENOENT};
  const Key prefix = Key(KeyKind::entry).u64(directory);
  const Key from = entry_key(directory, RIDEAU_PLANTED_BUG(cookie_comes_again) ? after : after + 1);
  Bytes key;
  Bytes value;
  Status status = committer_.seek(prefix, from, &key, &value);
  if (status.code == Code::not_found) return status;
  InodeId owner = kNoInode;
  if (status.ok() && !parse_entry_key(key, &owner, &found->cookie)) status = {Code::corrupt, 0, "key of an entry"};
  EntryRecord entry;
  if (status.ok()) status = decode(key, value, &entry);
  if (!status.ok()) return damaged(status, "an entry", directory);
  found->inode = entry.inode;
  found->type = entry.type;
  *name = entry.name;
  return kOk;
}

Status NamespaceStore::get_xattr(InodeId inode, std::string_view name, Bytes* value) {
  const Key key = xattr_key(inode, name);
  Bytes record;
  Status status = committer_.get(key, &record);
  if (status.code == Code::not_found) return status;
  if (status.ok()) status = decode_xattr(key, record, value);
  return status.ok() ? kOk : damaged(status, "an extended attribute", inode);
}

Status NamespaceStore::next_xattr(InodeId inode, std::string_view after, std::string* name) {
  const Key prefix = Key(KeyKind::xattr).u64(inode);
  Bytes key;
  Bytes value;
  // The least key behind `after`: one more byte, zero. No attribute has an empty name.
  std::uint8_t behind[Key::kBytesMax + 1];
  const Key start = xattr_key(inode, after);
  const Bytes at = start;
  std::memcpy(behind, at.data, at.size);
  behind[at.size] = 0;
  Status status = committer_.seek(prefix, Bytes(behind, at.size + 1), &key, &value);
  if (status.code == Code::not_found) return status;
  InodeId owner = kNoInode;
  std::string_view found;
  if (status.ok() && !parse_xattr_key(key, &owner, &found)) status = {Code::corrupt, 0, "key of an attribute"};
  if (!status.ok()) return damaged(status, "an extended attribute", inode);
  name->assign(found);
  return kOk;
}

Status NamespaceStore::get_inline(const Inode& inode, Bytes* bytes) {
  *bytes = {};
  if (inode.size == 0) return kOk;
  const Key key = inline_key(inode.id);
  Bytes record;
  Status status = committer_.get(key, &record);
  if (status.code == Code::not_found) status = {Code::corrupt, 0, "they are not there"};
  if (status.ok()) status = decode_inline(key, record, bytes);
  if (status.ok() && bytes->size != inode.size) status = {Code::corrupt, 0, "not as many as its record says"};
  return status.ok() ? kOk : damaged(status, "the bytes", inode.id);
}

void NamespaceStore::put_inline(InodeId inode, Bytes bytes) {
  const Key key = inline_key(inode);
  if (bytes.size == 0) return committer_.erase(key);
  encode_inline(bytes, key, scratch_);
  committer_.put(key, Bytes(scratch_.data(), scratch_.size()));
}

void NamespaceStore::put(const InodeRecord& record) { put_record(inode_key(record.inode.id), record); }

void NamespaceStore::put_entry(InodeId directory, Cookie cookie, std::string_view name, InodeId inode,
                               std::uint32_t type) {
  put_record(entry_key(directory, cookie), EntryRecord{inode, type, name});
}

void NamespaceStore::put_xattr(InodeId inode, std::string_view name, Bytes value) {
  const Key key = xattr_key(inode, name);
  encode_xattr(value, key, scratch_);
  committer_.put(key, Bytes(scratch_.data(), scratch_.size()));
}

void NamespaceStore::put_mark(const Key& key) {
  encode_mark(key, scratch_);
  committer_.put(key, Bytes(scratch_.data(), scratch_.size()));
}

}  // namespace rideau::mds
