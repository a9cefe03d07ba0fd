// SPDX-License-Identifier: Apache-2.0
// Memory that is lent, and transfers to and from memory of the peer. A region ends in three steps, so that no remote
// operation ever meets a registration that has gone (on hardware that would break the connection, and software
// providers write on into memory that they have looked up before): the lender revokes it; the peer starts nothing more
// on it, waits for its operations and says released; then the lender closes the registrations and reclaim is complete.
#include "link.hpp"

#include "endpoint.hpp"
#include "transport.hpp"

#include <algorithm>
#include <utility>

namespace rideau::rdma {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};

// Joins parts that touch. False: over the limit.
bool join(const IoVec* parts, std::uint32_t count, std::vector<IoVec>* out, std::uint64_t* bytes) {
  *bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (parts[i].size == 0) continue;
    if (parts[i].size > kBulkBytesMax - *bytes) return false;
    *bytes += parts[i].size;
    if (!out->empty() && static_cast<std::uint8_t*>(out->back().base) + out->back().size == parts[i].base) {
      out->back().size += parts[i].size;
    } else {
      out->push_back(parts[i]);
    }
  }
  return true;
}

}  // namespace

Status RdmaLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                      RegionKey* key) noexcept {
  if (state_ != State::open) return kClosed;
  if ((access & (kAccessPull | kAccessPush)) == 0) return {Code::invalid, 0, "lend without access"};
  if (part_count > kPartsMax) return {Code::too_large, 0, "lend: too many parts"};
  std::vector<IoVec> joined;
  std::uint64_t bytes = 0;
  if (!join(parts, part_count, &joined, &bytes)) return {Code::too_large, 0, "lend: region over the limit"};
  RdmaTransport& transport = endpoint_.transport();
  RdmaRegion* region = lent_.add(static_cast<std::uint32_t>(joined.size()), transport.token(), key);
  if (region == nullptr) return {Code::busy, 0, "lend: too much is lent on one link"};
  region->access = access;
  const std::uint64_t rights =
      ((access & kAccessPull) != 0 ? FI_REMOTE_READ : 0) | ((access & kAccessPush) != 0 ? FI_REMOTE_WRITE : 0);
  Fabric& fabric = endpoint_.fabric();
  for (const IoVec& part : joined) {
    Registered registered;
    const Status status = fabric.enroll(part.base, part.size, rights, transport.token(), &registered);
    if (!status.ok()) {
      lent_.remove(*region);
      return status;
    }
    region->parts.push_back({fabric.remote_address(part.base), fi_mr_key(registered.get()), part.size});
    region->registrations.push_back(std::move(registered));
  }
  std::uint32_t at = 0;
  do {
    const auto count = std::min(kDescribedParts, static_cast<std::uint32_t>(region->parts.size()) - at);
    Describe what{region->slot, region->generation, region->token, access, count, 0, 0};
    what.last = at + count == region->parts.size() ? 1 : 0;
    add_control(RecordType::describe, &what, sizeof what, region->parts.data() + at,
                count * static_cast<std::uint32_t>(sizeof(RemotePart)));
    at += count;
  } while (at < region->parts.size());
  *out = region;
  return kOk;
}

Submitted RdmaLink::reclaim(Region& region, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  auto& own = static_cast<RdmaRegion&>(region);
  if (peer_done_ || !endpoint_.open()) {
    lent_.remove(own);
    return done.finish(kOk);
  }
  own.reclaiming = &done;
  if (state_ == State::open) {
    const Revoke which{own.slot, own.generation};
    add_control(RecordType::revoke, &which, sizeof which);
    if (reclaim_since_ns_ == 0) reclaim_since_ns_ = endpoint_.transport().host().now_ns();
  }
  return Submitted::pending;
}

void RdmaLink::finish_reclaim(RdmaRegion& region) noexcept {
  Completion* done = std::exchange(region.reclaiming, nullptr);
  lent_.remove(region);
  complete(done, kOk, 0);
  const bool more = lent_.next_reclaiming() != nullptr;
  reclaim_since_ns_ = more ? endpoint_.transport().host().now_ns() : 0;
  if (state_ == State::dead && !more) schedule_turn();
}

void RdmaLink::peer_is_done() noexcept {
  peer_done_ = true;
  while (RdmaRegion* region = lent_.next_reclaiming()) finish_reclaim(*region);
}

