// SPDX-License-Identifier: Apache-2.0
#include "ring.hpp"

#include "status_of.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::backend {
namespace {

constexpr std::uint64_t kRetryNs = 1'000'000;

}  // namespace

Ring::~Ring() {
  drain([](void*, int) {});
  if (open_) io_uring_queue_exit(&ring_);
}

Status Ring::open(std::uint32_t entries, std::string* message) noexcept {
  if (const int failed = io_uring_queue_init(entries, &ring_, 0); failed != 0) {
    const bool forbidden = failed == -EPERM || failed == -ENOSYS;
    *message = forbidden ? "io_uring is not available; see /proc/sys/kernel/io_uring_disabled and the seccomp profile "
                           "of the container"
                         : "cannot make an io_uring";
    return status_of(-failed, "make an io_uring");
  }
  open_ = true;
  if (watch()) return kOk;
  *message = "the host cannot wait for the ring";
  return {Code::unsupported, 0, "wait for the ring"};
}

bool Ring::watch() noexcept {
  // The descriptor of the ring is readable while results wait in it; what was reaped at once wakes nobody.
  watch_ = new Wakeup([this](Status status) {
    watch_ = nullptr;
    if (status.ok()) watch();
    work_();
  });
  if (host_.wait_fd(ring_.ring_fd, kWaitReadable, *watch_) == Submitted::finished) {
    delete watch_;
    watch_ = nullptr;
  }
  return watch_ != nullptr;
}

io_uring_sqe& Ring::prepare() noexcept {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  ++in_kernel_;
  ++unsubmitted_;
  return *entry;
}

void Ring::send() noexcept {
  while (unsubmitted_ > 0) {
    const int count = io_uring_submit(&ring_);
    host_.count(Tally::system_calls, 1);
    if (count > 0) {
      unsubmitted_ -= std::min(unsubmitted_, static_cast<std::uint32_t>(count));
      continue;
    }
    if (count == -EINTR) continue;
    // The kernel is short of memory; what is prepared stays in the ring and goes with the next submission.
    if (retry_ != nullptr) return;
    retry_ = new Wakeup([this](Status) {
      retry_ = nullptr;
      work_();
    });
    if (host_.sleep(kRetryNs, *retry_) == Submitted::finished) {
      delete retry_;
      retry_ = nullptr;
    }
    return;
  }
}

void Ring::drain(const Take& take) noexcept {
  if (retry_ != nullptr) retry_->abandon();
  retry_ = nullptr;
  if (watch_ != nullptr) {
    watch_->abandon();
    watch_ = nullptr;
    host_.forget_fd(ring_.ring_fd);
  }
  while (open_ && in_kernel_ > unsubmitted_) {
    io_uring_cqe* result = nullptr;
    if (io_uring_wait_cqe(&ring_, &result) != 0) continue;
    take(io_uring_cqe_get_data(result), result->res);
    io_uring_cqe_seen(&ring_, result);
    --in_kernel_;
  }
}

void Ring::stop_watching(std::function<void()> ended) noexcept {
  if (watch_ == nullptr) return ended();
  watch_->replace([this, ended = std::move(ended)](Status) {
    watch_ = nullptr;
    ended();
  });
  host_.forget_fd(ring_.ring_fd);
}

}  // namespace rideau::backend
