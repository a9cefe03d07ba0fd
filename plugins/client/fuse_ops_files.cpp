// SPDX-License-Identifier: Apache-2.0
// Requests about open files: CREATE (and TMPFILE), OPEN, READ, WRITE, FALLOCATE, LSEEK, FLUSH, FSYNC, RELEASE.
#include "framework/base/assert.hpp"
#include "plugins/client/fuse_server.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace rideau::client {
namespace {

using Server = FuseMount::Impl;

// Pages of the kernel are right as long as we hold the lock, and are dropped before it goes: so they may stay across
// opens.
//
// Two kinds of handles go around the page cache. An appender writes where the file ends, which the kernel may not know.
// And one that can only write gains nothing from pages: each write comes here at once in either way, without a copy
// into pages that nobody reads through it. A kernel that can map such files also drops the pages of what is written.
//
// Each close of a descriptor is told (FLUSH), a reader's too: it gives up the locks of fcntl(2) that its process has of
// the file, whichever descriptor they were taken through, now or before.
void fill_open(Server& server, fuse_file_info& file, fs::HandleId handle) {
  file.fh = handle;
  file.keep_cache = 1;
  const int access = file.flags & O_ACCMODE;
  const bool only_writes = access == O_WRONLY && server.offers_direct_maps;
  file.direct_io = (file.flags & O_APPEND) != 0 || only_writes ? 1 : 0;
  // Those that cannot read are of no interest.
  if (file.direct_io != 0 && access != O_WRONLY) server.around_pages.insert(handle);
}

Task<> create(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId parent, std::string name,
              std::uint32_t mode, fuse_file_info file) {
  const std::uint64_t token = server.names_token(parent);
  const auto begin = [&] { return server.files.create(caller, parent, name, mode, open_flags(file.flags)); };
  const Result<OpenFile> made = co_await repeated(server.files, Repeat::unless_sent, begin);
  if (!made.ok()) {
    fuse_reply_err(req, errno_of(made.status()));
    co_return;
  }
  fuse_entry_param entry{};
  server.fill_entry(server.name_seconds(parent, token), made->inode, &entry);
  fill_open(server, file, made->handle);
  server.carries_attributes(req);
  if (fuse_reply_create(req, &entry, &file) == -ENOENT) {
    static_cast<void>(co_await server.files.release(made->handle));  // the caller is gone: nobody will release it
  }
}

Task<> open(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, fuse_file_info file,
            bool kills_privileges) {
  const std::uint32_t flags = open_flags(file.flags);
  const auto begin = [&] { return server.files.open(caller, inode, flags); };
  // A handle that the old session may have got is gone with it.
  const Repeat repeat = (flags & fs::kOpenTruncate) != 0 ? Repeat::unless_sent : Repeat::always;
  const Result<OpenFile> opened = co_await repeated(server.files, repeat, begin);
  if (!opened.ok()) {
    fuse_reply_err(req, errno_of(opened.status()));
    co_return;
  }
  if (kills_privileges && (opened->inode.mode & (S_ISUID | S_ISGID)) != 0) {
    fs::SetAttributesRequest request;
    request.caller = caller;
    request.inode = inode;
    request.mask = fs::kSetKillPrivileges;
    request.handle = opened->handle;
    static_cast<void>(co_await server.files.set_attributes(std::move(request)));
  }
  fill_open(server, file, opened->handle);
  if (fuse_reply_open(req, &file) == -ENOENT) {
    static_cast<void>(co_await server.files.release(opened->handle));
  }
}

// Answers with bytes where they lie in the cache.
class Answer final : public ReadSink {
 public:
  explicit Answer(fuse_req_t req) : req_(req) {}
  void take(const IoVec* parts, std::uint32_t count) override {
    static_assert(sizeof(IoVec) == sizeof(iovec));
    RIDEAU_ASSERT(!given_);
    given_ = true;
    fuse_reply_iov(req_, reinterpret_cast<const iovec*>(parts), static_cast<int>(count));
  }
  bool given() const noexcept { return given_; }

 private:
  fuse_req_t req_;
  bool given_ = false;
};

Task<> read(Server& server, fuse_req_t req, fs::HandleId handle, std::uint64_t offset, std::size_t size,
            bool fills_pages) {
  static_assert(kTransferBytesMax <= kReadPieceBytes);
  size = std::min(size, kTransferBytesMax);
  Answer answer(req);
  const auto begin = [&] { return server.files.read(handle, offset, size, answer, fills_pages); };
  const Result<std::uint64_t> count = co_await repeated(server.files, Repeat::always, begin);
  if (answer.given()) co_return;
  if (count.ok()) {
    fuse_reply_buf(req, nullptr, 0);
  } else {
    fuse_reply_err(req, errno_of(count.status()));
  }
}

Task<> write(Server& server, fuse_req_t req, fs::Caller caller, fs::HandleId handle, std::uint64_t offset,
             Buffers buffers, std::size_t size, bool kills_privileges, bool pages) {
  IoVec data[kTransferBytesMax / kBlockBytes];
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    data[i] = {buffers[i]->at(0), std::min<std::size_t>(size - i * kBlockBytes, kBlockBytes)};
  }
  WriteDetails details;
  details.lent = &buffers;
  details.kill_privileges = kills_privileges;
  details.caller = std::move(caller);
  details.pages = pages;
  const auto begin = [&] {
    return server.files.write(handle, offset, data, static_cast<std::uint32_t>(buffers.size()), &details);
  };
  const Result<std::uint64_t> count = co_await repeated(server.files, Repeat::unless_sent, begin);
  if (count.ok()) {
    fuse_reply_write(req, *count);
  } else {
    fuse_reply_err(req, errno_of(count.status()));
  }
}

