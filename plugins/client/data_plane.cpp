// SPDX-License-Identifier: Apache-2.0
// What the files of one client share; see data_plane_impl.hpp.
#include "plugins/client/data_plane_impl.hpp"
#include "plugins/client/file_data_impl.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

namespace {
constexpr std::uint64_t kCacheLeast = 64ull << 20;         // others' needs make it no smaller
constexpr std::size_t kFilesAtOnce = 64;                   // whose write-back is started in one go
constexpr std::uint64_t kAgeRetryNs = 100 * kMillisecond;  // for old bytes that a busy target could not take
constexpr int kVersionClientBits = 16;

}  // namespace

DataPlane::Impl::Impl(Runtime& runtime_in, TaskGroup& tasks_in, DataOptions options_in)
    : runtime(runtime_in),
      tasks(tasks_in),
      options(options_in),
      background_bytes(std::min(kBackgroundBytes, options_in.dirty_bytes_max / 4)),
      cache(options_in.cache_bytes, options_in.lendable, [this](std::uint64_t inode) { candidates.insert(inode); }),
      cache_size(runtime_in, cache, options_in.memory,
                 std::max(std::min(kCacheLeast, options_in.cache_bytes / 4), options_in.dirty_bytes_max)),
      progress(runtime_in),
      age_alarm(runtime_in, [this] { ring(); }),
      unstable_alarm(runtime_in, [this] { ring_unstable(); }) {}

DataTarget* DataPlane::Impl::target(fs::TargetId id) noexcept {
  const auto found = targets.find(id);
  return found == targets.end() ? nullptr : &found->second;
}

// Nanoseconds in steps of 65 microseconds; below them who it is, since two clients that go on from one number that both
// have seen would come to the same next one, and an object server takes a version that it knows for done.
std::uint64_t DataPlane::Impl::next_version(const DataTarget& target) noexcept {
  const auto clock =
      static_cast<std::uint64_t>(std::max<std::int64_t>(runtime.wall_ns() + target.channel->time_offset_ns(), 0));
  const std::uint64_t step = std::max((last_version >> kVersionClientBits) + 1, clock >> kVersionClientBits);
  last_version = step << kVersionClientBits | options.client;
  return last_version;
}

std::uint64_t DataPlane::Impl::file_bytes_max(const Striping& striping) noexcept {
  std::uint64_t most = limits::kFileBytesMax;
  for (std::uint32_t stripe = 0; striping.valid() && stripe < striping.stripe_count(); ++stripe) {
    const DataTarget* known = target(striping.target(stripe));
    if (known == nullptr || known->object_bytes_max == limits::kFileBytesMax) continue;
    most = std::min(most, striping.file_size(stripe, known->object_bytes_max + 1) - 1);
  }
  return most;
}

void DataPlane::Impl::became_dirty(FileData::Impl& file) {
  cache_size.used();
  file.dirty_since_ns = runtime.now_ns();
  dirty_files.emplace(file.dirty_since_ns, file.inode);
  if (!age_alarm.pending()) set_alarm();
}

void DataPlane::Impl::all_sent(FileData::Impl& file) {
  dirty_files.erase({file.dirty_since_ns, file.inode});
  if (dirty_files.empty()) age_alarm.clear();
}

void DataPlane::Impl::set_alarm() {
  if (dirty_files.empty()) return;
  const std::uint64_t due = dirty_files.begin()->first + options.dirty_age_ms * kMillisecond;
  const std::uint64_t now = runtime.now_ns();
  age_alarm.set(due > now ? due - now : kAgeRetryNs);
}

void DataPlane::Impl::ring() {
  const std::uint64_t age_ns = options.dirty_age_ms * kMillisecond;
  const std::uint64_t now = runtime.now_ns();
  std::vector<fs::InodeId> old_files;
  for (const auto& [since, inode] : dirty_files) {
    if (since + age_ns > now) break;
    old_files.push_back(inode);
  }
  for (const fs::InodeId inode : old_files) {
    if (saturated()) break;
    FileData::Impl& file = files.at(inode).data->impl();
    if (!file.gate.try_enter()) continue;
    file.start_sends(Send::all, kAnyStamp);
    file.leave();
  }
  set_alarm();
}

bool DataPlane::Impl::saturated() const noexcept {
  return std::all_of(targets.begin(), targets.end(),
                     [](const auto& entry) { return entry.second.sends >= kSendsPerTarget; });
}

