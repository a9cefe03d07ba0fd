// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/guard_index.hpp"

#include "framework/base/checksum.hpp"

#include <iterator>

namespace rideau {
namespace {

constexpr std::size_t kCommitsMax = 128;  // whose sequences are compared with later ones
constexpr std::size_t kWatchedMax = 64;   // of the keys and values that one snapshot gave out

// Over one batch array: every byte that the plugin may read until the completion.
std::uint32_t sum_of(const IndexBatch* batches, std::uint32_t count) noexcept {
  std::uint32_t sum = 0;
  for (std::uint32_t b = 0; b < count; ++b) {
    for (std::uint32_t i = 0; i < batches[b].check_count; ++i) {
      sum = crc32c(batches[b].checks[i].key, sum);
      if (batches[b].checks[i].kind == Check::Kind::equals) sum = crc32c(batches[b].checks[i].value, sum);
    }
    for (std::uint32_t i = 0; i < batches[b].edit_count; ++i) {
      sum = crc32c(batches[b].edits[i].key, sum);
      if (batches[b].edits[i].kind == Edit::Kind::put) sum = crc32c(batches[b].edits[i].value, sum);
    }
  }
  return sum;
}

bool over_limits(const IndexLimits& limits, const IndexBatch* batches, std::uint32_t count) noexcept {
  std::uint64_t bytes = 0;
  bool over = false;
  for (std::uint32_t b = 0; b < count; ++b) {
    for (std::uint32_t i = 0; i < batches[b].edit_count; ++i) {
      const Edit& edit = batches[b].edits[i];
      const std::size_t value_size = edit.kind == Edit::Kind::put ? edit.value.size : 0;
      over = over || edit.key.size > limits.key_bytes_max || value_size > limits.value_bytes_max;
      bytes += edit.key.size + value_size;
    }
  }
  return over || bytes > limits.batch_bytes_max;
}

}  // namespace

class GuardSnapshot final : public Snapshot {
 public:
  GuardSnapshot(GuardIndexStore& store, Snapshot& plugin) : store_(store), core_(store.core_), plugin_(plugin) {}
  virtual ~GuardSnapshot() = default;

  Status get(Bytes key, Bytes* value) noexcept override {
    const GuardCore::Inside inside(core_);
    const Status status = plugin_.get(key, value);
    if (status.ok()) watch(*value);
    return status;
  }

  Status seek(Bytes key, Bytes* found, Bytes* value) noexcept override {
    const GuardCore::Inside inside(core_);
    const Status status = plugin_.seek(key, found, value);
    positioned_ = status.ok();
    if (!status.ok()) return status;
    core_.require(compare(*found, key) >= 0, Culprit::plugin, "Snapshot::seek", "it found a key before the one sought");
    keep_position(*found, *value);
    return status;
  }

  Status next(Bytes* found, Bytes* value) noexcept override {
    const GuardCore::Inside inside(core_);
    const Status status = plugin_.next(found, value);
    if (!status.ok()) {
      positioned_ = false;
      return status;
    }
    core_.require(positioned_, Culprit::plugin, "Snapshot::next", "it found a key after the end, or without a seek");
    core_.require(compare(*found, Bytes(std::string_view(position_))) > 0, Culprit::plugin, "Snapshot::next",
                  "its keys do not ascend");
    keep_position(*found, *value);
    return status;
  }

  void release() noexcept override {
    for (const Watched& watched : watched_) {
      core_.require(crc32c(watched.bytes) == watched.sum, Culprit::plugin, "Snapshot::release",
                    "a key or value that the snapshot gave out has changed before release");
    }
    {
      const GuardCore::Inside inside(core_);
      plugin_.release();
    }
    store_.forget(*this);  // `this` is gone
  }

 private:
  struct Watched {
    Bytes bytes;
    std::uint32_t sum;
  };
  void watch(Bytes bytes) {
    if (watched_.size() < kWatchedMax) watched_.push_back({bytes, crc32c(bytes)});
  }
  void keep_position(Bytes found, Bytes value) {
    position_.assign(found.view());
    watch(found);
    watch(value);
  }

