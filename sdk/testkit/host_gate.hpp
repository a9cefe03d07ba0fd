// SPDX-License-Identifier: Apache-2.0
// HostGate: a host of one instance through which faults of its node are made. What arrives for the instance (timers,
// descriptors, jobs, completions of calls) can be held as if the process had been stopped, come late, or end with the
// instance, as when its machine dies. It works whatever the transport is made of.
//
// Threads: complete(), log() and count() from any, the others on the node's.
#pragma once

#include "rideau/host.hpp"
#include "sdk/testkit/dice.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace rideau {

class HostGate final : public Host {
 public:
  explicit HostGate(Host& real) noexcept : real_(real) {}
  HostGate(const HostGate&) = delete;
  HostGate& operator=(const HostGate&) = delete;
  ~HostGate();

  // From now on nothing arrives, until let_go(): then all of it, in order.
  void hold() noexcept { held_back_ = true; }
  void let_go() noexcept;
  // Each arrival takes up to so much longer, in order. 0: no longer.
  void delay(std::uint64_t most_ns, std::uint64_t seed);
  // Calls `die` in the place of the arrival of that number, counted from now on; 0: the next one.
  void die_at(std::uint64_t arrival, std::function<void()> die);
  void live_on() noexcept { die_ = nullptr; }
  std::uint64_t arrivals() const noexcept { return arrivals_; }  // so far
  // Nothing arrives any more, for good; before destroy() of the instance without stop().
  void kill() noexcept;

  std::uint64_t now_ns() noexcept override { return real_.now_ns(); }
  void random(MutableBytes out) noexcept override { real_.random(out); }
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override;
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override;
  void forget_fd(int fd) noexcept override { real_.forget_fd(fd); }
  void cancel(Completion& pending) noexcept override;
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override;
  void run_blocking(Job& job, Completion& done) noexcept override;
  Status open(Text role, PluginKind kind, Instance** out) noexcept override { return real_.open(role, kind, out); }
  void log(Level level, Text message) noexcept override { real_.log(level, message); }
  void count(Tally what, std::uint64_t amount) noexcept override { real_.count(what, amount); }

 private:
  // In the place of what the plugin waits with, from the call to the delivery.
  struct Arrival : Completion {
    HostGate* gate = nullptr;
    Completion* plugins = nullptr;
    Arrival* before = nullptr;
    Arrival* after = nullptr;
  };
  struct Timer : Completion {
    HostGate* gate = nullptr;
    bool pending = false;
  };

  Arrival& expect(Completion& plugins);
  Submitted submitted(Arrival& arrival, Submitted how);
  void arrived(Arrival& arrival);
  void deliver(Arrival& arrival);
  void end(Arrival& arrival);
  void wait_for_next();
  void on_timer();

  Host& real_;
  std::mutex mutex_;  // of expected_
  Arrival* expected_ = nullptr;
  std::deque<Arrival*> held_;
  bool held_back_ = false;
  bool dead_ = false;
  std::uint64_t delay_ns_ = 0;
  Dice dice_{0};
  Timer timer_;
  std::uint64_t arrivals_ = 0;
  std::uint64_t dies_at_ = 0;
  std::function<void()> die_;
};

}  // namespace rideau
