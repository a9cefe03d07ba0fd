// SPDX-License-Identifier: Apache-2.0
// The guard of a Transport. Its links are in guard_link.hpp. Private to this folder.
#pragma once

#include "framework/plugin_host/guard_core.hpp"
#include "rideau/transport.hpp"

#include <map>
#include <memory>
#include <vector>

namespace rideau {

class GuardLink;
class GuardEvents;

class GuardTransport final : public GuardedLife<Transport> {
 public:
  GuardTransport(GuardCore& core, Transport& plugin);
  ~GuardTransport() override;

  TransportLimits limits() const noexcept override;
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override;
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override;
  bool offer(SharedMemory& memory) noexcept override;

  // The guards of the plugin's links.
  GuardLink& known(Link& plugins, const char* event);
  GuardLink& adopt(Link& plugins, std::unique_ptr<GuardEvents> events);
  void forget(Link& plugins);
  GuardCore& core() noexcept { return core_; }

 private:
  struct Connecting;
  void when_stopped() override;
  void before_destroy() override;

  std::map<Link*, std::unique_ptr<GuardLink>> links_;  // lint: looked up; its order shows nowhere
  std::vector<std::unique_ptr<GuardEvents>> listeners_;
};

}  // namespace rideau
