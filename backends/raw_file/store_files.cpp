// SPDX-License-Identifier: Apache-2.0
// The steps of one op: open the file, transfer or change, close; and the files that stay open between ops.
#include "store.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rideau::raw_file {
namespace {

constexpr std::uint64_t kDirectAlignment = 4096;  // of memory, offsets and sizes: enough for any device
constexpr std::uint8_t kOpenTriesMax = 32;        // folders that are pruned while they are made, files that come and go

Status punch_hole(int fd, std::uint64_t offset, std::uint64_t size) noexcept {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  while (::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return status_of(errno, "punch a hole into an object");
  }
  return kOk;
}

// What cannot fit is not begun: a file system may allocate all that it has before it finds out, and until that is freed
// again every other writer on it runs out of space.
bool cannot_fit(int fd, std::uint64_t size) noexcept {
  struct statvfs space {};
  struct stat found {};
  if (::fstatvfs(fd, &space) != 0 || ::fstat(fd, &found) != 0) return false;
  return size > static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize +
                    static_cast<std::uint64_t>(found.st_blocks) * 512;
}

// File systems that cannot keep space say so at each call: the capability of the driver stays.
Status keep_space(int fd, std::uint64_t offset, std::uint64_t size) noexcept {
  if (cannot_fit(fd, size)) return {Code::no_space, ENOSPC, "allocate space of an object"};
  while (::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0) {
    if (errno == EOPNOTSUPP) return {Code::posix, EOPNOTSUPP, "the file system below cannot keep space"};
    if (errno != EINTR) return status_of(errno, "allocate space of an object");
  }
  return kOk;
}

// The offset of the descriptor is nobody's: reads and writes name theirs.
Status find_extent(int fd, std::uint64_t offset, ObjectExtent* out) noexcept {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return status_of(errno, "stat of an object");
  const auto size = static_cast<std::uint64_t>(found.st_size);
  *out = {size, size};
  if (offset >= size) return kOk;
  const off_t begin = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  if (begin < 0) return errno == ENXIO ? kOk : status_of(errno, "find data in an object");
  const off_t end = ::lseek(fd, begin, SEEK_HOLE);
  if (end < 0) return status_of(errno, "find a hole in an object");
  *out = {static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end)};
  return kOk;
}

Status set_size(int fd, std::uint64_t size) noexcept {
  while (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return status_of(errno, "truncate an object");
  }
  return kOk;
}

}  // namespace

// The op has its slot.
void RawFileStore::dispatch(Op& op) noexcept {
  if (op.kind == Op::Kind::remove) {
    op.stage = Op::Stage::transfer;
    naming_.push(op);
  } else if (op.file->fd >= 0) {
    op.stage = Op::Stage::transfer;
    perform(op);
  } else if (op.file->opening) {
    op.stage = Op::Stage::want_open;
    op.file->want_open.push(op);
  } else {
    begin_open(op);
  }
}

void RawFileStore::begin_open(Op& op) noexcept {
  bool has_sums = false;
  if (keeps_sums() && op.makes_object()) {
    if (const Status status = sums_.has_records(op.file->id, &has_sums); !status.ok()) return finish(op, status, 0);
  }
  op.stage = op.makes_object() && !has_sums ? Op::Stage::open_new : Op::Stage::open_existing;
  open_file(op);
}

