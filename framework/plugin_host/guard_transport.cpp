// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/guard_transport.hpp"

#include "framework/plugin_host/guard_link.hpp"

namespace rideau {

GuardTransport::GuardTransport(GuardCore& core, Transport& plugin) : GuardedLife(core, plugin) {}
GuardTransport::~GuardTransport() = default;

TransportLimits GuardTransport::limits() const noexcept {
  const TransportLimits limits = plugin_.limits();
  core_.require(limits.head_bytes_max > 0 && limits.parts_max > 0 && limits.bulk_bytes_max > 0, Culprit::plugin,
                "limits", "a limit is zero");
  return limits;
}

Status GuardTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  const GuardCore::Inside inside(core_);
  auto guarded = std::make_unique<GuardEvents>(*this, events, GuardEvents::Of::listener);
  const Status status = plugin_.listen(address, *guarded, bound, bound_size);
  if (!status.ok()) return status;
  core_.require_in_use("listen");
  core_.require(*bound_size <= bound.size, Culprit::plugin, "listen", "the bound address is larger than its place");
  listeners_.push_back(std::move(guarded));
  return status;
}

// What a pending connect keeps: the place where the plugin stores its link, and the events until the link owns them.
struct GuardTransport::Connecting {
  Link* made = nullptr;
  std::unique_ptr<GuardEvents> events;
};

Submitted GuardTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  const auto connecting = std::make_shared<Connecting>();
  connecting->events = std::make_unique<GuardEvents>(*this, events, GuardEvents::Of::connect);
  return core_.submit(
      "connect", nullptr, done,
      [=, this](Completion& c) { return plugin_.connect(address, *connecting->events, &connecting->made, c); },
      [=, this](const GuardCall& call) {
        if (!call.status.ok()) return;
        core_.require(connecting->made != nullptr, Culprit::plugin, "connect", "it completed with ok without a link");
        Link& made = *connecting->made;
        const bool early = connecting->events->belongs_to(made);
        core_.require(early || links_.count(&made) == 0, Culprit::plugin, "connect",
                      "it answered a link that is in use");
        connecting->events->became_of_link();
        GuardLink& link = early ? known(made, "connect") : adopt(made, nullptr);
        link.set_events(std::move(connecting->events));
        *out = &link;
      });
}

bool GuardTransport::offer(SharedMemory& memory) noexcept {
  const GuardCore::Inside inside(core_);
  return plugin_.offer(memory);
}

GuardLink& GuardTransport::known(Link& plugins, const char* event) {
  const auto found = links_.find(&plugins);
  core_.require(found != links_.end(), Culprit::plugin, event,
                "the link is unknown (its connect has not completed, or it was released)");
  return *found->second;
}

GuardLink& GuardTransport::adopt(Link& plugins, std::unique_ptr<GuardEvents> events) {
  auto& slot = links_[&plugins];
  slot = std::make_unique<GuardLink>(*this, plugins, std::move(events));
  return *slot;
}

void GuardTransport::forget(Link& plugins) { links_.erase(&plugins); }

void GuardTransport::when_stopped() {
  if (core_.has_power_cut()) return;
  for (const auto& [plugins, link] : links_) {
    core_.require(link->closed(), Culprit::plugin, "stop", "it completed, but a link did not see on_closed");
  }
}

void GuardTransport::before_destroy() {
  core_.require(links_.empty() || core_.owes_nothing(), Culprit::host, "destroy", "a link was not released");
}

}  // namespace rideau
