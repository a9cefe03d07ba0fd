// SPDX-License-Identifier: Apache-2.0
// Bytes that targets have acknowledged and may still lose are kept here until they are durable. There is a bound to
// them, so targets are asked to make objects durable, the oldest first: when half of it is used up, and when they are
// old. A writer waits when all of it is used up (FileData::Impl::wait_for_room).
#include "plugins/client/data_plane_impl.hpp"
#include "plugins/client/file_data_impl.hpp"

#include <algorithm>
#include <utility>

namespace rideau::client {

namespace {
constexpr std::size_t kObjectsAtOnce = 256;  // of one call
}  // namespace

void DataPlane::Impl::became_unstable(DataTarget& target, const UnstableObject& object) {
  target.unstable.insert(object);
  if (!unstable_alarm.pending()) unstable_alarm.set(kUnstableAgeNs);
}

bool DataPlane::Impl::is_old(const DataTarget& target) const noexcept {
  return !target.unstable.empty() && target.unstable.begin()->since_ns + kUnstableAgeNs <= runtime.now_ns();
}

void DataPlane::Impl::ring_unstable() {
  std::uint64_t oldest = UINT64_MAX;
  for (auto& [id, target] : targets) {
    if (is_old(target)) start_stabilizing(target);
    if (!target.unstable.empty()) oldest = std::min(oldest, target.unstable.begin()->since_ns);
  }
  const std::uint64_t now = runtime.now_ns();
  if (oldest != UINT64_MAX) unstable_alarm.set(std::max(oldest + kUnstableAgeNs, now + kUnstableAgeNs / 10) - now);
}

void DataPlane::Impl::stabilize() {
  for (auto& [id, target] : targets) {
    if (!target.unstable.empty()) start_stabilizing(target);
  }
}

void DataPlane::Impl::start_stabilizing(DataTarget& target) {
  if (!std::exchange(target.stabilizing, true)) tasks.spawn(stabilize_target(target));
}

Task<> DataPlane::Impl::stabilize_target(DataTarget& target) {
  co_await yield_now(runtime);  // its starter may walk over what this changes
  Status status{};
  do {
    status = co_await stabilize_oldest(target);
  } while (status.ok() && !target.unstable.empty() && (over_unstable() || is_old(target)));
  target.stabilizing = false;
  progress.wake_all();
}

std::vector<DataPlane::Impl::Covered> DataPlane::Impl::covered_by_sync(const DataTarget& target,
                                                                       std::size_t objects_max) {
  std::vector<Covered> covered;
  for (const UnstableObject& object : target.unstable) {
    if (covered.size() >= objects_max) break;
    const FileData::Impl& file = files.at(object.inode).data->impl();
    const FileData::Impl::StripeState& stripe = file.stripes[object.stripe];
    if (stripe.remaking) continue;  // what was lost is not there yet
    covered.push_back({object.inode, file.striping.layout().generation, object.stripe, stripe.changes});
  }
  return covered;
}

void DataPlane::Impl::became_durable(std::vector<Covered> covered) {
  std::sort(covered.begin(), covered.end(), [](const Covered& a, const Covered& b) { return a.inode < b.inode; });
  for (std::size_t at = 0; at < covered.size();) {
    const fs::InodeId inode = covered[at].inode;
    const auto found = files.find(inode);
    const std::size_t begin = at;
    while (at < covered.size() && covered[at].inode == inode) ++at;
    if (found == files.end()) continue;
    FileData::Impl& file = found->second.data->impl();
    for (std::size_t i = begin; i < at; ++i) {
      if (covered[i].layout == file.striping.layout().generation) file.covered(covered[i].stripe, covered[i].change);
    }
    file.forget_durable();
  }
}

Task<Status> DataPlane::Impl::stabilize_oldest(DataTarget& target) {
  const std::vector<Covered> covered = covered_by_sync(target, kObjectsAtOnce);
  if (covered.empty()) co_return Status{Code::busy, 0, "nothing to make durable now"};
  fs::ObjectSyncRequest request;
  for (const Covered& one : covered) request.objects.push_back(fs::object_id(one.inode, one.layout, one.stripe));
  const std::uint64_t epoch = target.epoch;
  const Status status = co_await target.channel->sync(std::move(request));
  if (target.epoch != epoch) co_return kOk;  // after a restart in between nobody knows of what it was said
  if (status.ok()) {
    became_durable(covered);
  } else if (status.code != Code::closed) {
    for (const Covered& one : covered) {
      const auto found = files.find(one.inode);
      if (found != files.end()) found->second.data->impl().give_up_unstable(status);
    }
  }
  progress.wake_all();
  co_return status;
}

Task<Status> DataPlane::sync_targets() {
  Impl& plane = *impl_;
  Status result{};
  for (auto& [id, target] : plane.targets) {
    if (target.removed) continue;
    const std::vector<Impl::Covered> covered = plane.covered_by_sync(target, target.unstable.size());
    const std::uint64_t epoch = target.epoch;
    const Status status = co_await target.channel->sync({});  // of all objects
    if (!status.ok()) {
      if (!target.removed) result = status;
    } else if (target.epoch == epoch) {
      plane.became_durable(covered);
    }
  }
  plane.progress.wake_all();
  co_return result;
}

}  // namespace rideau::client
