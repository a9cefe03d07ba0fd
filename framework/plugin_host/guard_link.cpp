// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/guard_link.hpp"

#include "framework/base/checksum.hpp"

#include <algorithm>

namespace rideau {
namespace {

constexpr std::size_t kHeadAlignment = 8;

bool remove(std::vector<Region*>& from, const Region* region) {
  const auto found = std::find(from.begin(), from.end(), region);
  if (found == from.end()) return false;
  from.erase(found);
  return true;
}

}  // namespace

GuardLink::GuardLink(GuardTransport& transport, Link& plugin, std::unique_ptr<GuardEvents> events)
    : transport_(transport), core_(transport.core()), plugin_(plugin), events_(std::move(events)) {}
GuardLink::~GuardLink() = default;

void GuardLink::set_events(std::unique_ptr<GuardEvents> events) { events_ = std::move(events); }

Submitted GuardLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                          Completion& done) noexcept {
  const TransportLimits limits = transport_.limits();
  const auto lent_head = std::make_shared<LentParts>(head, head_parts, limits.head_bytes_max);
  const auto lent_eager = std::make_shared<LentParts>(eager, eager_parts, limits.eager_bytes_max);
  const bool over = lent_head->size() > limits.head_bytes_max || lent_eager->size() > limits.eager_bytes_max ||
                    head_parts > limits.parts_max || eager_parts > limits.parts_max;
  const bool was_closed = closed_;
  return core_.submit(
      "Link::send", this, done,
      [=, this](Completion& c) { return plugin_.send(head, head_parts, eager, eager_parts, c); },
      [=, &core = core_](const GuardCall& call) {
        core.require(lent_head->unchanged() && lent_eager->unchanged(), Culprit::host, "Link::send",
                     "lent bytes changed before the completion");
        if (!call.status.ok()) return;
        core.require(!over, Culprit::plugin, "Link::send", "it accepted a message over its limits");
        core.require(!was_closed, Culprit::plugin, "Link::send", "it sent on a closed link");
      });
}

void GuardLink::give_back(MessageLoan loan) noexcept {
  const auto found = std::find_if(loans_.begin(), loans_.end(), [&loan](const Loan& lent) {
    return lent.loan.head.data == loan.head.data && lent.loan.plugin_slot == loan.plugin_slot;
  });
  core_.require(found != loans_.end(), Culprit::host, "Link::give_back", "the head is not lent (given back twice?)");
  core_.require(crc32c(found->loan.head) == found->sum, Culprit::plugin, "Link::give_back",
                "the head changed while it was lent");
  loans_.erase(found);
  const GuardCore::Inside inside(core_);
  plugin_.give_back(loan);
}

Status GuardLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                       RegionKey* key) noexcept {
  core_.require(access != 0 && (access & ~(kAccessPull | kAccessPush)) == 0, Culprit::host, "Link::lend",
                "the access is none or unknown");
  const GuardCore::Inside inside(core_);
  const std::uint64_t size = size_of(parts, part_count);
  const TransportLimits limits = transport_.limits();
  const Status status = plugin_.lend(parts, part_count, access, out, key);
  if (!status.ok()) return status;
  core_.require_in_use("Link::lend");
  core_.require(size <= limits.bulk_bytes_max && part_count <= limits.parts_max, Culprit::plugin, "Link::lend",
                "it accepted a region over its limits");
  core_.require(*out != nullptr, Culprit::plugin, "Link::lend", "it answered ok without a region");
  core_.require(key->size > 0 && key->size <= sizeof key->bytes, Culprit::plugin, "Link::lend",
                "the size of the key is zero or over its place");
  core_.require(std::find(regions_.begin(), regions_.end(), *out) == regions_.end(), Culprit::plugin, "Link::lend",
                "it answered a region that is in use");
  regions_.push_back(*out);
  return status;
}

