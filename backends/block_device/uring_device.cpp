// SPDX-License-Identifier: Apache-2.0
#include "uring_device.hpp"

#include "../shared/status_of.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

namespace rideau::block_device {
namespace {

using backend::status_of;
using backend::Work;

// From so many on, requests do not wait for others.
constexpr std::uint64_t kTogetherBytes = 128 << 10;

const char* name_of(Request::Kind kind) noexcept {
  switch (kind) {
    case Request::Kind::read:
      return "read the device";
    case Request::Kind::write:
      return "write the device";
    case Request::Kind::flush:
      return "flush the device";
    case Request::Kind::discard:
      return "discard blocks of the device";
    case Request::Kind::open:
      break;
  }
  return "open the device";
}

}  // namespace

UringDevice::~UringDevice() {
  Work::abandon_all(works_);
  if (soon_ != nullptr) soon_->abandon();
  ring_.drain([](void*, int) {});
  file_->close();
}

void UringDevice::log(Level level, const std::string& message) noexcept {
  const std::string line = "block-device: " + message;
  host_.log(level, Text(line.data(), line.size()));
}

void UringDevice::open(Request& request, bool create) noexcept {
  struct Seed {
    DeviceUuid uuid{};
  };
  Seed seed;
  host_.random(MutableBytes(seed.uuid.data(), seed.uuid.size()));
  seed.uuid[6] = static_cast<std::uint8_t>((seed.uuid[6] & 0x0f) | 0x40);
  seed.uuid[8] = static_cast<std::uint8_t>((seed.uuid[8] & 0x3f) | 0x80);
  Work::run_on(
      host_, works_,
      [file = file_, path = options_.path, bytes = create ? options_.image_bytes : 0, seed](std::uint64_t&) {
        const Status opened = file->open(path);
        if (opened.code != Code::not_found || bytes == 0) return opened;
        const Status made = file->make_image(path, bytes, seed.uuid);
        return made.ok() ? file->open(path) : made;
      },
      [this, &request](Status status, std::uint64_t) { on_opened(request, status); });
}

void UringDevice::on_opened(Request& request, Status status) noexcept {
  if (!status.ok()) message_ = file_->message();
  if (status.ok()) status = ring_.open(options_.queue_depth, &message_);
  discards_ = options_.discard;
  if (status.ok() && !file_->direct()) log(Level::info, options_.path + " cannot be used without the page cache");
  request.status = status;
  request.done(request);
  work();
}

void UringDevice::use_memory(MutableBytes memory) noexcept {
  const iovec whole{memory.data, memory.size};
  const int failed = io_uring_register_buffers(ring_.get(), &whole, 1);
  if (failed == 0) {
    registered_ = memory;
  } else {
    log(Level::info, "buffers are not registered (errno " + std::to_string(-failed) +
                         "); a higher limit of locked memory makes transfers cheaper");
  }
}

// The kernel reports where the file system below has no room; it cannot know of holes that the store will not use.
std::uint64_t UringDevice::room() const noexcept {
  struct statvfs space {};
  if (file_->is_device() || ::fstatvfs(file_->fd(), &space) != 0) return ~0ull;
  return static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
}

void UringDevice::submit(Request& request, bool create) noexcept {
  request.status = kOk;
  request.progress = 0;
  if (request.kind == Request::Kind::open) return open(request, create);
  push(request);
}

void UringDevice::push(Request& request) noexcept {
  request.next = nullptr;
  (first_ != nullptr ? last_->next : first_) = &request;
  last_ = &request;
  waiting_bytes_ += request.size;
}

void UringDevice::prepare(Request& request) noexcept {
  io_uring_sqe* entry = &ring_.prepare();
  const std::uint64_t at = request.offset + request.progress;
  const auto size = static_cast<unsigned>(request.size - request.progress);
  std::uint8_t* memory = request.memory + request.progress;
  const bool fixed = registered_.data != nullptr && request.memory >= registered_.data &&
                     request.memory < registered_.data + registered_.size;
  switch (request.kind) {
    case Request::Kind::read:
      fixed ? io_uring_prep_read_fixed(entry, file_->fd(), memory, size, at, 0)
            : io_uring_prep_read(entry, file_->fd(), memory, size, at);
      break;
    case Request::Kind::write:
      fixed ? io_uring_prep_write_fixed(entry, file_->fd(), memory, size, at, 0)
            : io_uring_prep_write(entry, file_->fd(), memory, size, at);
      break;
    case Request::Kind::flush:
      io_uring_prep_fsync(entry, file_->fd(), IORING_FSYNC_DATASYNC);
      break;
    case Request::Kind::discard:
      io_uring_prep_fallocate(entry, file_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(request.offset), static_cast<off_t>(request.size));
      break;
    case Request::Kind::open:
      break;
  }
  io_uring_sqe_set_data(entry, &request);
}

// Many small requests that come at the same time go to the kernel together, and the kernel tells the device once.
void UringDevice::work() noexcept {
  if (working_ || first_ == nullptr || !ring_.is_open()) return;
  if (waiting_bytes_ >= kTogetherBytes) return send_and_take();
  send_soon();
}

void UringDevice::send_soon() noexcept {
  if (soon_ != nullptr) return;
  soon_ = new backend::Wakeup([this](Status) {
    soon_ = nullptr;
    if (closing_ != nullptr) return end_close();
    send_and_take();
  });
  if (host_.sleep(0, *soon_) == Submitted::pending) return;
  delete soon_;
  soon_ = nullptr;
  send_and_take();
}

void UringDevice::send_and_take() noexcept {
  if (working_ || !ring_.is_open()) return;
  working_ = true;
  do {
    while (first_ != nullptr && ring_.in_kernel() < options_.queue_depth) {
      Request& request = *first_;
      first_ = request.next;
      waiting_bytes_ -= request.size;
      prepare(request);
    }
    ring_.send();
  } while (ring_.reap([this](void* data, int result) { on_result(*static_cast<Request*>(data), result); }) ||
           (first_ != nullptr && ring_.in_kernel() < options_.queue_depth));
  working_ = false;
}

void UringDevice::on_result(Request& request, int result) noexcept {
  if (result == -EINTR || result == -EAGAIN) return push(request);
  const bool moves = request.kind == Request::Kind::read || request.kind == Request::Kind::write;
  if (moves && result > 0) {
    // What the kernel did in part is finished from the last whole block on: the page cache is not there to help.
    const std::uint64_t before = request.progress;
    request.progress += static_cast<std::uint64_t>(result);
    if (request.progress < request.size) request.progress -= request.progress % kBlockBytes;
    if (request.progress > before && request.progress < request.size) return push(request);
    if (request.progress < request.size) request.status = {Code::io_error, 0, "the device moves less than a block"};
  } else if (moves && result == 0) {
    request.status = {Code::io_error, 0, "the device ends early"};
  } else if (result < 0) {
    request.status = status_of(-result, name_of(request.kind));
    if (request.kind == Request::Kind::discard) {
      // Free blocks keep their bytes then, which nobody ever reads.
      if (discards_)
        log(Level::info, options_.path + " does not discard blocks (errno " + std::to_string(-result) + ")");
      discards_ = false;
      request.status = kOk;
    }
  }
  request.done(request);
}

void UringDevice::close(Request& request) noexcept {
  closing_ = &request;
  if (soon_ == nullptr) end_close();
}

void UringDevice::end_close() noexcept {
  file_->close();
  closing_->status = kOk;
  ring_.stop_watching([this] { closing_->done(*closing_); });
}

}  // namespace rideau::block_device
