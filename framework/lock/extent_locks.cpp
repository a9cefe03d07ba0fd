// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/extent_locks.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <vector>
#include <iterator>

namespace rideau::lock {

namespace {
constexpr Status kAskAgain{Code::busy, 0, "the resource is locked in another way by now"};
constexpr Status kEnded{Code::closed, 0, "session ended while it waited for a lock"};
}  // namespace

ExtentLocks::Pieces::iterator ExtentLocks::behind(Pieces& pieces, std::uint64_t position) {
  auto at = pieces.upper_bound(position);
  if (at != pieces.begin() && std::prev(at)->second.end > position) --at;
  return at;
}

ExtentLocks::Pieces::const_iterator ExtentLocks::behind(const Pieces& pieces, std::uint64_t position) {
  auto at = pieces.upper_bound(position);
  if (at != pieces.begin() && std::prev(at)->second.end > position) --at;
  return at;
}

// No piece lies on both sides of the position afterwards.
void ExtentLocks::split(Pieces& pieces, std::uint64_t position) {
  const auto at = behind(pieces, position);
  if (at == pieces.end() || at->first >= position) return;
  Piece upper = at->second;
  at->second.end = position;
  pieces.emplace(position, upper);
  ++count_;
}

// Of two grants that their holder knows, the later number stands for both.
bool ExtentLocks::join_with_next(Pieces& pieces, Pieces::iterator at) {
  const auto next = std::next(at);
  if (next == pieces.end() || next->first != at->second.end || next->second.mode != at->second.mode) return false;
  const auto settled = [](const Piece& piece) { return !piece.untold && piece.asked_for == Mode::none; };
  if (!settled(at->second) || !settled(next->second)) return false;
  at->second.end = next->second.end;
  at->second.number = std::max(at->second.number, next->second.number);
  pieces.erase(next);
  --count_;
  return true;
}

bool ExtentLocks::conflicts(const Resource& resource, HolderId holder, Extent range, Mode mode) {
  if (RIDEAU_PLANTED_BUG(extent_waits_for_nobody)) return false;
  for (const auto& [other, pieces] : resource.holders) {
    if (other == holder) continue;
    for (auto at = behind(pieces, range.begin); at != pieces.end() && at->first < range.end; ++at) {
      if (!compatible(at->second.mode, mode)) return true;
    }
  }
  return false;
}

bool ExtentLocks::keeps_waiting(const Resource& resource, HolderId holder, const Waiter& other) {
  const auto held = resource.holders.find(holder);
  if (held == resource.holders.end()) return false;
  for (auto at = behind(held->second, other.wanted.begin); at != held->second.end() && at->first < other.wanted.end;
       ++at) {
    if (!compatible(at->second.mode, other.mode)) return true;
  }
  return false;
}

// Who has what an earlier one waits for goes before him, and before whoever is behind him.
bool ExtentLocks::is_behind_others(const Resource& resource, std::size_t index) {
  const Waiter& waiter = resource.queue[index];
  const auto is_behind = [&resource](const Waiter& later, const Waiter& earlier) {
    return earlier.holder != later.holder && earlier.wanted.overlaps(later.wanted) &&
           !compatible(earlier.mode, later.mode) && !keeps_waiting(resource, later.holder, earlier);
  };
  std::vector<const Waiter*> kept_waiting;  // by the waiter
  bool behind = false;
  for (std::size_t i = 0; i < index; ++i) {
    const Waiter& earlier = resource.queue[i];
    const bool kept = keeps_waiting(resource, waiter.holder, earlier) ||
                      std::any_of(kept_waiting.begin(), kept_waiting.end(),
                                  [&](const Waiter* before) { return is_behind(earlier, *before); });
    if (kept) {
      kept_waiting.push_back(&earlier);
    } else {
      behind = behind || is_behind(waiter, earlier);
    }
  }
  return behind;
}

Extent ExtentLocks::grown(const Resource& resource, const Waiter& of) {
  Extent room{0, kExtentEnd};
  const Extent wanted = of.wanted;
  const auto keep_off = [&room, wanted](Extent other) {
    if (other.end <= wanted.begin) {
      room.begin = std::max(room.begin, other.end);
    } else if (other.begin >= wanted.end) {
      room.end = std::min(room.end, other.begin);
    } else {
      if (other.begin < wanted.begin) room.begin = wanted.begin;
      if (other.end > wanted.end) room.end = wanted.end;
    }
  };
  for (const auto& [other, pieces] : resource.holders) {
    if (other == of.holder) continue;
    for (const auto& [begin, piece] : pieces) {
      if (!compatible(piece.mode, of.mode)) keep_off({begin, piece.end});
    }
  }
  for (const Waiter& other : resource.queue) {
    if (other.holder != of.holder && !compatible(other.mode, of.mode)) keep_off(other.wanted);
  }
  return room;
}

ExtentGrant ExtentLocks::grant(ResourceId id, Resource& resource, HolderId holder, Extent range, Mode mode) {
  Pieces& pieces = resource.holders[holder];
  used_by_[holder].insert(id);
  const GrantNumber number = ++last_number_;
  split(pieces, range.begin);
  split(pieces, range.end);
  // What is held already becomes stronger, or stays; in between new pieces come.
  std::uint64_t at = range.begin;
  for (auto piece = behind(pieces, range.begin); at < range.end;) {
    const bool held = piece != pieces.end() && piece->first == at;
    if (held) {
      piece->second.mode = std::max(piece->second.mode, mode);
      piece->second.number = number;
      piece->second.asked_for = Mode::none;
      piece->second.untold = true;
    } else {
      const std::uint64_t end = piece != pieces.end() ? std::min(piece->first, range.end) : range.end;
      piece = pieces.emplace_hint(piece, at, Piece{end, number, mode, Mode::none, true});
      ++count_;
    }
    at = piece->second.end;
    ++piece;
  }
  return {range, mode, number};
}

void ExtentLocks::ask(ResourceId id, Resource& resource, const Waiter& waiter) {
  for (auto& [other, pieces] : resource.holders) {
    if (other == waiter.holder) continue;
    Extent range{kExtentEnd, 0};
    GrantNumber number = 0;
    for (auto at = behind(pieces, waiter.wanted.begin); at != pieces.end() && at->first < waiter.wanted.end; ++at) {
      const Piece& held = at->second;
      if (held.untold || held.asked_for >= waiter.mode || compatible(held.mode, waiter.mode)) continue;
      split(pieces, waiter.wanted.begin);
      at = behind(pieces, std::max(at->first, waiter.wanted.begin));
      split(pieces, waiter.wanted.end);
      at->second.asked_for = waiter.mode;
      range.begin = std::min(range.begin, at->first);
      range.end = std::max(range.end, at->second.end);
      number = std::max(number, at->second.number);
    }
    if (!range.empty()) events_.revoke_extent(other, id, range, number, waiter.mode);
  }
}

Task<Result<ExtentGrant>> ExtentLocks::acquire(HolderId holder, ResourceId id, Extent wanted, Mode mode) {
  if (mode == Mode::none || wanted.empty()) co_return Status{Code::invalid, 0, "an empty lock"};
  ExtentGrant granted;
  const Outcome outcome = co_await submit([&](Completion& done) {
    resources_[id].queue.push_back({holder, wanted, mode, &done, &granted});
    used_by_[holder].insert(id);
    settle(id);
    return Submitted::pending;
  });
  if (!outcome.status.ok()) co_return outcome.status;
  co_return granted;
}

void ExtentLocks::told(HolderId holder, ResourceId id, GrantNumber number) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  const auto held = found->second.holders.find(holder);
  if (held == found->second.holders.end()) return;
  Pieces& pieces = held->second;
  for (auto& [begin, piece] : pieces) {
    if (piece.number == number) piece.untold = false;
  }
  for (auto at = pieces.begin(); at != pieces.end();) {
    if (!join_with_next(pieces, at)) ++at;
  }
  settle(id);
}

