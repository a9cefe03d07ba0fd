// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/guards.hpp"

#include "framework/base/assert.hpp"
#include "framework/base/checksum.hpp"
#include "framework/plugin_host/guard_core.hpp"
#include "framework/plugin_host/guard_host.hpp"
#include "framework/plugin_host/guard_index.hpp"
#include "framework/plugin_host/guard_object.hpp"
#include "framework/plugin_host/guard_transport.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rideau {
namespace {

constexpr std::size_t kRestingCalls = 64;  // how many others end before a record is used again

// The calls that are being submitted on this thread, innermost first. The address tells threads apart.
thread_local GuardCall* submitting_here = nullptr;

const void* this_thread() noexcept { return &submitting_here; }

}  // namespace

GuardCore::GuardCore(const PluginDescriptor& descriptor, std::string instance, Runtime& runtime)
    : descriptor_(descriptor), instance_(std::move(instance)), runtime_(runtime) {}

GuardCore::~GuardCore() {
  for (GuardCall& call : calls_) {
    if (call.state.load() == GuardCall::State::completed) runtime_.forget(call);
  }
}

void GuardCore::violation(Culprit culprit, const char* call, const std::string& rule) const {
  std::fprintf(stderr, "rideau: plugin contract broken by the %s: plugin \"%s\", instance \"%s\", call %s: %s\n",
               culprit == Culprit::plugin ? "plugin" : "host", descriptor_.name, instance_.c_str(), call, rule.c_str());
  std::fflush(stderr);
  std::abort();
}

GuardCall& GuardCore::take(const char* name, const void* subject, Completion& outer, Check check) {
  GuardCall* call = nullptr;
  if (free_.size() > kRestingCalls) {
    call = free_.front();
    free_.pop_front();
  } else {
    call = &calls_.emplace_back();
  }
  call->core = this;
  call->outer = &outer;
  call->name = name;
  call->subject = subject;
  call->in_use = in_use();
  call->check = std::move(check);
  call->resume = &GuardCall::deliver;
  call->status = {};
  call->value = 0;
  call->deadline_ns = outer.deadline_ns;
  call->plugin_slot[0] = call->plugin_slot[1] = nullptr;
  call->host_slot[0] = call->host_slot[1] = nullptr;
  call->next = nullptr;
  call->state.store(GuardCall::State::pending);
  outer.plugin_slot[0] = call;
  return *call;
}

// The result is in the record: checks it, hands it to the caller, and lets the record rest.
void GuardCore::finish(GuardCall& call) {
  // A region may be reclaimed at any time before destroy.
  const bool any_time = std::strcmp(call.name, "Link::reclaim") == 0;
  if (!call.in_use && !any_time && call.status.ok()) require_in_use(call.name);
  if (call.check) call.check(call);
  call.check = nullptr;
  call.outer->status = call.status;
  call.outer->value = call.value;
  call.outer->plugin_slot[0] = nullptr;
  call.outer = nullptr;
  free_.push_back(&call);
}

Submitted GuardCore::submit(const char* name, const void* subject, Completion& outer, const Submit& plugin_call,
                            Check check) {
  require(outer.resume != nullptr, Culprit::host, name, "its completion has no resume function");
  GuardCall& call = take(name, subject, outer, std::move(check));
  call.submitting_outside = submitting_here;
  submitting_here = &call;
  ++depth_;
  const Submitted how = plugin_call(call);
  --depth_;
  submitting_here = call.submitting_outside;
  if (how == Submitted::pending) return how;
  require(how == Submitted::finished, Culprit::plugin, name, "the answer is neither pending nor finished");
  const GuardCall::State was = call.state.exchange(GuardCall::State::free);
  require(was == GuardCall::State::pending, Culprit::plugin, name,
          "answered finished, but completed the call too or passed it on to the host");
  finish(call);
  return how;
}

void GuardCall::deliver(Completion* done) noexcept {
  auto& call = *static_cast<GuardCall*>(done);
  for (const GuardCall* at = submitting_here; at != nullptr; at = at->submitting_outside) {
    call.core->require(at != &call, Culprit::plugin, call.name, "the completion arrived inside the submitting call");
  }
  const State was = call.state.exchange(State::free);
  if (was == State::free) call.core->violation(Culprit::plugin, call.name, "the completion arrived twice");
  call.core->require(was != State::pending, Culprit::plugin, call.name, "resumed by the plugin; only the host resumes");
  Completion* outer = call.outer;
  call.core->finish(call);
  outer->resume(outer);
}

void GuardCore::cancel(Instance& plugin, Completion& outer) {
  auto* call = static_cast<GuardCall*>(outer.plugin_slot[0]);
  if (call == nullptr) return;  // it ended before
  const GuardCall::State state = call->state.load();
  if (state != GuardCall::State::pending && state != GuardCall::State::delegated) return;
  const Inside inside(*this);
  plugin.cancel(*call);
}

void GuardCore::on_complete(Completion& pending, Status) noexcept {
  if (pending.resume != &GuardCall::deliver) {
    require(pending.resume != nullptr, Culprit::plugin, "Host::complete", "the completion has no resume function");
    return;  // the plugin's own
  }
  auto& call = static_cast<GuardCall&>(pending);
  GuardCall::State expected = GuardCall::State::pending;
  if (call.state.compare_exchange_strong(expected, GuardCall::State::completed)) return;
  switch (expected) {
    case GuardCall::State::completed:
      violation(Culprit::plugin, call.name, "completed twice");
    case GuardCall::State::delegated:
      violation(Culprit::plugin, call.name, "completed, but was passed on to the host, which completes it");
    default:
      violation(Culprit::plugin, call.name, "completed, but the call was not pending (it had ended before)");
  }
}

