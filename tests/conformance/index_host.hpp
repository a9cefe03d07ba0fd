// SPDX-License-Identifier: Apache-2.0
// TestHost: a Host on a runtime that keeps what was logged, for tests that make plugin instances themselves.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "rideau/host.hpp"

#include <mutex>
#include <string>
#include <utility>

namespace rideau {

class TestHost final : public Host {
 public:
  explicit TestHost(Runtime& runtime) : runtime_(runtime) {}

  std::uint64_t now_ns() noexcept override { return runtime_.now_ns(); }
  void random(MutableBytes out) noexcept override { runtime_.random(out); }
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override { return runtime_.sleep(ns, done); }
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override {
    return runtime_.wait_fd(fd, events, done);
  }
  void forget_fd(int fd) noexcept override { runtime_.forget_fd(fd); }
  void cancel(Completion& pending) noexcept override { runtime_.cancel(pending); }
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override {
    runtime_.complete(pending, status, value);
  }
  void run_blocking(Job& job, Completion& done) noexcept override { runtime_.run_blocking(job, done); }
  Status open(Text, PluginKind, Instance** out) noexcept override {
    if (wired_ == nullptr) return {Code::not_found, 0, "nothing is wired"};
    *out = wired_;
    return kOk;
  }
  // What instances that are started from now on get, whatever they ask for.
  void wire(Instance* instance) noexcept { wired_ = instance; }
  void log(Level, Text message) noexcept override {
    const std::lock_guard lock(mutex_);
    log_ += message.view();
    log_ += '\n';
  }
  void count(Tally, std::uint64_t) noexcept override {}
  std::string take_log() {
    const std::lock_guard lock(mutex_);
    return std::exchange(log_, {});
  }

 private:
  Runtime& runtime_;
  Instance* wired_ = nullptr;
  std::mutex mutex_;
  std::string log_;
};

}  // namespace rideau