Task<> allocate(Server& server, fuse_req_t req, fs::HandleId handle, Allocate mode, bool keep_size,
                std::uint64_t offset, std::uint64_t size) {
  const auto begin = [&] { return server.files.allocate(handle, mode, keep_size, offset, size); };
  const Status status = co_await repeated(server.files, Repeat::unless_sent, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> seek(Server& server, fuse_req_t req, fs::HandleId handle, std::uint64_t offset, bool hole) {
  const auto begin = [&] { return server.files.seek(handle, offset, hole); };
  const Result<std::uint64_t> found = co_await repeated(server.files, Repeat::always, begin);
  if (found.ok()) {
    fuse_reply_lseek(req, static_cast<off_t>(*found));
  } else {
    fuse_reply_err(req, errno_of(found.status()));
  }
}

Task<> flush(Server& server, fuse_req_t req, fs::HandleId handle, std::uint64_t lock_owner) {
  const Status status = co_await server.files.flush(handle, lock_owner);
  fuse_reply_err(req, errno_of(status));
}

Task<> sync(Server& server, fuse_req_t req, fs::HandleId handle, bool data_only) {
  // What was lost with the session is known when the call begins anew.
  const auto begin = [&] { return server.files.sync(handle, data_only); };
  const Status status = co_await repeated(server.files, Repeat::always, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> release(Server& server, fuse_req_t req, fs::HandleId handle) {
  server.around_pages.erase(handle);
  const Status status = co_await server.files.release(handle);
  fuse_reply_err(req, errno_of(status));
}

void on_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* file) {
  Server& server = server_of(req);
  const std::uint32_t type_and_mode = S_IFREG | (mode & 07777);
  const char* wanted = server.makes_nameless ? "" : name;
  server.tasks.spawn(create(server, req, server.caller(req), parent, wanted, type_and_mode, *file));
}
void on_open(fuse_req_t req, fuse_ino_t inode, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(open(server, req, server.caller(req), inode, *file, server.kills_privileges));
}
void on_read(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* file) {
  Server& server = server_of(req);
  const bool fills_pages = !server.goes_around_pages(file->fh) && (file->flags & O_DIRECT) == 0;
  server.tasks.spawn(read(server, req, file->fh, static_cast<std::uint64_t>(offset), size, fills_pages));
}
void on_write(fuse_req_t req, fuse_ino_t, const char*, std::size_t size, off_t offset, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(write(server, req, server.caller(req), file->fh, static_cast<std::uint64_t>(offset),
                           server.take_written(size), size, server.kills_privileges, file->writepage != 0));
}
void on_fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t offset, off_t size, fuse_file_info* file) {
  Server& server = server_of(req);
  const int known = mode & ~FALLOC_FL_KEEP_SIZE;
  if (known != 0 && known != FALLOC_FL_PUNCH_HOLE && known != FALLOC_FL_ZERO_RANGE) {
    fuse_reply_err(req, EOPNOTSUPP);
    return;
  }
  const Allocate what = known == 0 ? Allocate::plain : known == FALLOC_FL_PUNCH_HOLE ? Allocate::punch : Allocate::zero;
  server.tasks.spawn(allocate(server, req, file->fh, what, (mode & FALLOC_FL_KEEP_SIZE) != 0,
                              static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(size)));
}
void on_lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, fuse_file_info* file) {
  Server& server = server_of(req);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err(req, EINVAL);
  } else if (offset < 0) {
    fuse_reply_err(req, ENXIO);
  } else {
    server.tasks.spawn(seek(server, req, file->fh, static_cast<std::uint64_t>(offset), whence == SEEK_HOLE));
  }
}
void on_flush(fuse_req_t req, fuse_ino_t, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(flush(server, req, file->fh, file->lock_owner));
}
void on_fsync(fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(sync(server, req, file->fh, data_only != 0));
}
void on_release(fuse_req_t req, fuse_ino_t, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(release(server, req, file->fh));
}

}  // namespace

void add_file_operations(fuse_lowlevel_ops& ops) {
  ops.create = on_create;
  ops.open = on_open;
  ops.read = on_read;
  ops.write = on_write;
  ops.fallocate = on_fallocate;
  ops.lseek = on_lseek;
  ops.flush = on_flush;
  ops.fsync = on_fsync;
  ops.release = on_release;
}

}  // namespace rideau::client
