// SPDX-License-Identifier: Apache-2.0
// See index.hpp.
#include "plugins/oss/index.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/runtime/await.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {

constexpr std::size_t kErasesPerBatch = 1'000;
constexpr std::size_t kDestroysPerBatch = 250;
constexpr std::size_t kFencesMax = 4'096;
constexpr std::size_t kUnwrittenMax = 4'096;

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

}  // namespace

template <class Record>
Status OssIndex::load(const std::string& key, Status (*read)(Bytes, Record*), Record* to) {
  Snapshot* snapshot = nullptr;
  if (const Status made = store_.snapshot(&snapshot); !made.ok()) return made;
  Bytes value{};
  Status status = snapshot->get(view(key), &value);
  if (status.ok()) status = read(value, to);
  snapshot->release();
  return status;
}

Task<Status> OssIndex::commit(const Changes& changes, Durability durability) {
  std::vector<Edit> edits;
  edits.reserve(changes.puts.size() + changes.erases.size());
  for (const std::string& key : changes.erases) edits.push_back({Edit::Kind::erase, view(key), {}});
  for (const auto& [key, value] : changes.puts) edits.push_back({Edit::Kind::put, view(key), view(value)});
  IndexBatch batch{};
  batch.edits = edits.data();
  batch.edit_count = static_cast<std::uint32_t>(edits.size());
  batch.frees_space = changes.erases.size() > changes.puts.size();
  const std::uint64_t number = ++stored_;
  Outcome done =
      co_await submit([&](Completion& completion) { return store_.commit(&batch, 1, durability, completion); });
  if (done.status.code == Code::no_space && changes.must_fit && !batch.frees_space) {
    batch.frees_space = true;
    done = co_await submit([&](Completion& completion) { return store_.commit(&batch, 1, durability, completion); });
  }
  if (!done.ok()) co_return done.status;
  if (!batch.status.ok()) co_return batch.status;
  if (durability == Durability::durable) durable_ = std::max(durable_, number);
  co_return kOk;
}

Task<Status> OssIndex::close() {
  boot_.stopped = true;
  Changes changes;
  changes.must_fit = true;
  changes.puts.emplace_back(boot_key(), boot_value(boot_));
  const Status stored = co_await commit(changes, Durability::durable);
  co_return stored;
}

Task<Status> OssIndex::format(Uuid cluster, std::uint32_t target, std::string* why) {
  Superblock found{};
  const Status loaded = load(superblock_key(), read_superblock, &found);
  if (loaded.code != Code::not_found) {
    *why = loaded.ok() ? "the index already belongs to target " + std::to_string(found.target) + " of cluster " +
                             to_text(found.cluster)
                       : "the index cannot be read, and is left as it is";
    co_return loaded.ok() ? Status{Code::exists, 0, "format object target"} : loaded;
  }
  const Superblock superblock{kFormat, cluster, target, 0};
  Changes changes;
  changes.puts.emplace_back(superblock_key(), superblock_value(superblock));
  const Status stored = co_await commit(changes, Durability::durable);
  if (!stored.ok()) *why = "the superblock cannot be written to the index";
  co_return stored;
}

Task<Status> OssIndex::open(Uuid cluster, std::uint32_t target, const Uuid& machine_boot, std::string* why) {
  Superblock found{};
  Status status = load(superblock_key(), read_superblock, &found);
  if (status.code == Code::not_found) {
    *why = "the index holds no object target; format it first";
    co_return status;
  }
  if (status.code == Code::unsupported || (status.ok() && found.format > kFormat)) {
    *why = "the target was made by a newer version (format " + std::to_string(found.format) + ", this one knows " +
           std::to_string(kFormat) + "); it is left untouched";
    co_return Status{Code::refused, 0, "open object target"};
  }
  if (!status.ok()) {
    *why = "the superblock in the index is damaged";
    co_return status;
  }
  if (found.cluster != cluster || found.target != target) {
    *why = "the store holds target " + std::to_string(found.target) + " of cluster " + to_text(found.cluster) +
           ", and not target " + std::to_string(target) + " of cluster " + to_text(cluster);
    co_return Status{Code::refused, 0, "open object target"};
  }
  superblock_ = found;
  ++superblock_.boot_epoch;
  BootRecord before{};
  const bool told = load(boot_key(), read_boot, &before).ok() && before.boot_epoch == found.boot_epoch;
  const bool same_machine_boot = machine_boot != Uuid{} && before.machine_boot == machine_boot;
  const bool kept = told && (before.stopped || same_machine_boot || RIDEAU_PLANTED_BUG(forgets_power_cuts));
  if (kept && !before.stopped) RIDEAU_MARK(target_kept_all);
  if (!kept && told) RIDEAU_MARK(target_lost_memory);
  boot_ = {superblock_.boot_epoch, kept ? before.kept_from : superblock_.boot_epoch, machine_boot, false};
  status = co_await erase_all('s');
  if (status.ok()) status = co_await erase_all('l');
  if (status.ok()) status = load_destroyed();
  if (status.ok()) status = load_fences();
  if (status.ok()) {
    Changes changes;
    changes.must_fit = true;
    changes.puts.emplace_back(superblock_key(), superblock_value(superblock_));
    changes.puts.emplace_back(boot_key(), boot_value(boot_));
    status = co_await commit(changes, Durability::durable);
  }
  if (!status.ok()) *why = "the index cannot be read or written";
  co_return status;
}

