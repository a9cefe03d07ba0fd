// SPDX-License-Identifier: Apache-2.0
// PluginFactory: instances of a loaded plugin for a suite, each with a host and a guard of its own. Stores live in a
// folder that the program made, so that a suite never erases anything of the user's.
#pragma once

#include "framework/config/plugin_values.hpp"
#include "framework/observe/log.hpp"
#include "framework/plugin_host/guards.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/real_shared_memory.hpp"
#include "sdk/testkit/host_gate.hpp"
#include "sdk/testkit/index_suite.hpp"
#include "sdk/testkit/indexed_objects.hpp"
#include "sdk/testkit/object_suite.hpp"
#include "sdk/testkit/transport_suite.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace rideau {

struct PluginUnderTest {
  const PluginDescriptor* descriptor = nullptr;
  const PluginValues* values = nullptr;
  std::string storage;                     // what the plugin's key "path" names; empty: it has none
  std::string listen_address;              // of a transport
  bool seals = false;                      // of one: see TransportFactory::seals
  const PluginUnderTest* index = nullptr;  // of a store that keeps its map in one: what it opens as "index"
};

// Hosts and guards stay until the factory goes, since a job of an instance may outlive it after a power cut.
template <class Base, class Interface>
class PluginFactory : public Base {
 public:
  PluginFactory(Runtime& runtime, Logger& logger, const PluginUnderTest& plugin)
      : runtime_(runtime), logger_(logger), plugin_(plugin) {}

  Result<Interface*> make() override {
    const Result<Instance*> made = make_instance(plugin_, nullptr);
    if (!made.ok()) return made.status();
    return static_cast<Interface*>(*made);
  }
  Status clear() override { return clear_storage(plugin_); }
  std::uint64_t capabilities() const noexcept override { return plugin_.descriptor->capabilities; }

 protected:
  Result<Instance*> make_instance(const PluginUnderTest& plugin, Instance* index, bool gated = false) {
    const PluginDescriptor& descriptor = *plugin.descriptor;
    hosts_.push_back(std::make_unique<NodeHost>(runtime_, logger_, descriptor.name));
    Host* host = hosts_.back().get();
    if (gated) {
      gates_.push_back(std::make_unique<HostGate>(*host));
      host = gates_.back().get();
    }
    guards_.push_back(std::make_unique<PluginGuard>(descriptor, descriptor.name, *host, runtime_));
    guards_.back()->allow_power_cut();
    if (index != nullptr) hosts_.back()->wire("index", PluginKind::index_store, *index);
    Instance* made = nullptr;
    const Status status = descriptor.create(guards_.back()->host(), plugin.values->data(), &made);
    if (!status.ok()) return status;
    return &guards_.back()->wrap(*made);
  }
  static Status clear_storage(const PluginUnderTest& plugin) {
    std::error_code error;
    if (!plugin.storage.empty()) std::filesystem::remove_all(plugin.storage, error);
    return error ? Status{Code::io_error, error.value(), "clear the storage"} : kOk;
  }

  Runtime& runtime_;
  Logger& logger_;
  const PluginUnderTest& plugin_;
  std::vector<std::unique_ptr<HostGate>> gates_;  // outlive the hosts, which drop what still waits
  std::vector<std::unique_ptr<NodeHost>> hosts_;
  std::vector<std::unique_ptr<PluginGuard>> guards_;
};

using IndexPluginFactory = PluginFactory<IndexFactory, IndexStore>;

class ObjectPluginFactory final : public PluginFactory<ObjectFactory, ObjectStore> {
 public:
  using PluginFactory::PluginFactory;
  Result<ObjectStore*> make() override {
    if (plugin_.index == nullptr) return PluginFactory::make();
    const Result<Instance*> index = make_instance(*plugin_.index, nullptr);
    if (!index.ok()) return index.status();
    const Result<Instance*> store = make_instance(plugin_, *index);
    if (!store.ok()) {
      (*index)->destroy();
      return store.status();
    }
    return new IndexedObjects(runtime_, static_cast<ObjectStore&>(**store), **index);
  }
  Status clear() override {
    const Status status = plugin_.index != nullptr ? clear_storage(*plugin_.index) : kOk;
    return status.ok() ? clear_storage(plugin_) : status;
  }
};

class TransportPluginFactory final : public PluginFactory<TransportFactory, Transport> {
 public:
  using PluginFactory::PluginFactory;
  Result<GatedTransport> make_gated() override {
    const Result<Instance*> made = make_instance(plugin_, nullptr, true);
    if (!made.ok()) return made.status();
    return GatedTransport{static_cast<Transport*>(*made), gates_.back().get()};
  }
  std::string listen_address() const override { return plugin_.listen_address; }
  bool seals() const override { return plugin_.seals; }
  OfferedMemory memory() override { return memory_.usable() ? OfferedMemory{&memory_, &memory_} : OfferedMemory{}; }

 private:
  RealSharedMemory memory_;
};

}  // namespace rideau
