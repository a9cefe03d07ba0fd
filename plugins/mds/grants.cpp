// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/grants.hpp"

namespace rideau::mds {

using namespace fs;
using lock::Mode;

namespace {

// Of a file that is locked in parts only those get a share who open it; others are told of it for once.
void grant_part(DividedFiles& files, std::uint64_t session, Inode& inode, bool opens) {
  lock::LockManager& locks = files.locks();
  files.rejoin(session, inode.id);
  const lock::Grant held = opens ? locks.try_grant(session, inode.id, Mode::shared) : locks.held(session, inode.id);
  inode.lock = files.word(inode.id, held);
}

void grant(DividedFiles& files, std::uint64_t session, Inode& inode, bool exclusive, bool opens = false) {
  if (inode.id == kNoInode) return;
  if (files.contains(inode.id)) return grant_part(files, session, inode, opens);
  lock::LockManager& locks = files.locks();
  // Nobody caches bytes of anything but regular files.
  const Mode mode = exclusive && inode.is_regular() ? Mode::exclusive : Mode::shared;
  if (inode.link_count == 0 && !exclusive) {
    inode.lock = lock_word(locks.held(session, inode.id));  // what goes soon is not worth a new one
    return;
  }
  // Directories in which several clients work in turn: whoever has the lock of one is asked for it with the next
  // change.
  if (inode.is_directory() && locks.is_contended(inode.id)) {
    inode.lock = lock_word(locks.held(session, inode.id));
    return;
  }
  lock::Grant granted = locks.try_grant(session, inode.id, mode);
  if (granted.mode == Mode::none && mode == Mode::exclusive) granted = locks.try_grant(session, inode.id, Mode::shared);
  inode.lock = lock_word(granted);
}

}  // namespace

Inode* held_by_others(const lock::LockManager& locks, std::uint64_t session, InodeReply& reply) {
  return locks.is_free_for(session, reply.inode.id, Mode::shared) ? nullptr : &reply.inode;
}

Inode* told_in_parts(const DividedFiles& files, InodeReply& reply) {
  return files.contains(reply.inode.id) ? &reply.inode : nullptr;
}

void grant_beside(DividedFiles& locks, std::uint64_t session, InodeReply& reply, bool exclusive) {
  grant(locks, session, reply.inode, exclusive);
}

void grant_beside(DividedFiles& locks, std::uint64_t session, MakeReply& reply, bool exclusive) {
  grant(locks, session, reply.parent, false);
  grant(locks, session, reply.inode, exclusive, true);
}

void grant_beside(DividedFiles& locks, std::uint64_t session, OpenReply& reply, bool exclusive) {
  grant(locks, session, reply.inode, exclusive, true);
}

void grant_beside(DividedFiles& locks, std::uint64_t session, RemoveReply& reply, bool) {
  grant(locks, session, reply.parent, false);
  grant(locks, session, reply.inode, false);
}

void grant_beside(DividedFiles& locks, std::uint64_t session, RenameReply& reply, bool) {
  grant(locks, session, reply.old_parent, false);
  grant(locks, session, reply.new_parent, false);
  grant(locks, session, reply.inode, false);
  grant(locks, session, reply.replaced, false);
}

void grant_beside(DividedFiles& locks, std::uint64_t session, ReadDirectoryReply& reply) {
  for (DirectoryEntry& entry : reply.entries) {
    if (entry.attributes.id == kNoInode) continue;
    const InodeId id = entry.attributes.id;
    if (locks.locks().is_free_for(session, id, Mode::shared) && !locks.contains(id)) {
      grant(locks, session, entry.attributes, false);
    } else {
      entry.attributes = Inode{};  // who wants to know asks for it by name, and waits
    }
  }
}

}  // namespace rideau::mds