Task<Status> OssIndex::erase_all(char letter) {
  const std::string start(1, letter);
  for (;;) {
    Changes changes;
    Snapshot* snapshot = nullptr;
    if (const Status made = store_.snapshot(&snapshot); !made.ok()) co_return made;
    Bytes key{};
    Bytes value{};
    Status status = snapshot->seek(view(start), &key, &value);
    while (status.ok() && key.size > 0 && key.data[0] == static_cast<std::uint8_t>(letter) &&
           changes.erases.size() < kErasesPerBatch) {
      changes.erases.emplace_back(key.view());
      status = snapshot->next(&key, &value);
    }
    snapshot->release();
    if (!status.ok() && status.code != Code::not_found) co_return status;
    if (changes.erases.empty()) co_return kOk;
    const Status erased = co_await commit(changes, Durability::eventual);
    if (!erased.ok()) co_return erased;
  }
}

Status OssIndex::load_destroyed() {
  Snapshot* snapshot = nullptr;
  if (const Status made = store_.snapshot(&snapshot); !made.ok()) return made;
  Bytes key{};
  Bytes value{};
  std::uint64_t sequence = 0;
  Status status = snapshot->seek(view(destroyed_key(0)), &key, &value);
  while (status.ok() && parse_destroyed_key(key, &sequence)) {
    ObjectId id{};
    if (status = read_destroyed(key, value, &id); !status.ok()) break;
    destroyed_order_[sequence] = id;
    destroyed_[id] = sequence;
    next_destroyed_ = sequence + 1;
    status = snapshot->next(&key, &value);
  }
  snapshot->release();
  return status.code == Code::not_found ? kOk : status;
}

Status OssIndex::load_fences() {
  Snapshot* snapshot = nullptr;
  if (const Status made = store_.snapshot(&snapshot); !made.ok()) return made;
  Bytes key{};
  Bytes value{};
  FenceId id;
  Status status = snapshot->seek(view(fence_key({})), &key, &value);
  while (status.ok() && parse_fence_key(key, &id)) {
    if (status = read_fence(key, value, &fences_[id]); !status.ok()) break;
    status = snapshot->next(&key, &value);
  }
  snapshot->release();
  return status.code == Code::not_found ? kOk : status;
}

std::uint64_t OssIndex::fenced_session(const FenceId& id) const {
  const auto found = fences_.find(id);
  return found == fences_.end() ? 0 : found->second;
}

Task<Status> OssIndex::store_fence(const FenceId& id, std::uint64_t session) {
  std::uint64_t& fenced = fences_[id];
  fenced = std::max(fenced, session);
  Changes changes;
  changes.must_fit = true;
  changes.puts.emplace_back(fence_key(id), fence_value(id, fenced));
  // Sessions of a metadata target are numbered in the order of time.
  const auto older = [](const auto& a, const auto& b) { return a.second < b.second; };
  while (fences_.size() > kFencesMax) {
    const auto oldest = std::min_element(fences_.begin(), fences_.end(), older);
    changes.erases.push_back(fence_key(oldest->first));
    fences_.erase(oldest);
  }
  co_return co_await commit(changes, Durability::durable);
}

