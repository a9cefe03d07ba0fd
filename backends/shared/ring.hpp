// SPDX-License-Identifier: Apache-2.0
// An io_uring that is driven from the node's thread: its owner prepares, sends and reaps, and is called when results
// wait in it or when the kernel may take again what it refused for want of memory.
#pragma once

#include "work.hpp"

#include <cstdint>
#include <functional>
#include <string>

#include <liburing.h>

namespace rideau::backend {

class Ring {
 public:
  using Take = std::function<void(void* data, int result)>;

  // `work` is called on the node's thread; it sends and reaps.
  Ring(Host& host, std::function<void()> work) : host_(host), work_(std::move(work)) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  // `message` says what went wrong. Waits for results from then on.
  Status open(std::uint32_t entries, std::string* message) noexcept;
  // At most as many requests as the ring has entries; the next one must wait for reap(). The owner sets the data of it.
  io_uring_sqe& prepare() noexcept;
  std::uint32_t in_kernel() const noexcept { return in_kernel_; }  // prepared and not reaped
  void send() noexcept;
  // Hands over every result that is there; true when there was one.
  template <class Function>
  bool reap(Function&& take) noexcept {
    bool any = false;
    io_uring_cqe* result = nullptr;
    while (open_ && io_uring_peek_cqe(&ring_, &result) == 0) {
      void* data = io_uring_cqe_get_data(result);
      const int value = result->res;
      io_uring_cqe_seen(&ring_, result);
      --in_kernel_;
      any = true;
      take(data, value);
    }
    return any;
  }
  // Nothing is called any more; waits for what the kernel still has, since it may be at work in lent memory.
  void drain(const Take& take) noexcept;
  // `ended` is called when the host holds nothing of this ring; at once when it never did.
  void stop_watching(std::function<void()> ended) noexcept;

  bool is_open() const noexcept { return open_; }
  bool retries() const noexcept { return retry_ != nullptr; }
  io_uring* get() noexcept { return &ring_; }

 private:
  bool watch() noexcept;

  Host& host_;
  const std::function<void()> work_;
  io_uring ring_{};
  bool open_ = false;
  std::uint32_t in_kernel_ = 0;
  std::uint32_t unsubmitted_ = 0;
  Wakeup* watch_ = nullptr;  // the pending wait for results
  Wakeup* retry_ = nullptr;  // the pending sleep after the kernel refused a submission
};

}  // namespace rideau::backend
