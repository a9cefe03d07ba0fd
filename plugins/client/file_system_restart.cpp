// SPDX-License-Identifier: Apache-2.0
// The metadata server restarted and knows this client's session still. Files stay open, and what is cached stays right:
// open files, locks of inodes and locks of programs are claimed again before anybody else can get them, and changes
// that the server may have lost are made again.
#include "framework/base/sim_hooks.hpp"
#include "plugins/client/file_system_impl.hpp"
#include "plugins/fs/codec.hpp"

namespace rideau::client {

Task<Status> FileSystem::Impl::on_restart() {
  // Grants of before that are still on their way, in answers told again, mean nothing.
  const lock::GrantNumber void_upto = meta_session.boot_epoch() << fs::kGrantsPerEpochBits;
  inodes.void_grants(void_upto);
  inodes.for_each([void_upto](Node& node) {
    if (node.lock.mode == Mode::none) node.lock.number = std::max(node.lock.number, void_upto);
  });
  // Handles before changes: what loses its last name must be known to be open.
  Status status = RIDEAU_PLANTED_BUG(claims_no_opens) ? kOk : co_await claim_opens();
  if (status.ok() && !RIDEAU_PLANTED_BUG(claims_no_locks)) status = co_await claim_locks();
  if (status.ok()) status = co_await claim_advisory_locks();
  if (status.ok()) status = co_await meta_session.replay();
  if (!status.ok()) co_return status;
  fs::ReclaimRequest done;
  done.done = true;
  fs::ReclaimReply reply;
  status = co_await claim(done, &reply);
  if (status.ok()) advisory.wait_again();
  co_return status;
}

Task<Status> FileSystem::Impl::claim(const fs::ReclaimRequest& request, fs::ReclaimReply* reply) {
  wire::Encoded body;
  fs::encode(request, body);
  rpc::Request message;
  message.method = static_cast<std::uint16_t>(fs::MetaMethod::reclaim);
  message.body = body.bytes();
  const rpc::Reply answer = co_await meta_session.claim(message);
  if (!answer.ok()) co_return answer.status;
  const Status decoded = fs::decode(answer.body, reply);
  const bool fits = decoded.ok() && reply->locks.size() == request.locks.size();
  co_return fits ? kOk : Status{Code::invalid, 0, "malformed answer to a claim"};
}

Task<Status> FileSystem::Impl::claim_opens() {
  std::vector<fs::ReclaimedOpen> all;
  const auto add = [&](const Handle& handle) {
    if (handle.epoch != epoch || handle.broken) return;
    all.push_back({handle.id, handle.inode(), handle.flags, handle.node->nameless});
  };
  for (const auto& [id, handle] : handles) add(*handle);
  for (const PendingClose& item : closes) add(*item.handle);
  for (const Opening& unanswered : opening) all.push_back(unanswered.claim);
  inodes.for_each([&all](Node& node) {
    if (node.kept_open != 0) all.push_back({node.kept_open, node.inode.id, fs::kOpenRead, false});
  });
  for (std::size_t at = 0; at < all.size();) {
    fs::ReclaimRequest request;
    fs::ReclaimReply reply;
    for (; at < all.size() && request.opens.size() < limits::kReclaimItemsMax; ++at) request.opens.push_back(all[at]);
    const Status claimed = co_await claim(request, &reply);
    if (!claimed.ok()) co_return claimed;
  }
  co_return kOk;
}

namespace {

fs::ReclaimedLock reclaimed_lock(const Node& node) {
  fs::ReclaimedLock lock{node.inode.id, static_cast<std::uint32_t>(node.lock.mode), {}};
  if (!node.lock.divided) return lock;
  lock.mode = fs::kDividedMode;
  for (const HeldExtents::Held& part : node.parts->held.all()) {
    lock.extents.push_back({part.range.begin, part.range.end, static_cast<std::uint32_t>(part.mode)});
  }
  return lock;
}

}  // namespace

Task<Status> FileSystem::Impl::claim_locks() {
  std::vector<NodeRef> held;
  inodes.for_each([&held](Node& node) {
    if (node.lock.mode != Mode::none) held.push_back(NodeRef(node));
  });
  for (std::size_t at = 0; at < held.size();) {
    fs::ReclaimRequest request;
    fs::ReclaimReply reply;
    const std::size_t begin = at;
    for (std::size_t items = 0; at < held.size(); ++at) {
      fs::ReclaimedLock lock = reclaimed_lock(*held[at]);
      items += 1 + lock.extents.size();
      if (items > limits::kReclaimItemsMax && at > begin) break;
      request.locks.push_back(std::move(lock));
    }
    const Status claimed = co_await claim(request, &reply);
    if (!claimed.ok()) co_return claimed;
    for (std::size_t i = begin; i < at; ++i) {
      Node& node = *held[i];
      const fs::LockWord word = reply.locks[i - begin];
      const auto mode = static_cast<std::uint32_t>(word & 3);
      if (mode >= request.locks[i - begin].mode) {
        take_grant(node, word);
        if (node.parts != nullptr) node.parts->newest = std::max(node.parts->newest, reply.extents);
      } else if (node.lock.mode != Mode::none) {
        log.error("the lock of inode %llu was not there any more after the restart",
                  static_cast<unsigned long long>(node.inode.id));
        start_release(NodeRef(node));
      }
    }
  }
  co_return kOk;
}

Task<Status> FileSystem::Impl::claim_advisory_locks() {
  const std::vector<fs::SetAdvisoryLockRequest> held = advisory.held();
  for (std::size_t at = 0; at < held.size();) {
    fs::ReclaimRequest request;
    fs::ReclaimReply reply;
    for (; at < held.size() && request.advisory.size() < limits::kReclaimItemsMax; ++at) {
      request.advisory.push_back(held[at]);
    }
    const Status claimed = co_await claim(request, &reply);
    if (!claimed.ok()) co_return claimed;
  }
  co_return kOk;
}

}  // namespace rideau::client
