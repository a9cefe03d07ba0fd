// SPDX-License-Identifier: Apache-2.0
// A block-device store and its index as an object server has them, without the server: both drivers loaded, started and
// wired.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau {

struct HostedStoreOptions {
  std::string folder;                 // its index is there, and its image unless the settings name a device
  std::vector<std::string> settings;  // KEY=VALUE of the store
};

class HostedStore {
 public:
  HostedStore(RealRuntime& runtime, const PluginCatalog& catalog, const HostedStoreOptions& options);
  Task<> start();
  Task<> stop();
  ObjectStore& objects() { return store_->object_store(); }

 private:
  std::unique_ptr<Logger> log_;
  std::unique_ptr<PluginInstance> index_;
  std::unique_ptr<PluginInstance> store_;
};

}  // namespace rideau
