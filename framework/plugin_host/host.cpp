// SPDX-License-Identifier: Apache-2.0
// The host keeps a record of its own for every sleep, wait and job of the plugin: so that these can be dropped when the
// instance is destroyed without stop(), and nothing resumes into memory that is gone.
#include "framework/plugin_host/host.hpp"

#include "framework/base/assert.hpp"

namespace rideau {

struct NodeHost::Wait : Completion {
  NodeHost* host = nullptr;       // null: the host is gone, the record frees itself
  Completion* plugins = nullptr;  // null: killed
  Wait* before = nullptr;
  Wait* after = nullptr;
  bool is_job = false;
};

NodeHost::NodeHost(Runtime& runtime, Logger& logger, std::string instance)
    : runtime_(runtime), logger_(logger), instance_(std::move(instance)) {}

NodeHost::~NodeHost() {
  kill();
  while (waits_ != nullptr) {  // jobs that still run
    Wait* wait = waits_;
    waits_ = wait->after;
    wait->host = nullptr;
  }
  while (free_waits_ != nullptr) {
    Wait* wait = free_waits_;
    free_waits_ = wait->after;
    delete wait;
  }
}

void NodeHost::wire(const std::string& role, PluginKind kind, Instance& instance) {
  wired_.insert_or_assign(role, Wired{kind, &instance});
}

void NodeHost::kill() noexcept {
  dead_.store(true, std::memory_order_relaxed);
  for (Wait* wait = waits_; wait != nullptr;) {
    Wait* after = wait->after;
    wait->plugins = nullptr;
    if (!wait->is_job) {
      runtime_.forget(*wait);
      end_wait(*wait);
    }
    wait = after;
  }
}

NodeHost::Wait& NodeHost::new_wait(Completion& plugins) noexcept {
  Wait* wait = free_waits_;
  if (wait != nullptr) {
    free_waits_ = wait->after;
    *wait = Wait{};
  } else {
    wait = new Wait;
  }
  wait->host = this;
  wait->plugins = &plugins;
  wait->deadline_ns = plugins.deadline_ns;
  wait->resume = [](Completion* done) noexcept {
    auto* record = static_cast<Wait*>(done);
    NodeHost* host = record->host;
    if (host == nullptr) {
      delete record;
      return;
    }
    Completion* waiter = record->plugins;
    const Status status = record->status;
    const std::uint64_t value = record->value;
    host->end_wait(*record);
    if (waiter == nullptr) return;
    waiter->host_slot[0] = nullptr;
    waiter->status = status;
    waiter->value = value;
    waiter->resume(waiter);
  };
  wait->after = waits_;
  if (waits_ != nullptr) waits_->before = wait;
  waits_ = wait;
  plugins.host_slot[0] = wait;
  return *wait;
}

void NodeHost::end_wait(Wait& wait) noexcept {
  (wait.before != nullptr ? wait.before->after : waits_) = wait.after;
  if (wait.after != nullptr) wait.after->before = wait.before;
  wait.before = nullptr;
  wait.after = free_waits_;
  free_waits_ = &wait;
}

Submitted NodeHost::submitted(Wait& wait, Submitted how) noexcept {
  if (how == Submitted::pending) return how;
  Completion& plugins = *wait.plugins;
  plugins.host_slot[0] = nullptr;
  const Status status = wait.status;
  const std::uint64_t value = wait.value;
  end_wait(wait);
  return plugins.finish(status, value);
}

Submitted NodeHost::sleep(std::uint64_t ns, Completion& done) noexcept {
  if (dead()) return Submitted::pending;
  Wait& wait = new_wait(done);
  return submitted(wait, runtime_.sleep(ns, wait));
}

Submitted NodeHost::wait_fd(int fd, std::uint32_t events, Completion& done) noexcept {
  if (dead()) return Submitted::pending;
  Wait& wait = new_wait(done);
  return submitted(wait, runtime_.wait_fd(fd, events, wait));
}

void NodeHost::forget_fd(int fd) noexcept { runtime_.forget_fd(fd); }

void NodeHost::cancel(Completion& pending) noexcept {
  if (dead() || pending.host_slot[0] == nullptr) return;
  auto* wait = static_cast<Wait*>(pending.host_slot[0]);
  if (!wait->is_job) runtime_.cancel(*wait);
}

void NodeHost::complete(Completion& pending, Status status, std::uint64_t value) noexcept {
  if (!dead()) runtime_.complete(pending, status, value);
}

void NodeHost::run_blocking(Job& job, Completion& done) noexcept {
  if (dead()) return;
  Wait& wait = new_wait(done);
  wait.is_job = true;
  runtime_.run_blocking(job, wait);
}

Status NodeHost::open(Text role, PluginKind kind, Instance** out) noexcept {
  const auto found = wired_.find(role.view());
  if (found == wired_.end()) return {Code::not_found, 0, "nothing is wired to this instance under that role"};
  if (found->second.kind != kind) return {Code::invalid, 0, "another kind of instance is wired under that role"};
  *out = found->second.instance;
  return kOk;
}

void NodeHost::log(Level level, Text message) noexcept {
  if (dead()) return;
  if (level >= Level::warning) {
    const std::lock_guard lock(complaint_mutex_);
    last_complaint_.assign(message.view().substr(0, 1024));
  }
  if (!logger_.enabled(level)) return;
  std::string line = instance_;
  line += ": ";
  line += message.view();
  logger_.write(level, line);
}

void NodeHost::count(Tally what, std::uint64_t amount) noexcept {
  const auto index = static_cast<std::size_t>(what);
  if (index < tallies_.size()) tallies_[index].fetch_add(amount, std::memory_order_relaxed);
}

std::uint64_t NodeHost::counted(Tally what) const noexcept {
  return tallies_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
}

std::string NodeHost::last_complaint() const {
  const std::lock_guard lock(complaint_mutex_);
  return last_complaint_;
}

}  // namespace rideau
