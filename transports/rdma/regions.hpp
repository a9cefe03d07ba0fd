// SPDX-License-Identifier: Apache-2.0
// Memory lent on one link, seen from both sides. The lender describes a region to its peer when it is lent, so that a
// key is three numbers which the peer looks up: a key that reaches nothing, a range outside and access that was not
// granted are found by the one who asks, before anything touches the fabric.
#pragma once

#include "fabric.hpp"
#include "frame.hpp"
#include "rideau/completion.hpp"
#include "rideau/transport.hpp"

#include <deque>
#include <vector>

namespace rideau::rdma {

class RdmaRegion final : public Region {
 public:
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint64_t token = 0;
  std::uint32_t access = 0;
  std::vector<Registered> registrations;  // one a part: closing them ends remote access
  std::vector<RemotePart> parts;
  Completion* reclaiming = nullptr;
};

// The regions of this side.
class LentRegions {
 public:
  LentRegions() = default;
  LentRegions(const LentRegions&) = delete;
  LentRegions& operator=(const LentRegions&) = delete;
  ~LentRegions();

  // Null when there is no room for a region of so many parts.
  RdmaRegion* add(std::uint32_t parts, std::uint64_t token, RegionKey* key);
  RdmaRegion* find(std::uint32_t slot, std::uint32_t generation) const noexcept;
  void remove(RdmaRegion& region) noexcept;
  bool empty() const noexcept { return count_ == 0; }
  // Any of those that are being reclaimed; null: none.
  RdmaRegion* next_reclaiming() const noexcept;
  // Closes every registration; the regions stay until they are removed.
  void close_all() noexcept;

 private:
  struct Slot {
    RdmaRegion* region = nullptr;
    std::uint32_t generation = 1;
    std::uint32_t parts = 0;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t count_ = 0;
  std::uint32_t parts_ = 0;
};

struct RemoteRegion {
  std::uint32_t generation = 0;
  std::uint64_t token = 0;
  std::uint32_t access = 0;
  std::uint64_t bytes = 0;
  std::vector<RemotePart> parts;
  bool described = false;
  bool revoked = false;
  std::uint32_t transfers = 0;  // that are under way
};

// The regions of the peer.
class RemoteRegions {
 public:
  // False: the record breaks the rules.
  bool describe(const Describe& what, Bytes parts);
  // Null: no such region.
  RemoteRegion* find(const Revoke& which) noexcept;
  // The region of a key. Null: it reaches nothing.
  RemoteRegion* find(const RegionKey& key, std::uint32_t* slot) noexcept;
  void remove(std::uint32_t slot) noexcept;

 private:
  std::deque<RemoteRegion> slots_;  // transfers point into it
  std::uint32_t parts_ = 0;
};

}  // namespace rideau::rdma
