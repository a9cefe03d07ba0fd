// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/instance.hpp"

#include "framework/base/result.hpp"
#include "framework/runtime/await.hpp"

#include <cstring>

namespace rideau {

// On the heap, since a plugin that does not stop in time may complete it at any later moment.
struct PluginInstance::Stopping : Completion {
  explicit Stopping(Runtime& runtime) : waiters(runtime) {
    resume = [](Completion* done) noexcept {
      auto* self = static_cast<Stopping*>(done);
      self->stopped = true;
      self->waiters.wake_all();
    };
  }
  bool stopped = false;
  bool expired = false;
  WaitQueue waiters;
};

std::string status_text(Status status) {
  std::string text = code_name(status.code);
  if (status.os_error != 0) text += std::string(" (") + std::strerror(status.os_error) + ")";
  if (status.where != nullptr && *status.where != '\0') text += std::string(" in ") + status.where;
  return text;
}

PluginInstance::PluginInstance(Runtime& runtime, Logger& logger, const PluginDescriptor& descriptor,
                               PluginInstanceOptions options)
    : runtime_(runtime),
      logger_(logger),
      descriptor_(descriptor),
      options_(std::move(options)),
      host_(std::make_unique<NodeHost>(runtime, logger, options_.name)) {
  if (options_.guarded) {
    guard_ = std::make_unique<PluginGuard>(descriptor_, options_.name, *host_, runtime_);
  }
}

PluginInstance::~PluginInstance() {
  if (state_ == State::abandoned) {
    // It may still run; its memory and everything it can reach stays.
    static_cast<void>(host_.release());
    static_cast<void>(guard_.release());
    static_cast<void>(stopping_.release());
    return;
  }
  // Also where a node is given up while it starts.
  if (state_ == State::starting || state_ == State::started) kill();
  if (instance_ != nullptr) instance_->destroy();
}

void PluginInstance::wire(const std::string& role, PluginInstance& other) {
  host_->wire(role, other.descriptor_.kind, other.instance());
}

Status PluginInstance::fail(const char* what, Status status) {
  message_ =
      std::string("plugin \"") + descriptor_.name + "\" (" + options_.name + ") " + what + ": " + status_text(status);
  if (const std::string said = host_->last_complaint(); !said.empty()) message_ += ": " + said;
  logger_.error("%s", message_.c_str());
  return status;
}

Status PluginInstance::create(const ConfigValue* values) {
  RIDEAU_ASSERT(state_ == State::empty);
  Instance* made = nullptr;
  Host& host = guard_ != nullptr ? guard_->host() : static_cast<Host&>(*host_);
  const Status status = descriptor_.create(host, values, &made);
  if (!status.ok()) return fail("cannot be created", status);
  if (made == nullptr)
    return fail("cannot be created", {Code::invalid, 0, "create: it answered ok without an instance"});
  instance_ = guard_ != nullptr ? &guard_->wrap(*made) : made;
  state_ = State::created;
  return kOk;
}

Task<Status> PluginInstance::start() {
  RIDEAU_ASSERT(state_ == State::created);
  state_ = State::starting;
  const Outcome done = co_await submit([this](Completion& c) { return instance_->start(c); });
  state_ = done.ok() ? State::started : State::created;
  if (!done.ok()) co_return fail("cannot start", done.status);
  co_return kOk;
}

Task<Status> PluginInstance::stop() {
  if (state_ != State::started) co_return kOk;
  stopping_ = std::make_unique<Stopping>(runtime_);
  Stopping& stopping = *stopping_;
  stopping.deadline_ns = runtime_.now_ns() + options_.stop_ns_max;
  if (instance_->stop(stopping) == Submitted::finished) stopping.stopped = true;
  Alarm alarm(runtime_, [&stopping] {
    stopping.expired = true;
    stopping.waiters.wake_all();
  });
  if (!stopping.stopped) alarm.set(options_.stop_ns_max);
  while (!stopping.stopped && !stopping.expired) co_await stopping.waiters.wait();
  if (!stopping.stopped) {
    state_ = State::abandoned;
    host_->kill();
    const Status late{Code::timed_out, 0, "stop"};
    co_return fail("did not stop in time and is left behind", late);
  }
  state_ = State::stopped;
  if (!stopping.status.ok()) co_return fail("failed while it stopped", stopping.status);
  co_return kOk;
}

void PluginInstance::kill() noexcept {
  host_->kill();
  if (guard_ != nullptr) guard_->power_cut();
  if (state_ == State::starting || state_ == State::started) state_ = State::stopped;
}

Instance& PluginInstance::instance() {
  RIDEAU_ASSERT(instance_ != nullptr);
  return *instance_;
}

Transport& PluginInstance::transport() {
  RIDEAU_ASSERT(descriptor_.kind == PluginKind::transport);
  return static_cast<Transport&>(instance());
}

IndexStore& PluginInstance::index_store() {
  RIDEAU_ASSERT(descriptor_.kind == PluginKind::index_store);
  return static_cast<IndexStore&>(instance());
}

ObjectStore& PluginInstance::object_store() {
  RIDEAU_ASSERT(descriptor_.kind == PluginKind::object_store);
  return static_cast<ObjectStore&>(instance());
}

}  // namespace rideau
