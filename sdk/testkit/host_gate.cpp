// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/host_gate.hpp"

#include <utility>

namespace rideau {

HostGate::~HostGate() {
  // A job that still runs is waited for by the runtime, which goes after this and resumes nothing any more.
  while (expected_ != nullptr) delete std::exchange(expected_, expected_->after);
}

HostGate::Arrival& HostGate::expect(Completion& plugins) {
  auto* arrival = new Arrival;
  arrival->gate = this;
  arrival->plugins = &plugins;
  arrival->deadline_ns = plugins.deadline_ns;
  arrival->resume = [](Completion* done) noexcept {
    auto* here = static_cast<Arrival*>(done);
    here->gate->arrived(*here);
  };
  plugins.host_slot[0] = arrival;
  const std::lock_guard lock(mutex_);
  arrival->after = expected_;
  if (expected_ != nullptr) expected_->before = arrival;
  expected_ = arrival;
  return *arrival;
}

void HostGate::end(Arrival& arrival) {
  {
    const std::lock_guard lock(mutex_);
    (arrival.before != nullptr ? arrival.before->after : expected_) = arrival.after;
    if (arrival.after != nullptr) arrival.after->before = arrival.before;
  }
  delete &arrival;
}

Submitted HostGate::submitted(Arrival& arrival, Submitted how) {
  if (how == Submitted::pending) return how;
  Completion& plugins = *arrival.plugins;
  plugins.host_slot[0] = nullptr;
  const Status status = arrival.status;
  const std::uint64_t value = arrival.value;
  end(arrival);
  return plugins.finish(status, value);
}

Submitted HostGate::sleep(std::uint64_t ns, Completion& done) noexcept {
  if (dead_) return Submitted::pending;
  Arrival& arrival = expect(done);
  return submitted(arrival, real_.sleep(ns, arrival));
}

Submitted HostGate::wait_fd(int fd, std::uint32_t events, Completion& done) noexcept {
  if (dead_) return Submitted::pending;
  Arrival& arrival = expect(done);
  return submitted(arrival, real_.wait_fd(fd, events, arrival));
}

void HostGate::cancel(Completion& pending) noexcept {
  if (dead_ || pending.host_slot[0] == nullptr) return;
  real_.cancel(*static_cast<Arrival*>(pending.host_slot[0]));
}

void HostGate::complete(Completion& pending, Status status, std::uint64_t value) noexcept {
  if (!dead_) real_.complete(expect(pending), status, value);
}

void HostGate::run_blocking(Job& job, Completion& done) noexcept {
  if (!dead_) real_.run_blocking(job, expect(done));
}

void HostGate::arrived(Arrival& arrival) {
  if (dead_) {
    end(arrival);
  } else if (held_back_ || delay_ns_ != 0 || !held_.empty()) {
    held_.push_back(&arrival);
    if (!held_back_) wait_for_next();
  } else {
    deliver(arrival);
  }
}

void HostGate::deliver(Arrival& arrival) {
  Completion& plugins = *arrival.plugins;
  plugins.host_slot[0] = nullptr;
  plugins.status = arrival.status;
  plugins.value = arrival.value;
  end(arrival);
  if (die_ != nullptr && arrivals_ == dies_at_) {
    std::exchange(die_, nullptr)();
    return;
  }
  ++arrivals_;
  plugins.resume(&plugins);
}

void HostGate::let_go() noexcept {
  held_back_ = false;
  if (!held_.empty()) wait_for_next();
}

void HostGate::delay(std::uint64_t most_ns, std::uint64_t seed) {
  delay_ns_ = most_ns;
  dice_ = Dice(seed);
}

// One at a time, so that what is delivered may hold, delay or kill again.
void HostGate::wait_for_next() {
  if (timer_.pending) return;
  timer_.gate = this;
  timer_.resume = [](Completion* done) noexcept { static_cast<Timer*>(done)->gate->on_timer(); };
  timer_.pending = true;
  if (delay_ns_ != 0 && real_.sleep(dice_.below(delay_ns_), timer_) == Submitted::pending) return;
  real_.complete(timer_, kOk, 0);
}

void HostGate::on_timer() {
  timer_.pending = false;
  if (dead_ || held_back_ || held_.empty()) return;
  Arrival& next = *held_.front();
  held_.pop_front();
  if (!held_.empty()) wait_for_next();
  deliver(next);
}

void HostGate::die_at(std::uint64_t arrival, std::function<void()> die) {
  dies_at_ = arrivals_ + arrival;
  die_ = std::move(die);
}

void HostGate::kill() noexcept {
  dead_ = true;
  die_ = nullptr;
  for (Arrival* arrival : std::exchange(held_, {})) end(*arrival);
  // Sleeps end early; descriptors are forgotten by the instance when it goes.
  std::deque<Arrival*> rest;
  for (Arrival* arrival = expected_; arrival != nullptr; arrival = arrival->after) rest.push_back(arrival);
  for (Arrival* arrival : rest) real_.cancel(*arrival);
}

}  // namespace rideau
