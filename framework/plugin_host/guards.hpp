// SPDX-License-Identifier: Apache-2.0
// PluginGuard stands between a host and one instance of a plugin and checks the contract of the SDK headers in both
// directions. A broken rule ends the process with a line that names plugin, instance, call, rule and who broke it: in
// debug builds, in the simulator and in the conformance kit that is what finds it first.
//
// What is checked: exactly one completion, never inside the submitting call; finished means that nothing more comes;
// lent bytes do not change before the completion; calls over a declared limit are refused; missing capabilities answer
// unsupported; start, use, stop, destroy in this order; stop ends everything; events of a link in their order and never
// inside a call; loans given back, regions reclaimed, snapshots released, links released; keys in order.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "rideau/abi.hpp"

#include <memory>
#include <string>

namespace rideau {

class GuardCore;
class GuardHost;
class GuardTransport;
class GuardIndexStore;
class GuardObjectStore;

class PluginGuard {
 public:
  // `real` is the host that the plugin's calls go to.
  PluginGuard(const PluginDescriptor& descriptor, const std::string& instance, Host& real, Runtime& runtime);
  ~PluginGuard();
  PluginGuard(const PluginGuard&) = delete;
  PluginGuard& operator=(const PluginGuard&) = delete;

  Host& host() noexcept;           // pass this one to create()
  Instance& wrap(Instance& made);  // and use this instead of what it made; lives as long as the guard
  // From now on calls that are pending need not complete, and destroy() comes without stop().
  void power_cut() noexcept;
  // destroy() without stop() counts as a power cut instead of a mistake of the host: for the conformance suites, which
  // end instances both ways.
  void allow_power_cut() noexcept;

 private:
  const PluginDescriptor& descriptor_;
  std::unique_ptr<GuardCore> core_;
  std::unique_ptr<GuardHost> host_;
  std::unique_ptr<GuardTransport> transport_;
  std::unique_ptr<GuardIndexStore> index_store_;
  std::unique_ptr<GuardObjectStore> object_store_;
};

}  // namespace rideau