bool ExtentLocks::put(HolderId holder, ResourceId id, Extent range, Mode mode) {
  if (mode == Mode::none || range.empty()) return false;
  Resource& resource = resources_[id];
  if (conflicts(resource, holder, range, mode)) return false;
  const ExtentGrant granted = grant(id, resource, holder, range, mode);
  told(holder, id, granted.number);
  return true;
}

void ExtentLocks::release(HolderId holder, ResourceId id, Extent range, GrantNumber number) {
  const auto found = resources_.find(id);
  if (found == resources_.end() || range.empty()) return;
  const auto held = found->second.holders.find(holder);
  if (held == found->second.holders.end()) return;
  Pieces& pieces = held->second;
  split(pieces, range.begin);
  split(pieces, range.end);
  for (auto at = behind(pieces, range.begin); at != pieces.end() && at->first < range.end;) {
    if (at->second.number > number) {
      // Its holder learns of this grant later than it heard of the wish: it is asked once more then.
      at->second.asked_for = Mode::none;
      ++at;
      continue;
    }
    at = pieces.erase(at);
    --count_;
  }
  settle(id);
}

void ExtentLocks::end_waits(ResourceId id, HolderId holder, bool of_all, Status status) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  std::erase_if(found->second.queue, [&](const Waiter& waiter) {
    if (!of_all && waiter.holder != holder) return false;
    runtime_.complete(*waiter.done, status, 0);
    return true;
  });
}