void RawFileStore::open_file(Op& op) noexcept {
  File& file = *op.file;
  if (!file.opening) {
    file.opening = true;
    if (open_count_ >= open_max_) close_oldest_idle();
    ++open_count_;
  }
  // Only new files are made: so it is known when the folder's contents and the count of objects change.
  if (op.stage == Op::Stage::open_new) {
    if (!keeps_sums() || !waits_for_mark(op)) naming_.push(op);
    return;
  }
  object_path(file.id, op.path);
  io_uring_sqe& entry = ring_.prepare();
  io_uring_prep_openat(&entry, home_->objects(), op.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
  io_uring_sqe_set_data(&entry, &op);
}

void RawFileStore::on_opened(Op& op, int result) noexcept {
  File& file = *op.file;
  if (result >= 0) {
    if (op.stage == Op::Stage::open_new) {
      ++object_count_;
      mark_folder(leaf_of(file.id), false);
      mark_changed(file);
    }
    file.fd = result;
    file.opening = false;
    if (keeps_sums()) {
      struct stat found {};
      const bool known = op.stage == Op::Stage::open_new || ::fstat(result, &found) == 0;
      file.size = known ? static_cast<std::uint64_t>(found.st_size) : kObjectBytesMax;
      if (op.stage == Op::Stage::open_new) on_made(op);
    }
    OpList others = file.want_open;
    file.want_open = {};
    perform(op);
    while (Op* other = others.pop()) perform(*other);
    return;
  }
  const int error = -result;
  if (++op.open_tries > kOpenTriesMax) return open_failed(op, status_of(error, "open an object"));
  if (error == EINTR || error == EAGAIN) return open_file(op);
  if (op.stage == Op::Stage::open_new) {
    if (error == EEXIST) {
      op.stage = Op::Stage::open_existing;
      return open_file(op);
    }
    if (error == ENOENT) return make_folders_for(op);
  } else if (error == ENOENT && op.makes_object()) {
    op.stage = Op::Stage::open_new;
    return open_file(op);
  }
  if ((error == EMFILE || error == ENFILE) && close_oldest_idle()) return open_file(op);
  open_failed(op, status_of(error, "open an object"));
}

void RawFileStore::open_failed(Op& op, Status status) noexcept {
  File& file = *op.file;
  file.opening = false;
  --open_count_;
  OpList others = file.want_open;
  file.want_open = {};
  // Each tries for itself: one of them may be a write, which makes the object.
  while (Op* other = others.pop()) dispatch(*other);
  // A file that is gone needs no flush; its folder is flushed beside it.
  if (op.kind == Op::Kind::sync && status.code == Code::not_found) status = kOk;
  finish(op, status, 0);
}

void RawFileStore::make_folders_for(Op& op) noexcept {
  const FolderKey leaf = leaf_of(op.file->id);
  const FolderKey above[] = {leaf.parent(), leaf.parent().parent()};
  // Another op may use the new folder, and be flushed, before this job is reported: dirty for as long as it runs.
  for (const FolderKey folder : above) pin_folder(folder);
  run_job([home = home_, leaf](std::uint64_t&) { return raw_file::make_folders(home->objects(), leaf); },
          [this, &op, above](Status status, std::uint64_t) {
            for (const FolderKey folder : above) unpin_folder(folder);
            if (!status.ok()) return open_failed(op, status);
            open_file(op);
          });
}

// The file is open.
void RawFileStore::perform(Op& op) noexcept {
  switch (op.kind) {
    case Op::Kind::read:
    case Op::Kind::write:
      op.stage = Op::Stage::transfer;
      if (op.direct && op.file->direct_fd < 0) {
        if (const Status status = open_direct(*op.file); !status.ok()) return finish(op, status, 0);
      }
      if (keeps_sums() && !op.planned && op.size != 0) {
        return op.kind == Op::Kind::read ? plan_read(op) : plan_change(op);
      }
      if (op.progress < op.size) return prepare_transfer(op);
      return end_transfer(op);
    case Op::Kind::stat:
      return perform_stat(op);
    case Op::Kind::truncate:
    case Op::Kind::punch:
    case Op::Kind::allocate:
      return perform_change(op);
    case Op::Kind::find_data:
      return perform_find(op);
    case Op::Kind::sync: {
      op.stage = Op::Stage::transfer;
      op.offset = op.file->changed;  // every change that is complete by now is covered
      io_uring_sqe& entry = ring_.prepare();
      io_uring_prep_fsync(&entry, op.file->fd, IORING_FSYNC_DATASYNC);
      io_uring_sqe_set_data(&entry, &op);
      return;
    }
    case Op::Kind::sum:
      return sum_anew(op);
    case Op::Kind::remove:
      return;  // needs no open file, see dispatch()
  }
}

void RawFileStore::perform_stat(Op& op) noexcept {
  struct stat found {};
  if (::fstat(op.file->fd, &found) != 0) return finish(op, status_of(errno, "stat of an object"), 0);
  op.stat_out->size = static_cast<std::uint64_t>(found.st_size);
  op.stat_out->bytes_used = static_cast<std::uint64_t>(found.st_blocks) * 512;
  finish(op, kOk, 0);
}

// truncate and punch can free many blocks, which takes long: a job.
void RawFileStore::perform_change(Op& op) noexcept {
  if (op.kind != Op::Kind::truncate && op.size == 0) return finish(op, kOk, 0);
  if (keeps_sums() && !op.planned && op.kind != Op::Kind::allocate) return plan_change(op);
  op.stage = Op::Stage::job;
  const auto change = [fd = op.file->fd, kind = op.kind, offset = op.offset, size = op.size](std::uint64_t&) {
    switch (kind) {
      case Op::Kind::punch:
        return punch_hole(fd, offset, size);
      case Op::Kind::allocate:
        return keep_space(fd, offset, size);
      default:
        return set_size(fd, size);
    }
  };
  run_job(change, [this, &op](Status status, std::uint64_t) {
    mark_changed(*op.file);
    if (status.ok() && keeps_sums()) end_change(op);
    finish(op, status, 0);
  });
}

// Walks over the map of the file, which may have to be read from the device: a job. It fills memory of its own, since
// it may still run when the store is gone.
void RawFileStore::perform_find(Op& op) noexcept {
  op.stage = Op::Stage::job;
  auto found = std::make_shared<ObjectExtent>();
  run_job(
      [fd = op.file->fd, offset = op.offset, found](std::uint64_t&) { return find_extent(fd, offset, found.get()); },
      [this, &op, found](Status status, std::uint64_t) {
        if (status.ok()) *op.extent_out = *found;
        finish(op, status, 0);
      });
}

void RawFileStore::prepare_transfer(Op& op) noexcept {
  static_assert(sizeof(IoVec) == sizeof(iovec));
  io_uring_sqe& entry = ring_.prepare();
  const std::uint64_t at = op.offset + op.progress;
  const IoVec& first = op.parts[op.first_part];
  const std::size_t count = op.parts.size() - op.first_part;
  const auto* vector = reinterpret_cast<const iovec*>(&first);
  const bool direct = op.direct && !direct_refused_ && op.progress % kDirectAlignment == 0;
  const int file = direct ? op.file->direct_fd : op.file->fd;
  if (op.kind == Op::Kind::read && count == 1) {
    io_uring_prep_read(&entry, file, first.base, static_cast<unsigned>(first.size), at);
  } else if (op.kind == Op::Kind::read) {
    io_uring_prep_readv(&entry, file, vector, static_cast<unsigned>(count), at);
  } else if (count == 1) {
    io_uring_prep_write(&entry, file, first.base, static_cast<unsigned>(first.size), at);
  } else {
    io_uring_prep_writev(&entry, file, vector, static_cast<unsigned>(count), at);
  }
  io_uring_sqe_set_data(&entry, &op);
}

void RawFileStore::on_result(Op& op, int result) noexcept {
  if (op.stage == Op::Stage::transfer) return on_transferred(op, result);
  if (op.stage == Op::Stage::edge) return on_edge_read(op, result);
  on_opened(op, result);
}

void RawFileStore::on_transferred(Op& op, int result) noexcept {
  if (op.kind == Op::Kind::sync) {
    if (result == -EINTR || result == -EAGAIN) return perform(op);
    op.sync_failed = result < 0;
    if (result == 0 && op.file->changed == op.offset) mark_clean(*op.file);
    return finish(op, status_of(-result, "fdatasync of an object"), 0);
  }
  const bool writes = op.kind == Op::Kind::write;
  if (result == -EINTR || result == -EAGAIN) return prepare_transfer(op);
  if (result == -EINVAL && op.direct && !direct_refused_) {
    stop_going_direct("write", EINVAL);
    return prepare_transfer(op);
  }
  if (result < 0 || (result == 0 && writes)) {
    if (writes && op.progress > 0) mark_changed(*op.file);
    return finish(op,
                  result < 0 ? status_of(-result, writes ? "write an object" : "read an object")
                             : Status{Code::io_error, 0, "a write made no progress"},
                  0);
  }
  advance(op, static_cast<std::uint64_t>(result));
  // The kernel may stop in the middle; only a read of nothing says that the object ends here.
  if (op.progress == op.size || result == 0) return end_transfer(op);
  prepare_transfer(op);
}

void RawFileStore::end_transfer(Op& op) noexcept {
  std::uint64_t value = op.progress;
  Status status{};
  if (op.kind == Op::Kind::write) {
    if (op.progress > 0) mark_changed(*op.file);
    if (keeps_sums() && op.size != 0) end_change(op);
  } else if (keeps_sums() && op.size != 0) {
    status = check_read(op, &value);
  }
  finish(op, status, status.ok() ? value : 0);
}

void RawFileStore::advance(Op& op, std::uint64_t count) noexcept {
  op.progress += count;
  while (op.first_part < op.parts.size() && count >= op.parts[op.first_part].size) {
    count -= op.parts[op.first_part++].size;
  }
  if (count == 0) return;
  IoVec& part = op.parts[op.first_part];
  part.base = static_cast<std::uint8_t*>(part.base) + count;
  part.size -= count;
}

void RawFileStore::on_removed(Op& op, int result) noexcept {
  if (result == 0) {
    if (object_count_ > 0) --object_count_;
    mark_clean(*op.file);
    mark_folder(leaf_of(op.file->id), true);
  }
  if (keeps_sums() && (result == 0 || result == -ENOENT)) {
    sums_.forget_all(op.file->id);
    watch_sums();
  }
  finish(op, result == -ENOENT ? kOk : status_of(-result, "remove an object"), 0);
}

void RawFileStore::list_idle(File& file) noexcept {
  if (file.idle_listed) return;
  file.idle_listed = true;
  file.newer = nullptr;
  file.older = newest_idle_;
  (newest_idle_ != nullptr ? newest_idle_->newer : oldest_idle_) = &file;
  newest_idle_ = &file;
}

void RawFileStore::unlist_idle(File& file) noexcept {
  if (!file.idle_listed) return;
  file.idle_listed = false;
  (file.newer != nullptr ? file.newer->older : newest_idle_) = file.older;
  (file.older != nullptr ? file.older->newer : oldest_idle_) = file.newer;
}

// A dirty file may be closed: the kernel keeps its pages, and an error of writing them is reported to the fdatasync of
// the next descriptor (fsync(2), Linux 4.17 and later).
bool RawFileStore::close_oldest_idle() noexcept {
  File* file = oldest_idle_;
  if (file == nullptr) return false;
  unlist_idle(*file);
  close_file(*file);
  forget_if_unused(*file);
  return true;
}

void RawFileStore::close_file(File& file) noexcept {
  for (int* descriptor : {&file.fd, &file.direct_fd}) {
    if (*descriptor < 0) continue;
    ::close(std::exchange(*descriptor, -1));
    --open_count_;
  }
}

// Around the kernel's cache a large write costs no copy and no memory, which others can use then; and memory that was
// free for a while can be dearer than the device (guests of hypervisors). Linux keeps both ways coherent for reads.
bool RawFileStore::can_go_direct(std::uint64_t offset, std::uint64_t size, const IoVec* parts,
                                 std::uint32_t part_count) const noexcept {
  if (settings_.direct_write_min == 0 || size < settings_.direct_write_min || direct_refused_) return false;
  const auto aligned = [](const IoVec& part) {
    return (reinterpret_cast<std::uintptr_t>(part.base) | part.size) % kDirectAlignment == 0;
  };
  return (offset | size) % kDirectAlignment == 0 && std::all_of(parts, parts + part_count, aligned);
}

// The file is open already, so this waits for no device.
Status RawFileStore::open_direct(File& file) noexcept {
  if (direct_refused_) return kOk;
  char path[kPathBytes];
  object_path(file.id, path);
  if (open_count_ >= open_max_) close_oldest_idle();
  do {
    file.direct_fd = ::openat(home_->objects(), path, O_RDWR | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
  } while (file.direct_fd < 0 && (errno == EINTR || ((errno == EMFILE || errno == ENFILE) && close_oldest_idle())));
  if (file.direct_fd >= 0) {
    ++open_count_;
  } else if (errno == EINVAL) {
    stop_going_direct("open", errno);
  } else {
    return status_of(errno, "open an object once more");
  }
  return kOk;
}

void RawFileStore::stop_going_direct(const char* why, int error) noexcept {
  direct_refused_ = true;
  log(Level::info, std::string("the file system below refuses O_DIRECT (") + why + ", errno " + std::to_string(error) +
                       "); every write goes through the kernel's cache");
}

void RawFileStore::forget_if_unused(File& file) noexcept {
  if (file.fd >= 0 || file.busy() || file.changed != 0) return;
  const ObjectId id = file.id;
  files_.erase(id);
}

}  // namespace rideau::raw_file