Submitted RdmaLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                         Completion& done) noexcept {
  return transfer(true, key, remote_offset, local, parts, done);
}

Submitted RdmaLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                         Completion& done) noexcept {
  return transfer(false, key, remote_offset, local, parts, done);
}

Submitted RdmaLink::transfer(bool reads, const RegionKey& key, std::uint64_t offset, const IoVec* local,
                             std::uint32_t parts, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open) return done.finish(kClosed);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "transfer: too many parts"});
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < parts; ++i) {
    if (local[i].size > kBulkBytesMax - bytes) return done.finish({Code::too_large, 0, "transfer: over the limit"});
    bytes += local[i].size;
  }
  std::uint32_t slot = 0;
  RemoteRegion* region = remote_.find(key, &slot);
  Status refused = kOk;
  if (region == nullptr) {
    refused = {Code::not_found, 0, "transfer: the key reaches nothing"};
  } else if ((region->access & (reads ? kAccessPull : kAccessPush)) == 0) {
    refused = {Code::invalid, 0, "transfer: access that was not granted"};
  } else if (bytes > region->bytes || offset > region->bytes - bytes) {
    refused = {Code::invalid, 0, "transfer: outside of the region"};
  }
  // A push that reaches nothing writes nothing, and says only that its parts may be reused.
  if (!refused.ok()) return reads ? done.finish(refused) : done.finish(kOk, bytes);
  if (bytes == 0) return done.finish(kOk, 0);
  if (transfers_.size() >= kTransfersMax) return done.finish({Code::busy, 0, "too many transfers on the link"});
  auto* made = new Transfer;
  made->link = this;
  made->reads = reads;
  made->slot = slot;
  made->region = region;
  made->value = bytes;
  made->left = bytes;
  const Status prepared = made->prepare(endpoint_.fabric(), local, parts, endpoint_.transport());
  if (!prepared.ok()) {
    delete made;
    return done.finish(prepared);
  }
  made->skip_remote(offset);
  made->done = &done;
  done.plugin_slot[0] = static_cast<Pending*>(made);
  made->index = transfers_.size();
  transfers_.push_back(made);
  ++region->transfers;
  issue(*made);
  return Submitted::pending;
}

void RdmaLink::issue(Transfer& transfer) noexcept {
  if (!transfer.issue(endpoint_)) {
    endpoint_.blocked(transfer);
  } else if (transfer.ops == 0) {
    finish_transfer(transfer);
  }
}

void RdmaLink::transfer_ended(Transfer& transfer, std::int64_t error) noexcept {
  --transfer.ops;
  if (error != 0) {
    if (transfer.failure.ok()) transfer.failure = fabric_failure(error, "remote operation");
    transfer.left = 0;
    if (transfer.blocked) endpoint_.forget(transfer);
  }
  if (transfer.ops == 0 && transfer.left == 0) finish_transfer(transfer);
}

// Of a transfer with no operation under way. One that failed takes its link along: the peer's memory is not what it
// said.
void RdmaLink::finish_transfer(Transfer& transfer) noexcept {
  const Status failure = transfer.failure;
  transfers_[transfer.index] = transfers_.back();
  transfers_[transfer.index]->index = transfer.index;
  transfers_.pop_back();
  RemoteRegion& region = *transfer.region;
  --region.transfers;
  if (region.revoked && region.transfers == 0) release_region(transfer.slot, region.generation);
  complete(transfer.done, failure.ok() ? kOk : kClosed, failure.ok() ? transfer.value : 0);
  delete &transfer;
  if (state_ == State::draining && transfers_.empty()) {
    drained();
  } else if (!failure.ok()) {
    fail(failure);
  }
}

void RdmaLink::release_region(std::uint32_t slot, std::uint32_t generation) noexcept {
  remote_.remove(slot);
  const Revoke which{slot, generation};
  add_control(RecordType::released, &which, sizeof which);
}

// Operations that the fabric has are not taken back.
void RdmaLink::cancel_transfer(Transfer& transfer) noexcept {
  if (transfer.begun || transfer.ops > 0) return;
  transfer.left = 0;
  if (transfer.blocked) endpoint_.forget(transfer);
  complete(transfer.done, {Code::cancelled, 0, "transfer"}, 0);
  finish_transfer(transfer);
}

}  // namespace rideau::rdma
