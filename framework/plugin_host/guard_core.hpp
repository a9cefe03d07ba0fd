// SPDX-License-Identifier: Apache-2.0
// What the guards of all interfaces share: the record of each call, the life of the instance, the report of a
// violation. Private to this folder.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "rideau/abi.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace rideau {

class GuardCore;

enum class Culprit { plugin, host };

// Given to the plugin in place of the caller's completion. Records are reused late, so that a second completion of a
// call is likely to meet a free one.
struct GuardCall : Completion {
  enum class State : std::uint8_t { free, pending, delegated, completed };

  GuardCore* core = nullptr;
  Completion* outer = nullptr;
  const char* name = "";
  const void* subject = nullptr;                // the link it belongs to, if any
  bool in_use = false;                          // submitted between start and the end of stop
  std::function<void(const GuardCall&)> check;  // looks at status and value when the result is there
  std::atomic<State> state{State::free};
  GuardCall* submitting_outside = nullptr;  // the call in whose submission this one was submitted

  static void deliver(Completion* done) noexcept;
};

class GuardCore {
 public:
  enum class Life { created, starting, started, stopping, stopped, failed };
  using Check = std::function<void(const GuardCall&)>;
  using Submit = std::function<Submitted(Completion&)>;

  GuardCore(const PluginDescriptor& descriptor, std::string instance, Runtime& runtime);
  ~GuardCore();

  [[noreturn]] void violation(Culprit culprit, const char* call, const std::string& rule) const;
  void require(bool holds, Culprit culprit, const char* call, const char* rule) const {
    if (!holds) violation(culprit, call, rule);
  }

  // Passes one asynchronous call on to the plugin.
  Submitted submit(const char* name, const void* subject, Completion& outer, const Submit& plugin_call, Check check);
  void cancel(Instance& plugin, Completion& outer);

  // Around a synchronous call into the plugin: events must not come inside.
  class Inside {
   public:
    explicit Inside(GuardCore& core) noexcept : core_(core) { ++core_.depth_; }
    ~Inside() { --core_.depth_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    GuardCore& core_;
  };
  bool inside_a_call() const noexcept { return depth_ != 0; }

  // From the guard of the host.
  void on_complete(Completion& pending, Status status) noexcept;  // any thread
  void on_delegate(Completion& pending, const char* to) noexcept;
  void require_node_thread(const char* call) const noexcept;

  // The life of the instance.
  Submitted start(Instance& plugin, Completion& done);
  Submitted stop(Instance& plugin, Completion& done, const std::function<void()>& when_stopped);
  void destroy(Instance& plugin);
  // For a call that the plugin accepted: it may do so from the start to the end of stop; else it answers closed.
  void require_in_use(const char* call) const;
  void power_cut() noexcept { power_cut_ = true; }
  void allow_power_cut() noexcept { may_cut_ = true; }
  // What the host still has to give back when the instance goes: everything, unless the power was cut.
  bool owes_nothing() const noexcept { return power_cut_ || (may_cut_ && life_ != Life::stopped); }
  bool has_power_cut() const noexcept { return power_cut_; }
  bool stopped() const noexcept { return life_ == Life::stopped; }
  bool in_use() const noexcept { return (life_ != Life::created && life_ != Life::failed && !stopped()) || power_cut_; }

  std::size_t pending_on(const void* subject, const char* except) const noexcept;
  std::uint64_t capabilities() const noexcept { return descriptor_.capabilities; }

 private:
  friend struct GuardCall;
  GuardCall& take(const char* name, const void* subject, Completion& outer, Check check);
  void finish(GuardCall& call);

  const PluginDescriptor& descriptor_;
  std::string instance_;
  Runtime& runtime_;
  Life life_ = Life::created;
  bool power_cut_ = false;
  bool may_cut_ = false;
  std::uint32_t depth_ = 0;
  const void* node_thread_ = nullptr;
  std::deque<GuardCall> calls_;
  std::deque<GuardCall*> free_;
};

std::uint64_t size_of(const IoVec* parts, std::uint32_t count) noexcept;

// Bytes of the host that the plugin reads until the completion: they must not change, nor may the array of parts. What
// is larger than `bytes_max` will be refused and is not touched.
class LentParts {
 public:
  LentParts(const IoVec* parts, std::uint32_t count, std::uint64_t bytes_max);
  std::uint64_t size() const noexcept { return size_; }
  bool unchanged() const noexcept;

 private:
  const IoVec* array_;
  std::vector<IoVec> parts_;
  std::uint64_t size_ = 0;
  bool summed_ = false;
  std::uint32_t sum_ = 0;
};

// start, stop, cancel and destroy of a guarded instance.
template <class Interface>
class GuardedLife : public Interface {
 public:
  GuardedLife(GuardCore& core, Interface& plugin) : core_(core), plugin_(plugin) {}
  virtual ~GuardedLife() = default;

  Submitted start(Completion& done) noexcept override { return core_.start(plugin_, done); }
  Submitted stop(Completion& done) noexcept override {
    return core_.stop(plugin_, done, [this] { when_stopped(); });
  }
  void cancel(Completion& pending) noexcept override { core_.cancel(plugin_, pending); }
  void destroy() noexcept override {
    before_destroy();
    core_.destroy(plugin_);
  }

 protected:
  virtual void when_stopped() {}
  virtual void before_destroy() {}

  GuardCore& core_;
  Interface& plugin_;
};

}  // namespace rideau
