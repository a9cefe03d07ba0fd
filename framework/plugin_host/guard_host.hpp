// SPDX-License-Identifier: Apache-2.0
// The Host that a guarded plugin sees. Private to this folder.
#pragma once

#include "framework/plugin_host/guard_core.hpp"

namespace rideau {

class GuardHost final : public Host {
 public:
  GuardHost(GuardCore& core, Host& real) noexcept : core_(core), real_(real) {}

  std::uint64_t now_ns() noexcept override;
  void random(MutableBytes out) noexcept override;
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override;
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override;
  void forget_fd(int fd) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override;
  void run_blocking(Job& job, Completion& done) noexcept override;
  Status open(Text role, PluginKind kind, Instance** out) noexcept override;
  void log(Level level, Text message) noexcept override;
  void count(Tally what, std::uint64_t amount) noexcept override;

 private:
  GuardCore& core_;
  Host& real_;
};

}  // namespace rideau