void DataPlane::Impl::write_back_oldest() {
  std::vector<fs::InodeId> oldest;
  for (auto at = dirty_files.begin(); at != dirty_files.end() && oldest.size() < kFilesAtOnce; ++at) {
    oldest.push_back(at->second);
  }
  for (const fs::InodeId inode : oldest) {
    if (saturated()) break;
    FileData::Impl& file = files.at(inode).data->impl();
    if (!file.gate.try_enter()) continue;
    file.start_sends(Send::all, kAnyStamp);
    file.leave();
  }
}

void DataPlane::Impl::kick(FileData::Impl& file) {
  progress.wake_all();
  if (over_background() && file.gate.try_enter()) {
    file.start_sends(Send::full, kAnyStamp);
    file.leave();
  }
  if (dirty_total > options.dirty_bytes_max / 2) write_back_oldest();
  if (over_unstable()) stabilize();
}

void DataPlane::Impl::released(fs::InodeId inode) {
  candidates.insert(inode);
  sweep();
}

void DataPlane::Impl::sweep() {
  for (const fs::InodeId inode : std::exchange(candidates, {})) {
    const auto found = files.find(inode);
    if (found == files.end() || !found->second.users.expired()) continue;
    FileData::Impl& file = found->second.data->impl();
    if (file.nameless) file.drop();
    if (file.idle()) files.erase(found);
  }
}

DataPlane::DataPlane(Runtime& runtime, TaskGroup& tasks, DataOptions options)
    : impl_(std::make_shared<Impl>(runtime, tasks, options)) {}
DataPlane::~DataPlane() = default;

void DataPlane::add_target(fs::TargetId target, rpc::ClientSession& session) {
  DataTarget& added = impl_->targets[target];
  added.own = std::make_unique<fs::SessionChannel>(session);
  added.channel = added.own.get();
}
void DataPlane::add_target(fs::TargetId target, fs::ObjectChannel& channel) {
  impl_->targets[target].channel = &channel;
}

void DataPlane::set_inline_home(InlineHome& home) { impl_->inline_home = &home; }

std::shared_ptr<FileData> DataPlane::file(fs::InodeId inode, const fs::Layout& layout, bool is_inline) {
  impl_->sweep();
  Impl::Entry& entry = impl_->files[inode];
  if (entry.data == nullptr) entry.data = std::make_unique<FileData>(*impl_, inode, layout);
  static_cast<void>(entry.data->try_adopt(layout, is_inline));
  std::shared_ptr<FileData> user = entry.users.lock();
  if (user == nullptr) {
    const std::weak_ptr<Impl> plane = impl_;
    user = std::shared_ptr<FileData>(entry.data.get(), [plane, inode](FileData*) {
      if (const std::shared_ptr<Impl> alive = plane.lock()) alive->released(inode);
    });
    entry.users = user;
  }
  return user;
}

void DataPlane::forget(fs::InodeId inode) {
  const auto found = impl_->files.find(inode);
  if (found == impl_->files.end() || !found->second.users.expired()) return;
  found->second.data->impl().discard();
  impl_->candidates.insert(inode);
  impl_->sweep();
}

void DataPlane::lost_last_name(fs::InodeId inode) {
  const auto found = impl_->files.find(inode);
  if (found == impl_->files.end()) return;
  found->second.data->impl().nameless = true;
  impl_->candidates.insert(inode);
  impl_->sweep();
}

std::shared_ptr<FileData> DataPlane::find(fs::InodeId inode) {
  impl_->sweep();
  const auto found = impl_->files.find(inode);
  if (found == impl_->files.end()) return nullptr;
  const FileData::Impl& known = found->second.data->impl();
  const fs::Layout layout = known.striping.layout();
  return file(inode, layout, known.inline_max != 0);
}

Task<Status> DataPlane::flush_all() {
  struct Waiting {
    fs::InodeId inode;
    std::uint64_t stamp;
    std::uint64_t failures;
  };
  Impl& plane = *impl_;
  std::vector<Waiting> waiting;
  for (const auto& [inode, entry] : plane.files) {
    FileData::Impl& file = entry.data->impl();
    if (file.dirty() || file.is_remaking()) waiting.push_back({inode, file.stamp++, file.failures});
  }
  Status result{};
  while (!waiting.empty()) {
    std::vector<Waiting> left;
    for (const Waiting& one : waiting) {
      const auto found = plane.files.find(one.inode);
      if (found == plane.files.end()) continue;
      FileData::Impl& file = found->second.data->impl();
      if (file.gate.try_enter()) {
        file.start_sends(Impl::Send::all, one.stamp);
        file.leave();
      }
      if (file.has_older(one.stamp) || file.is_remaking()) {
        left.push_back(one);
      } else if (file.failures != one.failures) {
        result = file.last_failure;
      }
    }
    waiting = std::move(left);
    if (!waiting.empty()) co_await plane.progress.wait();
  }
  co_return result;
}

