// SPDX-License-Identifier: Apache-2.0
// Checks what the plugin asks of its host. A pending call of the plugin that it passes to sleep, wait_fd or
// run_blocking is completed by the host; then the plugin must not complete it as well.
#include "framework/plugin_host/guard_host.hpp"

namespace rideau {

std::uint64_t GuardHost::now_ns() noexcept {
  core_.require_node_thread("Host::now_ns");
  return real_.now_ns();
}

void GuardHost::random(MutableBytes out) noexcept {
  core_.require_node_thread("Host::random");
  real_.random(out);
}

Submitted GuardHost::sleep(std::uint64_t ns, Completion& done) noexcept {
  core_.require_node_thread("Host::sleep");
  const Submitted how = real_.sleep(ns, done);
  if (how == Submitted::pending) core_.on_delegate(done, "Host::sleep");
  return how;
}

Submitted GuardHost::wait_fd(int fd, std::uint32_t events, Completion& done) noexcept {
  core_.require_node_thread("Host::wait_fd");
  core_.require(fd >= 0, Culprit::plugin, "Host::wait_fd", "the descriptor is negative");
  core_.require(events != 0 && (events & ~(kWaitReadable | kWaitWritable)) == 0, Culprit::plugin, "Host::wait_fd",
                "the events are none or unknown");
  const Submitted how = real_.wait_fd(fd, events, done);
  if (how == Submitted::pending) core_.on_delegate(done, "Host::wait_fd");
  return how;
}

void GuardHost::forget_fd(int fd) noexcept {
  core_.require_node_thread("Host::forget_fd");
  real_.forget_fd(fd);
}

void GuardHost::cancel(Completion& pending) noexcept {
  core_.require_node_thread("Host::cancel");
  real_.cancel(pending);
}

void GuardHost::complete(Completion& pending, Status status, std::uint64_t value) noexcept {
  core_.on_complete(pending, status);
  real_.complete(pending, status, value);
}

void GuardHost::run_blocking(Job& job, Completion& done) noexcept {
  core_.require_node_thread("Host::run_blocking");
  core_.require(job.run != nullptr, Culprit::plugin, "Host::run_blocking", "the job has no function to run");
  core_.on_delegate(done, "Host::run_blocking");
  real_.run_blocking(job, done);
}

Status GuardHost::open(Text role, PluginKind kind, Instance** out) noexcept {
  core_.require_node_thread("Host::open");
  core_.require(out != nullptr, Culprit::plugin, "Host::open", "there is no place for the answer");
  return real_.open(role, kind, out);
}

void GuardHost::log(Level level, Text message) noexcept {
  core_.require(static_cast<std::uint32_t>(level) <= static_cast<std::uint32_t>(Level::error), Culprit::plugin,
                "Host::log", "the level is unknown");
  real_.log(level, message);
}

void GuardHost::count(Tally what, std::uint64_t amount) noexcept {
  core_.require(static_cast<std::uint32_t>(what) < kTallies, Culprit::plugin, "Host::count", "the tally is unknown");
  real_.count(what, amount);
}

}  // namespace rideau
