// SPDX-License-Identifier: Apache-2.0
// Steps that several operations share: names coming and going, inodes going, numbers and layouts of new ones.
#include "plugins/mds/target.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"

#include <algorithm>

namespace rideau::mds {

using namespace fs;

Status Transaction::claim(std::initializer_list<InodeId> inodes, lock::Mode mode) {
  if (locks_ == nullptr) return kOk;
  for (const InodeId inode : inodes) {
    if (!locks_->is_free_for(session_, inode, mode)) wanted_.push_back({inode, mode});
  }
  return wanted_.empty() ? kOk : kLocksWanted;
}

void Transaction::add_name(InodeRecord& record, InodeId directory, Cookie cookie, std::string_view name) {
  NamespaceStore& names = target_.names;
  names.put_entry(directory, cookie, name, record.inode.id, record.inode.mode & S_IFMT);
  if (record.link_parent == kNoInode) {
    record.link_parent = directory;
    record.link_cookie = cookie;
  } else {
    names.put_mark(back_link_key(record.inode.id, directory, cookie));
  }
  if (record.inode.is_directory()) record.inode.parent = directory;
  ++target_.committer.counters().entries;
}

void Transaction::forget_name(InodeRecord& record, InodeId directory, Cookie cookie) {
  target_.names.erase_entry(directory, cookie);
  if (record.link_parent == directory && record.link_cookie == cookie) {
    record.link_parent = kNoInode;
    record.link_cookie = 0;
  } else {
    target_.names.erase(back_link_key(record.inode.id, directory, cookie));
  }
  std::uint64_t& entries = target_.committer.counters().entries;
  if (entries != 0) --entries;
}

bool Transaction::remove_name(InodeRecord& record, InodeId directory, Cookie cookie) {
  forget_name(record, directory, cookie);
  Inode& inode = record.inode;
  // A directory has no other name, so its own entries "." and ".." do not keep it.
  inode.link_count = inode.is_directory() || inode.link_count == 0 ? 0 : inode.link_count - 1;
  inode.ctime_ns = now_ns_;
  change(inode);
  if (inode.link_count != 0) {
    put(record);
  } else if ((target_.opens.is_open(inode.id) || target_.recovering) && !RIDEAU_PLANTED_BUG(removes_what_is_open)) {
    put(record);
    target_.names.put_mark(open_unlinked_key(inode.id));
  } else {
    purge(record);
    return true;
  }
  return false;
}

void Transaction::destroy_objects(const Inode& inode) {
  if (!inode.is_regular() || inode.layout.targets.empty() || is_untouched(inode)) return;
  target_.names.put_record(destroy_key(inode.id, inode.layout.generation), DestroyRecord{inode.layout.targets});
  ++target_.destroys_recorded;
  target_.destroys_wanted.wake_all();
}

void Transaction::purge(const InodeRecord& record) {
  NamespaceStore& names = target_.names;
  const Inode& inode = record.inode;
  std::string name;
  if (record.xattr_count != 0) {
    while (names.next_xattr(inode.id, name, &name).ok()) names.erase_xattr(inode.id, name);
  }
  destroy_objects(inode);
  if (inode.is_inline()) names.put_inline(inode.id, Bytes());
  names.erase_inode(inode.id, number_);
  target_.purged.push_back(inode.id);
  std::uint64_t& inodes = target_.committer.counters().inodes;
  if (inodes != 0) --inodes;
}

void require_format(Target& target, std::uint32_t version) {
  if (target.superblock.format_version >= version) return;
  target.superblock.format_version = version;
  target.names.put_record(superblock_key(), target.superblock);
}

bool inode_ids_left(const Target& target) noexcept { return target.next_counter < kCounterMax; }

InodeId new_inode_id(Target& target) {
  Superblock& block = target.superblock;
  // Raised long before it is reached: what is pending cannot hold as many creates, so it is durable by then.
  if (block.counter_reserved - target.next_counter < kCountersReserved / 2 && block.counter_reserved < kCounterMax) {
    block.counter_reserved = std::min(block.counter_reserved + kCountersReserved, kCounterMax);
    target.names.put_record(superblock_key(), block);
  }
  const InodeId id = make_inode_id(block.inode_sequence, target.next_counter++);
  target.committer.counters().next_counter = target.next_counter;
  return id;
}

}  // namespace rideau::mds