Submitted GuardLink::reclaim(Region& region, Completion& done) noexcept {
  Region* const which = &region;
  // A plugin may use the place of a region again as soon as it has completed, which is before the caller hears of it.
  const bool lent = remove(regions_, which);
  core_.require(lent, Culprit::host, "Link::reclaim", "the region is not lent (reclaimed twice?)");
  reclaiming_.push_back(which);
  return core_.submit(
      "Link::reclaim", this, done, [=, this](Completion& c) { return plugin_.reclaim(*which, c); },
      [=, this](const GuardCall& call) {
        core_.require(call.status.ok(), Culprit::plugin, "Link::reclaim", "it must succeed, also on a closed link");
        remove(reclaiming_, which);
      });
}

Submitted GuardLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                          Completion& done) noexcept {
  const std::uint64_t size = size_of(local, parts);
  const TransportLimits limits = transport_.limits();
  const bool over = size > limits.bulk_bytes_max || parts > limits.parts_max;
  return core_.submit(
      "Link::pull", this, done,
      [=, this, &key](Completion& c) { return plugin_.pull(key, remote_offset, local, parts, c); },
      [=, &core = core_](const GuardCall& call) {
        if (!call.status.ok()) return;
        core.require(!over, Culprit::plugin, "Link::pull", "it accepted a pull over its limits");
        core.require(call.value == size, Culprit::plugin, "Link::pull", "it completed with ok, but not all was pulled");
      });
}

Submitted GuardLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                          Completion& done) noexcept {
  const TransportLimits limits = transport_.limits();
  const auto lent = std::make_shared<LentParts>(local, parts, limits.bulk_bytes_max);
  const bool over = lent->size() > limits.bulk_bytes_max || parts > limits.parts_max;
  return core_.submit(
      "Link::push", this, done,
      [=, this, &key](Completion& c) { return plugin_.push(key, remote_offset, local, parts, c); },
      [=, &core = core_](const GuardCall& call) {
        core.require(lent->unchanged(), Culprit::host, "Link::push", "lent bytes changed before the completion");
        core.require(!over || !call.status.ok(), Culprit::plugin, "Link::push", "it accepted a push over its limits");
      });
}

bool GuardLink::shows(const Region& region) const noexcept {
  core_.require(std::find(regions_.begin(), regions_.end(), &region) != regions_.end(), Culprit::host, "Link::shows",
                "the region is not lent");
  return plugin_.shows(region);
}

Status GuardLink::reach(const RegionKey& key, std::uint64_t remote_offset, std::uint64_t size, Access access,
                        Reach* out) noexcept {
  const GuardCore::Inside inside(core_);
  const Status status = plugin_.reach(key, remote_offset, size, access, out);
  if (!status.ok()) return status;
  core_.require(!closed_, Culprit::plugin, "Link::reach", "it showed memory over a closed link");
  core_.require(out->plugin_slot != nullptr && size_of(out->parts, out->part_count) == size, Culprit::plugin,
                "Link::reach", "it showed another size than was asked for");
  reached_.push_back(out->plugin_slot);
  return status;
}

void GuardLink::let_go(Reach& reach) noexcept {
  const auto found = std::find(reached_.begin(), reached_.end(), reach.plugin_slot);
  core_.require(found != reached_.end(), Culprit::host, "Link::let_go", "nothing is reached (let go twice?)");
  reached_.erase(found);
  const GuardCore::Inside inside(core_);
  plugin_.let_go(reach);
}

void GuardLink::close() noexcept {
  const GuardCore::Inside inside(core_);
  plugin_.close();
}

void GuardLink::release() noexcept {
  if (!core_.has_power_cut()) {
    core_.require(closed_, Culprit::host, "Link::release", "it comes only after on_closed");
    core_.require(loans_.empty(), Culprit::host, "Link::release", "a head was not given back");
    core_.require(regions_.empty() && reclaiming_.empty(), Culprit::host, "Link::release",
                  "a region was not reclaimed");
    core_.require(reached_.empty(), Culprit::host, "Link::release", "what was reached was not let go");
  }
  Link& plugin = plugin_;
  GuardCore& core = core_;
  transport_.forget(plugin_);  // `this` is gone
  const GuardCore::Inside inside(core);
  plugin.release();
}

