// SPDX-License-Identifier: Apache-2.0
// Requests about advisory locks: GETLK, SETLK, SETLKW, those of flock(2) among them. The kernel keeps no table of its
// own then: who closes a file gives up by FLUSH (fcntl) and RELEASE (flock, F_OFD_*). A wait holds none of the kernel's
// locks, and ends by INTERRUPT when its caller gets a signal.
#include "plugins/client/fuse_server.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

namespace rideau::client {
namespace {

using Server = FuseMount::Impl;

void on_interrupt(fuse_req_t, void* interruption) { static_cast<Interruption*>(interruption)->interrupt(); }

Task<> set_lock(Server& server, fuse_req_t req, AdvisoryLock lock) {
  Interruption interruption;
  if (lock.wait) fuse_req_interrupt_func(req, on_interrupt, &interruption);
  const auto begin = [&] { return server.files.set_lock(lock, &interruption); };
  const Status status = co_await repeated(server.files, Repeat::always, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> test_lock(Server& server, fuse_req_t req, AdvisoryLock lock) {
  const auto begin = [&] { return server.files.test_lock(lock); };
  const Result<AdvisoryConflict> found = co_await repeated(server.files, Repeat::always, begin);
  if (!found.ok()) {
    fuse_reply_err(req, errno_of(found.status()));
    co_return;
  }
  struct flock told {};
  told.l_type = F_UNLCK;
  if (found->held.mode != lock::Mode::none) {
    const lock::Range range = found->held.range;
    told.l_type = found->held.mode == lock::Mode::exclusive ? F_WRLCK : F_RDLCK;
    told.l_whence = SEEK_SET;
    told.l_start = static_cast<off_t>(range.first);
    told.l_len = range.last == lock::kRangeLast ? 0 : static_cast<off_t>(range.last - range.first + 1);
    told.l_pid = static_cast<pid_t>(found->process);
  }
  fuse_reply_lock(req, &told);
}

AdvisoryLock lock_of(const fuse_file_info& file, const struct flock& wanted) {
  AdvisoryLock lock;
  lock.handle = file.fh;
  lock.owner = file.lock_owner;
  lock.family = lock::RangeFamily::records;
  lock.range.first = static_cast<std::uint64_t>(wanted.l_start);
  // The kernel has made it a range from a start on; a length of 0 means to the end.
  if (wanted.l_len != 0) lock.range.last = lock.range.first + static_cast<std::uint64_t>(wanted.l_len) - 1;
  if (wanted.l_type == F_RDLCK) lock.mode = lock::Mode::shared;
  if (wanted.l_type == F_WRLCK) lock.mode = lock::Mode::exclusive;
  lock.process = static_cast<std::uint32_t>(wanted.l_pid);
  return lock;
}

void on_getlk(fuse_req_t req, fuse_ino_t, fuse_file_info* file, struct flock* wanted) {
  Server& server = server_of(req);
  server.tasks.spawn(test_lock(server, req, lock_of(*file, *wanted)));
}

void on_setlk(fuse_req_t req, fuse_ino_t, fuse_file_info* file, struct flock* wanted, int sleeps) {
  Server& server = server_of(req);
  AdvisoryLock lock = lock_of(*file, *wanted);
  lock.wait = sleeps != 0;
  server.tasks.spawn(set_lock(server, req, lock));
}

void on_flock(fuse_req_t req, fuse_ino_t, fuse_file_info* file, int operation) {
  Server& server = server_of(req);
  AdvisoryLock lock;
  lock.handle = file->fh;
  lock.owner = file->lock_owner;
  lock.family = lock::RangeFamily::whole;
  lock.wait = (operation & LOCK_NB) == 0;
  if ((operation & LOCK_SH) != 0) lock.mode = lock::Mode::shared;
  if ((operation & LOCK_EX) != 0) lock.mode = lock::Mode::exclusive;
  server.tasks.spawn(set_lock(server, req, lock));
}

}  // namespace

void add_lock_operations(fuse_lowlevel_ops& ops) {
  ops.getlk = on_getlk;
  ops.setlk = on_setlk;
  ops.flock = on_flock;
}

}  // namespace rideau::client
