// SPDX-License-Identifier: Apache-2.0
// NodeHost: the Host object of one plugin instance, on the runtime and the log of its node.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/runtime/runtime.hpp"
#include "rideau/host.hpp"

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace rideau {

class NodeHost final : public Host {
 public:
  // `instance` stands in front of each line that the plugin logs: "oss0.index".
  NodeHost(Runtime& runtime, Logger& logger, std::string instance);
  ~NodeHost();
  NodeHost(const NodeHost&) = delete;
  NodeHost& operator=(const NodeHost&) = delete;

  // What open(role, kind) answers. The instance outlives this host.
  void wire(const std::string& role, PluginKind kind, Instance& instance);

  // From now on every call does nothing, and what the plugin waits for (sleeps, descriptors, jobs) never arrives:
  // before destroy() without stop(). A job that runs already runs to its end.
  void kill() noexcept;
  bool dead() const noexcept { return dead_.load(std::memory_order_relaxed); }

  // The last warning or error that the plugin logged: the details of a create() or start() that failed.
  std::string last_complaint() const;

  std::uint64_t now_ns() noexcept override { return runtime_.now_ns(); }
  void random(MutableBytes out) noexcept override { runtime_.random(out); }
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override;
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override;
  void forget_fd(int fd) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override;
  void run_blocking(Job& job, Completion& done) noexcept override;
  Status open(Text role, PluginKind kind, Instance** out) noexcept override;
  void log(Level level, Text message) noexcept override;
  void count(Tally what, std::uint64_t amount) noexcept override;

  // So far; any thread.
  std::uint64_t counted(Tally what) const noexcept;

 private:
  struct Wait;
  struct Wired {
    PluginKind kind;
    Instance* instance;
  };
  Wait& new_wait(Completion& plugins) noexcept;
  void end_wait(Wait& wait) noexcept;
  Submitted submitted(Wait& wait, Submitted how) noexcept;

  Runtime& runtime_;
  Logger& logger_;
  std::string instance_;
  std::map<std::string, Wired, std::less<>> wired_;
  std::atomic<bool> dead_{false};
  Wait* waits_ = nullptr;  // pending, doubly linked
  Wait* free_waits_ = nullptr;
  std::array<std::atomic<std::uint64_t>, kTallies> tallies_{};
  mutable std::mutex complaint_mutex_;
  std::string last_complaint_;
};

}  // namespace rideau