void GuardLink::head_arrived(const MessageLoan& loan, std::uint64_t eager_bytes) {
  const TransportLimits limits = transport_.limits();
  core_.require(!closed_, Culprit::plugin, "on_head", "on_closed was the last call");
  core_.require(!eager_expected_, Culprit::plugin, "on_head",
                "the payload of the head before has not ended (on_eager)");
  core_.require(reinterpret_cast<std::uintptr_t>(loan.head.data) % kHeadAlignment == 0, Culprit::plugin, "on_head",
                "the head is not aligned to 8 bytes");
  core_.require(loan.head.size <= limits.head_bytes_max && eager_bytes <= limits.eager_bytes_max, Culprit::plugin,
                "on_head", "it passes on a message over its limits");
  loans_.push_back({loan, crc32c(loan.head)});
  eager_expected_ = eager_bytes > 0;
}

void GuardLink::sink_chosen(const Sink& sink, std::uint64_t eager_bytes) {
  if (sink.part_count == 0 || eager_bytes == 0) return;
  std::uint64_t room = 0;
  for (std::uint32_t i = 0; i < sink.part_count; ++i) room += sink.parts[i].size;
  core_.require(room >= eager_bytes, Culprit::host, "on_head", "the sink is smaller than the payload");
  core_.require(sink.part_count <= transport_.limits().parts_max, Culprit::host, "on_head",
                "the sink has too many parts");
}

void GuardLink::eager_arrived() {
  core_.require(!closed_, Culprit::plugin, "on_eager", "on_closed was the last call");
  core_.require(eager_expected_, Culprit::plugin, "on_eager", "no payload was announced");
  eager_expected_ = false;
}

void GuardLink::became_closed() {
  core_.require(!closed_, Culprit::plugin, "on_closed", "it comes exactly once");
  core_.require(!eager_expected_, Culprit::plugin, "on_closed", "a sink is still lent: on_eager has to come before");
  core_.require(core_.pending_on(this, "Link::reclaim") == 0, Culprit::plugin, "on_closed",
                "what was pending on the link completes before");
  closed_ = true;
}

GuardLink& GuardEvents::link_of(Link& link, const char* event) {
  GuardCore& core = transport_.core();
  core.require_node_thread(event);
  core.require(!core.inside_a_call(), Culprit::plugin, event, "an event inside a call of the host into the transport");
  core.require(!core.stopped(), Culprit::plugin, event, "an event after stop has completed");
  if (whose_ == Of::connect && early_ == nullptr) {
    early_ = &link;
    return transport_.adopt(link, nullptr);
  }
  return transport_.known(link, event);
}

LinkEvents* GuardEvents::on_link(Link& link) noexcept {
  GuardCore& core = transport_.core();
  core.require_node_thread("on_link");
  core.require(!core.inside_a_call(), Culprit::plugin, "on_link",
               "an event inside a call of the host into the transport");
  core.require(!core.stopped(), Culprit::plugin, "on_link", "an event after stop has completed");
  GuardLink& guarded = transport_.adopt(link, nullptr);
  LinkEvents* host = host_.on_link(guarded);
  if (host == nullptr) {
    transport_.forget(link);
    return nullptr;
  }
  auto events = std::make_unique<GuardEvents>(transport_, *host, Of::link);
  GuardEvents* const answer = events.get();
  guarded.set_events(std::move(events));
  return answer;
}

Sink GuardEvents::on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept {
  GuardLink& guarded = link_of(link, "on_head");
  guarded.head_arrived(loan, eager_bytes);
  const Sink sink = host_.on_head(guarded, loan, eager_bytes);
  guarded.sink_chosen(sink, eager_bytes);
  return sink;
}

void GuardEvents::on_eager(Link& link, Status status) noexcept {
  GuardLink& guarded = link_of(link, "on_eager");
  guarded.eager_arrived();
  host_.on_eager(guarded, status);
}

void GuardEvents::on_closed(Link& link, Status why) noexcept {
  GuardLink& guarded = link_of(link, "on_closed");
  guarded.became_closed();
  host_.on_closed(guarded, why);  // the host may release the link in it: `this` may be gone
}

}  // namespace rideau
