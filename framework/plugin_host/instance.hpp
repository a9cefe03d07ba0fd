// SPDX-License-Identifier: Apache-2.0
// PluginInstance: owns one instance of a plugin from create to destroy, with its host and, when asked for, its guard.
#pragma once

#include "framework/plugin_host/guards.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/sdk.hpp"

#include <memory>
#include <string>

namespace rideau {

#ifdef RIDEAU_GUARDS
constexpr bool kGuardByDefault = true;
#else
constexpr bool kGuardByDefault = false;
#endif

struct PluginInstanceOptions {
  std::string name;  // of the instance, for logs and messages: "oss0.index"
  bool guarded = kGuardByDefault;
  // A plugin that takes longer to stop is reported and left behind in memory, since it may still be at work.
  std::uint64_t stop_ns_max = 30 * kSecond;
};

class PluginInstance {
 public:
  PluginInstance(Runtime& runtime, Logger& logger, const PluginDescriptor& descriptor, PluginInstanceOptions options);
  // Destroys the instance. One that was started and not stopped is killed as by a power cut: its calls never complete.
  ~PluginInstance();
  PluginInstance(const PluginInstance&) = delete;
  PluginInstance& operator=(const PluginInstance&) = delete;

  // Before create(): what the plugin gets when it opens `role`.
  void wire(const std::string& role, PluginInstance& other);

  // `values` has one entry for each key of the descriptor, as check_plugin_values() makes them.
  Status create(const ConfigValue* values);
  Task<Status> start();
  // timed_out when the plugin did not stop in time. ok when it was not started.
  Task<Status> stop();
  // Power cut: nothing completes any more, and the destructor destroys without stop.
  void kill() noexcept;

  // What the instance has counted so far; any thread.
  std::uint64_t counted(Tally what) const noexcept { return host_->counted(what); }

  // After a failure: plugin, instance, what failed, and what the plugin said about it.
  const std::string& message() const noexcept { return message_; }

  const PluginDescriptor& descriptor() const noexcept { return descriptor_; }
  const std::string& name() const noexcept { return options_.name; }
  Instance& instance();
  // The interface; the descriptor must be of that kind.
  Transport& transport();
  IndexStore& index_store();
  ObjectStore& object_store();

 private:
  enum class State { empty, created, starting, started, stopped, abandoned };
  struct Stopping;
  Status fail(const char* what, Status status);

  Runtime& runtime_;
  Logger& logger_;
  const PluginDescriptor& descriptor_;
  PluginInstanceOptions options_;
  State state_ = State::empty;
  std::unique_ptr<NodeHost> host_;
  std::unique_ptr<PluginGuard> guard_;
  std::unique_ptr<Stopping> stopping_;
  Instance* instance_ = nullptr;
  std::string message_;
};

// "io_error (No space left on device) in append segment"
std::string status_text(Status status);

}  // namespace rideau