void ExtentLocks::drop(HolderId holder, ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  end_waits(id, holder, false, kAskAgain);
  const auto held = found->second.holders.find(holder);
  if (held != found->second.holders.end()) {
    count_ -= held->second.size();
    held->second.clear();
  }
  settle(id);
}

void ExtentLocks::forget(ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  end_waits(id, 0, true, kAskAgain);
  for (auto& [holder, pieces] : found->second.holders) {
    count_ -= pieces.size();
    pieces.clear();
  }
  settle(id);
}

void ExtentLocks::drop_waiting(HolderId holder) {
  const auto used = used_by_.find(holder);
  if (used == used_by_.end()) return;
  const std::set<ResourceId> resources = used->second;
  for (const ResourceId id : resources) end_waits(id, holder, false, kEnded);
  for (const ResourceId id : resources) settle(id);
}

void ExtentLocks::drop(HolderId holder) {
  drop_waiting(holder);
  const auto used = used_by_.find(holder);
  if (used == used_by_.end()) return;
  const std::set<ResourceId> resources = used->second;
  for (const ResourceId id : resources) drop(holder, id);
}

void ExtentLocks::settle(ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  Resource& resource = found->second;
  for (std::size_t i = 0; i < resource.queue.size();) {
    const Waiter waiter = resource.queue[i];
    const auto first = resource.queue.begin();
    const bool behind_others = is_behind_others(resource, i);
    if (behind_others || conflicts(resource, waiter.holder, waiter.wanted, waiter.mode)) {
      ++i;
      continue;
    }
    const Extent room = grown(resource, waiter);
    resource.queue.erase(first + static_cast<std::ptrdiff_t>(i));
    *waiter.granted = grant(id, resource, waiter.holder, room, waiter.mode);
    runtime_.complete(*waiter.done, kOk, 0);
  }
  for (const Waiter& waiter : resource.queue) ask(id, resource, waiter);
  const auto unused = [&](HolderId holder) {
    const bool waits = std::any_of(resource.queue.begin(), resource.queue.end(),
                                   [holder](const Waiter& waiter) { return waiter.holder == holder; });
    return !waits && !resource.holders.contains(holder);
  };
  std::erase_if(resource.holders, [](const auto& entry) { return entry.second.empty(); });
  for (auto used = used_by_.begin(); used != used_by_.end();) {
    if (used->second.contains(id) && unused(used->first)) used->second.erase(id);
    used = used->second.empty() ? used_by_.erase(used) : std::next(used);
  }
  if (resource.holders.empty() && resource.queue.empty()) resources_.erase(found);
}

bool ExtentLocks::owes(HolderId holder, ResourceId id, Extent range, GrantNumber number) const {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return false;
  const auto held = found->second.holders.find(holder);
  if (held == found->second.holders.end()) return false;
  for (auto at = behind(held->second, range.begin); at != held->second.end() && at->first < range.end; ++at) {
    if (at->second.asked_for != Mode::none && at->second.number <= number) return true;
  }
  return false;
}

bool ExtentLocks::holds(HolderId holder, ResourceId id, Extent range, Mode mode) const {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return false;
  const auto held = found->second.holders.find(holder);
  if (held == found->second.holders.end()) return false;
  for (auto at = behind(held->second, range.begin); at != held->second.end() && at->first <= range.begin; ++at) {
    if (at->second.mode < mode) return false;
    range.begin = at->second.end;
    if (range.empty()) return true;
  }
  return false;
}

std::vector<HolderId> ExtentLocks::writers(ResourceId id, HolderId except) const {
  std::vector<HolderId> found;
  const auto resource = resources_.find(id);
  if (resource == resources_.end()) return found;
  for (const auto& [holder, pieces] : resource->second.holders) {
    const bool writes = std::any_of(pieces.begin(), pieces.end(),
                                    [](const auto& piece) { return piece.second.mode == Mode::exclusive; });
    if (holder != except && writes) found.push_back(holder);
  }
  return found;
}

HolderId ExtentLocks::first_waiting(ResourceId id) const noexcept {
  const auto found = resources_.find(id);
  return found == resources_.end() || found->second.queue.empty() ? 0 : found->second.queue.front().holder;
}

std::size_t ExtentLocks::count(HolderId holder) const noexcept {
  std::size_t all = 0;
  const auto used = used_by_.find(holder);
  if (used == used_by_.end()) return 0;
  for (const ResourceId id : used->second) {
    const auto resource = resources_.find(id);
    if (resource == resources_.end()) continue;
    const auto held = resource->second.holders.find(holder);
    if (held != resource->second.holders.end()) all += held->second.size();
  }
  return all;
}

}  // namespace rideau::lock
