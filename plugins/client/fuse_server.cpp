// SPDX-License-Identifier: Apache-2.0
// The FUSE descriptor: requests are read on the node's thread as long as there are any, and each is handled up to its
// first wait before the next is read. libfuse takes them apart; what its version does not know of the protocol is
// looked up in the raw bytes before it sees them, and added to the answer of INIT on its way out.
#include "plugins/client/fuse_server.hpp"

#include "plugins/client/open_names.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

namespace rideau::client {
namespace {

constexpr int kRequestsPerTurn = 64;  // then others of this node have their turn
// Of a WRITE, what stands before its bytes. Other requests are not longer than a WRITE either: the kernel was told so.
constexpr std::size_t kWriteHeadBytes = sizeof(fuse_in_header) + sizeof(fuse_write_in);
constexpr std::size_t kWriteBlocks = kTransferBytesMax / kBlockBytes;
static_assert(kTransferBytesMax % kBlockBytes == 0);
// FUSE_DIRECT_IO_ALLOW_MMAP of Linux 6.6, which these headers do not have; of the second word of flags.
constexpr std::uint32_t kDirectIoAllowMmap = 1u << (36 - 32);

template <class Struct>
bool copy_from(const char* bytes, std::size_t size, std::size_t offset, Struct* out) noexcept {
  if (size < offset + sizeof(Struct)) return false;
  std::memcpy(out, bytes + offset, sizeof(Struct));
  return true;
}

}  // namespace

FuseMount::Impl::Impl(Runtime& host, Logger& logger, FileSystem& below, FuseOptions wanted)
    : runtime(host),
      log(logger),
      files(below),
      options(std::move(wanted)),
      tasks(host),
      cache(host, tasks),
      request(std::make_unique_for_overwrite<char[]>(kWriteHeadBytes + kTransferBytesMax)),
      written(kWriteBlocks),
      traces_begin(random64(host)) {}

Buffers FuseMount::Impl::take_written(std::size_t size) {
  const std::size_t blocks = std::min((size + kBlockBytes - 1) / kBlockBytes, written.size());
  Buffers taken(blocks);
  std::move(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(blocks), taken.begin());
  return taken;
}

ssize_t FuseMount::Impl::read_request() {
  struct iovec parts[1 + kWriteBlocks] = {{request.get(), kWriteHeadBytes}};
  for (std::size_t i = 0; i < kWriteBlocks; ++i) {
    if (written[i] == nullptr) written[i] = files.lend_buffer();
    parts[1 + i] = {written[i]->at(0), kBlockBytes};
  }
  system_calls.fetch_add(1, std::memory_order_relaxed);
  return ::readv(fd, parts, 1 + kWriteBlocks);
}

void FuseMount::Impl::join_request(std::size_t size) noexcept {
  fuse_in_header head;
  if (!copy_from(request.get(), size, 0, &head) || head.opcode == FUSE_WRITE) return;
  for (std::size_t at = kWriteHeadBytes, i = 0; at < size; at += kBlockBytes, ++i) {
    std::memcpy(request.get() + at, written[i]->at(0), std::min<std::size_t>(size - at, kBlockBytes));
  }
}

void FuseMount::Impl::look_at_head(const char* bytes, std::size_t size) {
  fuse_in_header head;
  kills_privileges = false;
  makes_nameless = false;
  if (!copy_from(bytes, size, 0, &head)) return;
  ++requests_by_kind[head.opcode < kOpcodes ? head.opcode : 0];
  unique = head.unique;
  const bool answered = head.opcode != FUSE_FORGET && head.opcode != FUSE_BATCH_FORGET && head.opcode != FUSE_INTERRUPT;
  if (head.opcode == FUSE_INTERRUPT) {
    fuse_interrupt_in interrupt;
    if (copy_from(bytes, size, sizeof head, &interrupt)) on_interrupt(interrupt.unique);
  }
  if (answered) {
    note_asked(head.unique, head.pid);
    log.note({.trace_id = trace_of(head.unique),
              .subject = head.nodeid,
              .kind = EventKind::request,
              .method = static_cast<std::uint16_t>(head.opcode)});
  }
  switch (head.opcode) {
    case FUSE_INIT: {
      fuse_init_in init;
      init_unique = head.unique;
      if (copy_from(bytes, size, sizeof head, &init)) {
        offers_kill_privileges = (init.flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
        offers_direct_maps = (init.flags & FUSE_INIT_EXT) != 0 && (init.flags2 & kDirectIoAllowMmap) != 0;
      }
      break;
    }
    case FUSE_WRITE: {
      fuse_write_in write;
      if (copy_from(bytes, size, sizeof head, &write)) {
        kills_privileges = (write.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
      }
      break;
    }
    case FUSE_SETATTR: {
      fuse_setattr_in set;
      if (copy_from(bytes, size, sizeof head, &set)) kills_privileges = (set.valid & FATTR_KILL_SUIDGID) != 0;
      break;
    }
    case FUSE_OPEN: {
      fuse_open_in open;
      if (copy_from(bytes, size, sizeof head, &open)) {
        kills_privileges = (open.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
      }
      break;
    }
    case FUSE_TMPFILE:
      makes_nameless = true;
      break;
    default:
      break;
  }
}

FuseMount::Impl::Read FuseMount::Impl::read_one() {
  const ssize_t size = read_request();
  if (size < 0) {
    if (errno == EAGAIN) return Read::empty;
    // ENOENT: the caller of this request went away before it was read.
    if (errno == EINTR || errno == ENOENT) return Read::interrupted;
    if (errno != ENODEV) log.error("reading requests of the kernel: %s", std::strerror(errno));
    return Read::unmounted;
  }
  if (static_cast<std::size_t>(size) < sizeof(fuse_in_header)) return Read::interrupted;
  join_request(static_cast<std::size_t>(size));
  look_at_head(request.get(), static_cast<std::size_t>(size));
  if (makes_nameless) {
    // libfuse does not know the request. It and its answer are those of CREATE.
    constexpr std::uint32_t kCreate = FUSE_CREATE;
    std::memcpy(request.get() + offsetof(fuse_in_header, opcode), &kCreate, sizeof kCreate);
  }
  fuse_buf buffer{};
  buffer.size = static_cast<std::size_t>(size);
  buffer.mem = request.get();
  fuse_session_process_buf(session, &buffer);
  if (init_unique != 0 && !initialised) {
    initialised = true;
    cache.start(session, [this] { read_pending(); });
    raise_read_ahead();
  }
  return fuse_session_exited(session) ? Read::unmounted : Read::handled;
}

void FuseMount::Impl::read_pending() {
  int left = kRequestsPerTurn;
  while (left > 0 && !ending && read_one() == Read::handled) --left;
}

Task<> FuseMount::Impl::serve() {
  while (!ending) {
    int left = kRequestsPerTurn;
    Read last = Read::handled;
    while (left > 0 && !ending && last != Read::empty && last != Read::unmounted) {
      last = read_one();
      --left;
    }
    if (ending || last == Read::unmounted) break;
    if (last == Read::empty) {
      const int readable = fd;
      const auto wait = [this, readable](Completion& done) { return runtime.wait_fd(readable, kWaitReadable, done); };
      const Outcome woken = co_await submit(wait);
      if (!woken.ok()) break;
    } else {
      co_await yield_now(runtime);
    }
  }
  ending = true;
  cache.stop();
  files.leave();
  co_await tasks.join();
}

// libfuse hands over every answer here, and the notices of FuseKernelCache on its threads: the answer of INIT promises
// what libfuse cannot say.
ssize_t FuseMount::Impl::write_answer(int out, struct iovec* parts, int count, void* user) {
  auto* self = static_cast<Impl*>(user);
  self->system_calls.fetch_add(1, std::memory_order_relaxed);
  fuse_out_header head{};
  if (count > 0 && parts[0].iov_len >= sizeof head) std::memcpy(&head, parts[0].iov_base, sizeof head);
  if (head.unique != 0) {  // notices have none, and come from other threads
    if (!self->note_answered(head.unique)) return static_cast<ssize_t>(head.len);
    self->log.note({.trace_id = self->trace_of(head.unique),
                    .kind = EventKind::request_end,
                    .status = static_cast<std::uint32_t>(-head.error)});
  }
  if (count == 2 && !self->initialised && parts[0].iov_len == sizeof head) {
    fuse_init_out init{};
    if (head.unique == self->init_unique && head.error == 0 && parts[1].iov_len <= sizeof init) {
      std::memcpy(&init, parts[1].iov_base, parts[1].iov_len);
      if (self->offers_kill_privileges) init.flags |= FUSE_HANDLE_KILLPRIV_V2;
      if (self->offers_direct_maps) {
        init.flags |= FUSE_INIT_EXT;
        init.flags2 |= kDirectIoAllowMmap;
      }
      struct iovec amended[2] = {parts[0], {&init, parts[1].iov_len}};
      return ::writev(out, amended, 2);
    }
  }
  return ::writev(out, parts, count);
}

// Requests are read by read_one(); libfuse never reads.
ssize_t FuseMount::Impl::read_nothing(int, void*, std::size_t, void*) {
  errno = EAGAIN;
  return -1;
}

fs::Caller FuseMount::Impl::caller(fuse_req_t req) const {
  const fuse_ctx* context = fuse_req_ctx(req);
  fs::Caller who;
  who.uid = context->uid;
  who.gid = context->gid;
  who.process = context->pid;
  who.umask = context->umask;
  who.trace_id = trace_of(unique);
  return who;
}

double FuseMount::Impl::name_seconds(fs::InodeId directory, std::uint64_t token) const {
  if (!cache.names_can_expire()) return 0;
  return token != 0 && token == names_token(directory) ? kCacheSeconds : 0;
}

void FuseMount::Impl::fill_entry(double name_seconds, const fs::Inode& inode, fuse_entry_param* entry) const {
  entry->ino = inode.id;
  entry->generation = 1;  // numbers of inodes are never used again
  entry->attr_timeout = (inode.flags & kAttributesOnce) != 0 ? 0 : kCacheSeconds;
  entry->entry_timeout = options.default_permissions || open_to_all(inode) || inode.is_directory() ? name_seconds : 0;
  fill_stat(inode, &entry->attr);
}

void FuseMount::Impl::reply_entry(fuse_req_t req, double name_seconds, const Result<fs::Inode>& inode) {
  if (!inode.ok()) {
    fuse_reply_err(req, errno_of(inode.status()));
    return;
  }
  fuse_entry_param entry{};
  fill_entry(name_seconds, *inode, &entry);
  carries_attributes(req);
  fuse_reply_entry(req, &entry);
}

void FuseMount::Impl::reply_attributes(fuse_req_t req, const Result<fs::Inode>& inode) {
  if (!inode.ok()) {
    fuse_reply_err(req, errno_of(inode.status()));
    return;
  }
  struct stat attributes {};
  fill_stat(*inode, &attributes);
  carries_attributes(req);
  fuse_reply_attr(req, &attributes, (inode->flags & kAttributesOnce) != 0 ? 0 : kCacheSeconds);
}

}  // namespace rideau::client
