// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/range_locks.hpp"

#include <algorithm>

namespace rideau::lock {

std::optional<RangeConflict> RangeLocks::test(const RangeResource& resource, const RangeOwner& owner, Range range,
                                              Mode mode) const {
  std::optional<RangeConflict> first;
  const auto found = resources_.find(resource);
  if (found == resources_.end()) return first;
  for (const auto& [holder, holding] : found->second.holders) {
    if (holder == owner) continue;
    const std::optional<HeldRange> held = holding.ranges.conflict(range, mode);
    if (held && (!first || held->range.first < first->held.range.first)) {
      first = RangeConflict{*held, holder, holding.process};
    }
  }
  return first;
}

// Writes down that the owner holds the range in this mode from now on, whoever else may want it.
void RangeLocks::put(const RangeRequest& request, Mode mode) {
  Resource& resource = resources_[request.resource];
  Holding& holding = resource.holders[request.owner];
  Session& session = sessions_[request.owner.session];
  const std::size_t before = holding.ranges.count();
  holding.ranges.set(request.range, mode);
  holding.process = request.process;
  const std::size_t after = holding.ranges.count();
  session.ranges = session.ranges - before + after;
  ranges_ = ranges_ - before + after;
  if (after != 0) {
    session.held.insert(request.resource);
    return;
  }
  resource.holders.erase(request.owner);
  const auto another = resource.holders.lower_bound(RangeOwner{request.owner.session, 0});
  if (another == resource.holders.end() || another->first.session != request.owner.session) {
    session.held.erase(request.resource);
  }
}

RangeLocks::Outcome RangeLocks::set(const RangeRequest& request) {
  Outcome outcome = Outcome::granted;
  const auto resource = resources_.find(request.resource);
  const OwnedRanges* owned = nullptr;
  if (resource != resources_.end()) {
    const auto holding = resource->second.holders.find(request.owner);
    if (holding != resource->second.holders.end()) owned = &holding->second.ranges;
  }
  if (owned == nullptr && request.mode == Mode::none) return outcome;

  const std::size_t growth = owned != nullptr ? owned->growth(request.range, request.mode) : 1;
  const auto session = sessions_.find(request.owner.session);
  const std::size_t held = session != sessions_.end() ? session->second.ranges : 0;
  if (growth != 0 && held + growth > bounds_.ranges_per_session) return Outcome::too_many;

  const bool gives_up_first = request.resource.family == RangeFamily::whole && owned != nullptr;
  const bool conflicts = test(request.resource, request.owner, request.range, request.mode).has_value();
  if (!conflicts) {
    put(request, request.mode);
  } else {
    // What is given up stays given up, also when the request is refused.
    if (gives_up_first) put(request, Mode::none);
    outcome = request.wait ? enqueue(request) : Outcome::conflicts;
  }
  grant_waiting(request.resource);
  forget_if_unused(request.resource);
  forget_if_unused(request.owner.session);
  return outcome;
}

RangeLocks::Outcome RangeLocks::enqueue(const RangeRequest& request) {
  const Ticket ticket{request.owner.session, request.ticket};
  if (waits_.contains(ticket)) return Outcome::ticket_in_use;
  if (request.resource.family == RangeFamily::records && closes_circle(request)) return Outcome::closes_circle;
  Session& session = sessions_[request.owner.session];
  if (session.waits >= bounds_.waits_per_session) return Outcome::too_many;
  ++session.waits;
  waits_.emplace(ticket, request);
  waits_of_[request.owner].insert(ticket);
  resources_[request.resource].queue.push_back(ticket);
  return Outcome::waits;
}

// Takes the request out of everything but its resource's queue.
void RangeLocks::stop_waiting(const Ticket& ticket) {
  const auto wait = waits_.find(ticket);
  const auto of = waits_of_.find(wait->second.owner);
  of->second.erase(ticket);
  if (of->second.empty()) waits_of_.erase(of);
  --sessions_[ticket.session].waits;
  waits_.erase(wait);
}

// A grant may weaken what its owner had, which makes way for others: so it looks again until nothing changes.
void RangeLocks::grant_waiting(const RangeResource& id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  std::list<Ticket>& queue = found->second.queue;
  for (bool again = true; again;) {
    again = false;
    for (auto at = queue.begin(); at != queue.end();) {
      const Ticket ticket = *at;
      const RangeRequest request = waits_.find(ticket)->second;
      if (test(id, request.owner, request.range, request.mode)) {
        ++at;
        continue;
      }
      at = queue.erase(at);
      stop_waiting(ticket);
      put(request, request.mode);
      events_.granted(ticket.session, ticket.number);
      again = true;
    }
  }
}

bool RangeLocks::waited_for(HolderId session) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return false;
  return std::any_of(found->second.held.begin(), found->second.held.end(),
                     [this](const RangeResource& id) { return !resources_.find(id)->second.queue.empty(); });
}

std::vector<RangeOwner> RangeLocks::in_the_way_of(const RangeRequest& request) const {
  std::vector<RangeOwner> owners;
  const auto found = resources_.find(request.resource);
  if (found == resources_.end()) return owners;
  for (const auto& [holder, holding] : found->second.holders) {
    if (holder != request.owner && holding.ranges.conflict(request.range, request.mode)) owners.push_back(holder);
  }
  return owners;
}

// Whether those in the way wait, directly or through others, for a lock of who asks.
bool RangeLocks::closes_circle(const RangeRequest& request) const {
  std::set<RangeOwner> seen;
  std::vector<RangeOwner> to_visit = in_the_way_of(request);
  while (!to_visit.empty()) {
    const RangeOwner owner = to_visit.back();
    to_visit.pop_back();
    if (owner == request.owner) return true;
    if (!seen.insert(owner).second) continue;
    const auto waiting = waits_of_.find(owner);
    if (waiting == waits_of_.end()) continue;
    for (const Ticket& ticket : waiting->second) {
      const RangeRequest& other = waits_.find(ticket)->second;
      if (other.resource.family != RangeFamily::records) continue;
      for (const RangeOwner& next : in_the_way_of(other)) to_visit.push_back(next);
    }
  }
  return false;
}

bool RangeLocks::cancel(HolderId session, std::uint64_t number) {
  const Ticket ticket{session, number};
  const auto wait = waits_.find(ticket);
  if (wait == waits_.end()) return false;
  const RangeResource resource = wait->second.resource;
  resources_[resource].queue.remove(ticket);
  stop_waiting(ticket);
  forget_if_unused(resource);
  forget_if_unused(session);
  return true;
}

void RangeLocks::drop(HolderId id) {
  while (true) {
    const auto wait = waits_.lower_bound(Ticket{id, 0});
    if (wait == waits_.end() || wait->first.session != id) break;
    cancel(id, wait->first.number);
  }
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  const std::set<RangeResource> held = std::move(session->second.held);
  ranges_ -= session->second.ranges;
  sessions_.erase(session);
  for (const RangeResource& resource : held) {
    auto& holders = resources_[resource].holders;
    for (auto at = holders.lower_bound(RangeOwner{id, 0}); at != holders.end() && at->first.session == id;) {
      at = holders.erase(at);
    }
    grant_waiting(resource);
    forget_if_unused(resource);
  }
}

void RangeLocks::forget_if_unused(const RangeResource& id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  if (found->second.holders.empty() && found->second.queue.empty()) resources_.erase(found);
}

void RangeLocks::forget_if_unused(HolderId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  if (found->second.ranges == 0 && found->second.waits == 0) sessions_.erase(found);
}

}  // namespace rideau::lock