Result<std::uint64_t> OssIndex::version(ObjectId id) {
  if (const auto unwritten = unwritten_.find(id); unwritten != unwritten_.end()) return unwritten->second;
  Snapshot* snapshot = nullptr;
  if (const Status made = store_.snapshot(&snapshot); !made.ok()) return made;
  Bytes value{};
  std::uint64_t version = 0;
  Status status = snapshot->get(view(version_key(id)), &value);
  if (status.ok()) status = read_version(id, value, &version);
  snapshot->release();
  if (!status.ok() && status.code != Code::not_found) return status;
  return version;
}

void OssIndex::add_reply(Changes& changes, const CallIdentity& call, std::uint64_t version) {
  if (call.session == 0) return;
  std::set<std::uint32_t>& slots = slots_[call.session];
  if (slots.empty()) changes.puts.emplace_back(session_key(call.session), session_value(call.session, {call.client}));
  slots.insert(call.slot);
  const SlotRecord record{call.sequence, call.method, 0, 0, version};
  changes.puts.emplace_back(slot_key(call.session, call.slot), slot_value(call.session, call.slot, record));
}

Task<Status> OssIndex::set_version(ObjectId id, std::uint64_t version, const CallIdentity& call) {
  Changes changes;
  changes.puts.emplace_back(version_key(id), version_value(id, version));
  add_reply(changes, call, version);
  const Status stored = co_await commit(changes, Durability::eventual);
  if (stored.ok()) unwritten_.erase(id);
  if (stored.code != Code::no_space && stored.code != Code::busy) co_return stored;
  RIDEAU_MARK(version_without_record);
  remember_unwritten(id, version);
  co_return kOk;
}

void OssIndex::remember_unwritten(ObjectId id, std::uint64_t version) {
  unwritten_[id] = version;
  if (unwritten_.size() <= kUnwrittenMax) return;
  // They come from clocks.
  const auto older = [](const auto& a, const auto& b) { return a.second < b.second; };
  unwritten_.erase(std::min_element(unwritten_.begin(), unwritten_.end(), older));
}

void OssIndex::mark_destroyed(const std::vector<ObjectId>& ids) {
  for (const ObjectId& id : ids) {
    destroyed_.try_emplace(id, 0);
    unwritten_.erase(id);
  }
}

Task<Status> OssIndex::store_destroyed(const std::vector<ObjectId>& ids, const CallIdentity& call) {
  for (std::size_t begin = 0; begin < ids.size(); begin += kDestroysPerBatch) {
    const std::size_t end = std::min(ids.size(), begin + kDestroysPerBatch);
    Changes changes;
    changes.must_fit = true;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint64_t sequence = next_destroyed_++;
      std::uint64_t& known = destroyed_[ids[i]];
      if (known != 0) {
        destroyed_order_.erase(known);
        changes.erases.push_back(destroyed_key(known));
      }
      known = sequence;
      destroyed_order_[sequence] = ids[i];
      changes.puts.emplace_back(destroyed_key(sequence), destroyed_value(sequence, ids[i]));
      changes.erases.push_back(version_key(ids[i]));
    }
    while (destroyed_order_.size() > std::max<std::size_t>(destroyed_max_, kDestroysPerBatch)) {
      const auto oldest = destroyed_order_.begin();
      changes.erases.push_back(destroyed_key(oldest->first));
      destroyed_.erase(oldest->second);
      destroyed_order_.erase(oldest);
    }
    const bool last = end == ids.size();
    if (last) add_reply(changes, call, 0);
    const Durability durability = last ? Durability::durable : Durability::eventual;
    Status stored = co_await commit(changes, durability);
    if (stored.code == Code::no_space) {
      // Destroying must go on when the index is full; the marks then last for this epoch alone.
      changes.puts.clear();
      stored = co_await commit(changes, durability);
    }
    if (!stored.ok()) co_return stored;
  }
  co_return kOk;
}

Task<Status> OssIndex::end_session(std::uint64_t session) {
  const auto found = slots_.find(session);
  if (found == slots_.end()) co_return kOk;
  Changes changes;
  changes.erases.push_back(session_key(session));
  for (const std::uint32_t slot : found->second) changes.erases.push_back(slot_key(session, slot));
  slots_.erase(found);
  co_return co_await commit(changes, Durability::eventual);
}

Task<Status> OssIndex::sync() {
  if (durable_ == stored_) co_return kOk;
  Changes changes;
  changes.must_fit = true;
  changes.puts.emplace_back(mark_key(), mark_value(stored_));
  co_return co_await commit(changes, Durability::durable);
}

}  // namespace rideau::oss
