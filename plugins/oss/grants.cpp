// SPDX-License-Identifier: Apache-2.0
// The arithmetic of Grants.
#include "plugins/oss/grants.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {
constexpr std::uint64_t kPageBytes = 4096;
}

void Grants::use(std::uint64_t session, std::uint64_t used) noexcept {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  const std::uint64_t returned = std::min(used, found->second);  // a client may claim anything
  found->second -= returned;
  total_ -= returned;
}

std::uint64_t Grants::give(std::uint64_t session, std::uint64_t wanted, const FreeSpace& space) noexcept {
  const std::uint64_t reserve = std::min(options_.reserve_bytes, space.bytes_total / 16);
  const std::uint64_t room_for_objects = std::min<std::uint64_t>(space.objects_free, ~0ull / kPageBytes) * kPageBytes;
  const std::uint64_t usable = std::min(space.bytes_free - std::min(space.bytes_free, reserve), room_for_objects);
  const std::uint64_t own = usable / options_.device_shares;
  if (wanted == 0 || own <= total_) return 0;
  // Half of what is left at most: when space runs out, promises shrink before they end, and others get some too.
  const std::uint64_t left = (own - total_) / 2 / kPageBytes * kPageBytes;
  std::uint64_t& held = sessions_[session];
  const std::uint64_t room = options_.session_bytes_max - std::min(held, options_.session_bytes_max);
  const std::uint64_t given = std::min({wanted, left, room});
  held += given;
  total_ += given;
  return given;
}

bool Grants::fits(std::uint64_t bytes, const FreeSpace& space) const noexcept {
  const std::uint64_t promised = total_ * options_.device_shares;
  return space.bytes_free >= promised && space.bytes_free - promised >= bytes;
}

void Grants::forget(std::uint64_t session) noexcept {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  total_ -= found->second;
  sessions_.erase(found);
}

std::uint64_t Grants::outstanding(std::uint64_t session) const noexcept {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? 0 : found->second;
}

}  // namespace rideau::oss