void GuardCore::on_delegate(Completion& pending, const char* to) noexcept {
  require(pending.resume != nullptr, Culprit::plugin, to, "the completion has no resume function");
  if (pending.resume != &GuardCall::deliver) return;
  auto& call = static_cast<GuardCall&>(pending);
  GuardCall::State expected = GuardCall::State::pending;
  if (call.state.compare_exchange_strong(expected, GuardCall::State::delegated)) return;
  violation(Culprit::plugin, call.name, std::string("passed on to ") + to + ", but the call had ended before");
}

void GuardCore::require_node_thread(const char* call) const noexcept {
  require(node_thread_ == nullptr || node_thread_ == this_thread(), Culprit::plugin, call,
          "called on another thread than the node's; only complete and log may be");
}

Submitted GuardCore::start(Instance& plugin, Completion& done) {
  require(life_ == Life::created, Culprit::host, "start", "it was started before");
  life_ = Life::starting;
  node_thread_ = this_thread();
  return submit(
      "start", nullptr, done, [&plugin](Completion& c) { return plugin.start(c); },
      [this](const GuardCall& call) { life_ = call.status.ok() ? Life::started : Life::failed; });
}

Submitted GuardCore::stop(Instance& plugin, Completion& done, const std::function<void()>& when_stopped) {
  require(life_ == Life::started, Culprit::host, "stop", "it is not started, or was stopped before");
  life_ = Life::stopping;
  return submit(
      "stop", nullptr, done, [&plugin](Completion& c) { return plugin.stop(c); },
      [this, when_stopped](const GuardCall&) {
        for (const GuardCall& call : calls_) {
          const GuardCall::State state = call.state.load();
          if (state == GuardCall::State::pending || state == GuardCall::State::delegated) {
            violation(Culprit::plugin, "stop", std::string("stop completed while ") + call.name + " is still pending");
          }
        }
        when_stopped();
        life_ = Life::stopped;
      });
}

void GuardCore::destroy(Instance& plugin) {
  const bool allowed =
      life_ == Life::created || life_ == Life::stopped || life_ == Life::failed || power_cut_ || may_cut_;
  require(allowed, Culprit::host, "destroy", "destroy comes only after stop has completed");
  const bool cut = power_cut_ || (life_ != Life::stopped && life_ != Life::failed);
  life_ = Life::stopped;
  power_cut_ = true;
  const Inside inside(*this);
  plugin.destroy();
  if (!cut) return;
  // What completed and was not delivered yet must not be any more: its waiters may be gone already.
  for (GuardCall& call : calls_) {
    if (call.state.load() == GuardCall::State::completed) runtime_.forget(call);
  }
}

void GuardCore::require_in_use(const char* call) const {
  require(in_use(), Culprit::plugin, call,
          life_ == Life::stopped ? "it accepted a call after stop" : "it accepted a call before start");
}

std::size_t GuardCore::pending_on(const void* subject, const char* except) const noexcept {
  std::size_t count = 0;
  for (const GuardCall& call : calls_) {
    const GuardCall::State state = call.state.load();
    const bool pending = state == GuardCall::State::pending || state == GuardCall::State::delegated;
    if (pending && call.subject == subject && std::strcmp(call.name, except) != 0) ++count;
  }
  return count;
}

std::uint64_t size_of(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < count; ++i) size += parts[i].size;
  return size;
}

LentParts::LentParts(const IoVec* parts, std::uint32_t count, std::uint64_t bytes_max)
    : array_(parts), parts_(parts, parts + count), size_(size_of(parts, count)), summed_(size_ <= bytes_max) {
  if (summed_) sum_ = crc32c(parts_.data(), count, size_);
}

bool LentParts::unchanged() const noexcept {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (array_[i].base != parts_[i].base || array_[i].size != parts_[i].size) return false;
  }
  return !summed_ || crc32c(parts_.data(), static_cast<std::uint32_t>(parts_.size()), size_) == sum_;
}

PluginGuard::PluginGuard(const PluginDescriptor& descriptor, const std::string& instance, Host& real, Runtime& runtime)
    : descriptor_(descriptor),
      core_(std::make_unique<GuardCore>(descriptor, instance, runtime)),
      host_(std::make_unique<GuardHost>(*core_, real)) {}

PluginGuard::~PluginGuard() = default;

Host& PluginGuard::host() noexcept { return *host_; }

void PluginGuard::power_cut() noexcept { core_->power_cut(); }

void PluginGuard::allow_power_cut() noexcept { core_->allow_power_cut(); }

Instance& PluginGuard::wrap(Instance& made) {
  switch (descriptor_.kind) {
    case PluginKind::transport:
      transport_ = std::make_unique<GuardTransport>(*core_, static_cast<Transport&>(made));
      return *transport_;
    case PluginKind::index_store:
      index_store_ = std::make_unique<GuardIndexStore>(*core_, static_cast<IndexStore&>(made));
      return *index_store_;
    case PluginKind::object_store:
      object_store_ = std::make_unique<GuardObjectStore>(*core_, static_cast<ObjectStore&>(made));
      return *object_store_;
  }
  core_->violation(Culprit::plugin, "create", "the kind in its descriptor is unknown");
}

}  // namespace rideau