  GuardIndexStore& store_;
  GuardCore& core_;
  Snapshot& plugin_;
  bool positioned_ = false;
  std::string position_;
  std::vector<Watched> watched_;
};

GuardIndexStore::GuardIndexStore(GuardCore& core, IndexStore& plugin) : GuardedLife(core, plugin) {}
GuardIndexStore::~GuardIndexStore() = default;

IndexLimits GuardIndexStore::limits() const noexcept {
  const IndexLimits limits = plugin_.limits();
  core_.require(limits.key_bytes_max > 0 && limits.batch_bytes_max >= limits.key_bytes_max, Culprit::plugin, "limits",
                "the limits make no sense");
  return limits;
}

Status GuardIndexStore::snapshot(Snapshot** out) noexcept {
  const GuardCore::Inside inside(core_);
  Snapshot* made = nullptr;
  const Status status = plugin_.snapshot(&made);
  if (!status.ok()) return status;
  core_.require_in_use("snapshot");
  core_.require(made != nullptr, Culprit::plugin, "snapshot", "it answered ok without a snapshot");
  snapshots_.push_back(std::make_unique<GuardSnapshot>(*this, *made));
  *out = snapshots_.back().get();
  return status;
}

void GuardIndexStore::forget(const GuardSnapshot& snapshot) {
  std::erase_if(snapshots_, [&snapshot](const auto& owned) { return owned.get() == &snapshot; });
}

// Sequences grow in the order of submission; completions may arrive in another one.
void GuardIndexStore::check_results(const GuardCall& call, std::uint64_t submitted, const IndexBatch* batches,
                                    std::uint32_t count) {
  if (!call.status.ok()) return;
  Sequences own{0, 0};
  for (std::uint32_t i = 0; i < count; ++i) {
    const IndexBatch& batch = batches[i];
    if (!batch.status.ok()) {
      core_.require(batch.sequence == 0, Culprit::plugin, "commit", "a batch that was not applied has a sequence");
      continue;
    }
    core_.require(batch.sequence > own.last, Culprit::plugin, "commit", "the sequences of its batches do not grow");
    if (own.first == 0) own.first = batch.sequence;
    own.last = batch.sequence;
  }
  core_.require(call.value >= own.last, Culprit::plugin, "commit",
                "its value is less than the last sequence that was applied");
  if (own.last == 0) return;
  const auto place = completed_.emplace(submitted, own).first;
  const auto after = std::next(place);
  const bool grows = (place == completed_.begin() || std::prev(place)->second.last < own.first) &&
                     (after == completed_.end() || own.last < after->second.first);
  core_.require(grows, Culprit::plugin, "commit", "sequences do not grow in the order of the commits");
  if (completed_.size() > kCommitsMax) completed_.erase(completed_.begin());
}

Submitted GuardIndexStore::commit(IndexBatch* batches, std::uint32_t count, Durability durability,
                                  Completion& done) noexcept {
  const bool over = over_limits(plugin_.limits(), batches, count);
  const std::uint32_t sum = sum_of(batches, count);
  const std::uint64_t submitted = ++submitted_;
  return core_.submit(
      "commit", nullptr, done, [=, this](Completion& c) { return plugin_.commit(batches, count, durability, c); },
      [=, this](const GuardCall& call) {
        core_.require(sum_of(batches, count) == sum, Culprit::host, "commit",
                      "lent bytes changed before the completion");
        core_.require(!over || !call.status.ok(), Culprit::plugin, "commit", "it accepted edits over its limits");
        check_results(call, submitted, batches, count);
      });
}

Status GuardIndexStore::space(IndexSpace* out) noexcept {
  const GuardCore::Inside inside(core_);
  const Status status = plugin_.space(out);
  if (status.ok()) core_.require_in_use("space");
  core_.require(!status.ok() || out->bytes_free <= out->bytes_total, Culprit::plugin, "space",
                "more bytes are free than there are");
  return status;
}

void GuardIndexStore::when_stopped() {
  core_.require(snapshots_.empty() || core_.has_power_cut(), Culprit::host, "stop", "a snapshot was not released");
}

}  // namespace rideau