void DataPlane::drop_all() {
  for (const auto& [inode, entry] : impl_->files) {
    entry.data->impl().drop();
    impl_->candidates.insert(inode);
  }
  impl_->sweep();
}

void DataPlane::discard_all() {
  for (const auto& [inode, entry] : impl_->files) {
    FileData::Impl& file = entry.data->impl();
    if (file.dirty()) file.keep_error(posix_error(EIO, "the lock was lost before the bytes were written back"));
    ++file.lock_losses;
    file.discard();
    impl_->candidates.insert(inode);
  }
  impl_->sweep();
}

void DataPlane::on_new_epoch(fs::TargetId id, bool kept_all) {
  DataTarget* target = impl_->target(id);
  if (target == nullptr) return;
  ++target->epoch;
  target->grant = 0;
  target->held = 0;
  target->unbacked = 0;
  target->asked = 0;
  target->returned = 0;
  for (const auto& [inode, entry] : impl_->files) entry.data->impl().meet_again(id, kept_all);
  impl_->progress.wake_all();
}

std::uint64_t DataPlane::epochs() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [id, target] : impl_->targets) sum += target.epoch;
  return sum;
}

std::uint64_t DataPlane::dirty_bytes() const noexcept { return impl_->dirty_total; }
std::shared_ptr<Buffer> DataPlane::lend_buffer() { return impl_->cache.lend_buffer(); }

void DataPlane::remove_target(fs::TargetId target) {
  DataTarget* known = impl_->target(target);
  if (known != nullptr) known->removed = true;
}

bool DataPlane::knows(const fs::Layout& layout) const noexcept {
  const auto known = [this](fs::TargetId target) { return impl_->targets.contains(target); };
  return std::all_of(layout.targets.begin(), layout.targets.end(), known);
}

Task<Status> DataPlane::ask_limit(fs::TargetId id) {
  DataTarget* target = impl_->target(id);
  if (target == nullptr) co_return kNoTarget;
  const auto reply = co_await target->channel->stat_file_system();
  if (!reply.ok()) co_return reply.status();
  if (reply->object_bytes_max != 0) {
    target->object_bytes_max = std::min<std::uint64_t>(reply->object_bytes_max, limits::kFileBytesMax - 1);
  }
  for (const auto& [inode, entry] : impl_->files) {
    FileData::Impl& file = entry.data->impl();
    file.bytes_max = impl_->file_bytes_max(file.striping);
  }
  co_return kOk;
}

Task<> DataPlane::take_grant(fs::TargetId id) {
  DataTarget* target = impl_->target(id);
  if (target == nullptr) co_return;
  const std::uint64_t epoch = target->epoch;
  const std::uint64_t wanted = target->grant_to_ask(impl_->options.dirty_bytes_max);
  if (wanted == 0) co_return;
  target->asked += wanted;
  const fs::ObjectWriteRequest nothing{ObjectId{}, 0, wanted, 0};
  const auto reply = co_await target->channel->write(nothing, nullptr, 0);
  if (target->epoch != epoch) co_return;
  target->asked -= wanted;
  if (reply.ok()) target->grant += reply->grant;
}

Task<Result<DataPlane::Space>> DataPlane::space() {
  Space all;
  std::set<std::uint64_t> devices;
  for (auto& [id, target] : impl_->targets) {
    if (target.removed) continue;
    const auto reply = co_await target.channel->stat_file_system();
    if (target.removed) continue;
    if (!reply.ok()) co_return reply.status();
    if (reply->device != 0 && !devices.insert(reply->device).second) continue;
    all.bytes_total += reply->bytes_total;
    all.bytes_free += reply->bytes_free;
  }
  all.bytes_free -= std::min(all.bytes_free, impl_->dirty_total);
  co_return all;
}

DataFigures DataPlane::figures() const noexcept {
  DataFigures figures;
  figures.cache_bytes = impl_->cache.bytes();
  figures.cache_bytes_max = impl_->cache.bytes_max();
  figures.dirty_bytes = impl_->dirty_total;
  figures.unstable_bytes = impl_->unstable_total;
  figures.copied_bytes = impl_->copied_bytes;
  for (const auto& [id, target] : impl_->targets) figures.grant_bytes += target.grant;
  return figures;
}

}  // namespace rideau::client
