// SPDX-License-Identifier: Apache-2.0
// Runtime: the world of one node. Time, timers, randomness, readiness of descriptors, blocking work, and the queue from
// which everything resumes. RealRuntime runs on epoll and threads; the simulator has its own, with one event queue and
// one seed for all nodes. Nothing else in framework/ and plugins/ may ask the operating system for any of these.
//
// Threads: a node has one thread; every function except complete() is called on it.
#pragma once

#include "framework/base/uuid.hpp"
#include "rideau/buffer.hpp"
#include "rideau/completion.hpp"

#include <cstdint>

namespace rideau {

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual std::uint64_t now_ns() noexcept = 0;  // monotonic
  virtual std::int64_t wall_ns() noexcept = 0;  // since 1970, UTC; may jump: for time stamps only
  virtual void random(MutableBytes out) noexcept = 0;
  // Another one each time the machine starts, and the same until then; nil where it cannot be told.
  virtual Uuid machine_boot() { return {}; }

  virtual Submitted sleep(std::uint64_t ns, Completion& done) noexcept = 0;
  virtual Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept = 0;  // as Host::wait_fd
  virtual void forget_fd(int fd) noexcept = 0;                                             // as Host::forget_fd
  virtual void run_blocking(Job& job, Completion& done) noexcept = 0;
  // Stores the result and queues the completion; it is resumed on the node's thread, never inside this call.
  virtual void complete(Completion& done, Status status, std::uint64_t value) noexcept = 0;  // any thread
  // Ends a pending sleep or wait_fd early: its completion arrives later with cancelled.
  virtual void cancel(Completion& pending) noexcept = 0;
  // Drops a pending sleep, wait_fd, or a queued completion at once: it will not be resumed, and its memory may go.
  // Not for run_blocking, whose job cannot be taken back.
  virtual void forget(Completion& pending) noexcept = 0;
};

inline std::uint64_t random64(Runtime& runtime) noexcept {
  std::uint64_t value = 0;
  runtime.random(MutableBytes(&value, sizeof value));
  return value;
}

constexpr std::uint64_t kMicrosecond = 1'000;
constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace rideau
