// SPDX-License-Identifier: Apache-2.0
// One pull or push: remote reads or writes between local parts and the parts of a region of the peer, as many as its
// pieces need. Local memory is registered for as long as it lasts.
#pragma once

#include "pending.hpp"
#include "pools.hpp"
#include "regions.hpp"
#include "rideau/buffer.hpp"

#include <vector>

namespace rideau::rdma {

class Endpoint;
class RdmaLink;
class RdmaTransport;

struct Transfer;

struct TransferOp : Op {
  Transfer* transfer = nullptr;
};

struct Transfer final : Pending {
  void cancel() noexcept override;
  // Registers the local parts (not the array, which is copied).
  Status prepare(Fabric& fabric, const IoVec* parts, std::uint32_t count, RdmaTransport& keys) noexcept;
  void skip_remote(std::uint64_t bytes) noexcept;
  // Gives operations to the fabric until all are there (true) or it takes no more for now.
  bool issue(Endpoint& endpoint) noexcept;

  RdmaLink* link = nullptr;
  Completion* done = nullptr;
  bool reads = false;
  std::uint32_t slot = 0;  // of the region
  RemoteRegion* region = nullptr;
  std::uint64_t value = 0;
  std::uint64_t left = 0;  // bytes that were not issued
  std::uint32_t ops = 0;   // under way
  bool begun = false;
  bool blocked = false;  // stands in the list of its endpoint
  Status failure{};
  std::size_t index = 0;  // in the list of its link

 private:
  std::vector<IoVec> local_;
  std::vector<void*> descriptors_;
  std::vector<Registered> registrations_;
  std::size_t local_index_ = 0;
  std::size_t local_offset_ = 0;
  std::size_t remote_index_ = 0;
  std::uint64_t remote_offset_ = 0;
};

}  // namespace rideau::rdma
