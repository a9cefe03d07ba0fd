// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/backup.hpp"

#include "framework/base/checksum.hpp"
#include "framework/runtime/byte_sink.hpp"
#include "framework/runtime/await.hpp"
#include "plugins/fs/records.hpp"

#include <algorithm>

namespace rideau::mds {
namespace {

constexpr std::size_t kPortionBytes = 1u << 20;
constexpr std::uint32_t kBatchEdits = 4096;

// What the time between the backup and its restore may have used, at most.
constexpr std::uint64_t kInodesSkipped = 1ull << 32;
constexpr std::uint64_t kEpochsSkipped = 1u << 16;
constexpr std::uint64_t kTransactionsSkipped = 1ull << 40;

// Bytes of the stream that are not written yet.
class Portion {
 public:
  template <class Number>
  void number(Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void bytes(Bytes from) { bytes_.insert(bytes_.end(), from.data, from.data + from.size); }
  std::size_t size() const noexcept { return bytes_.size(); }
  Bytes all() const noexcept { return {bytes_.data(), bytes_.size()}; }
  void clear() noexcept { bytes_.clear(); }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Gives a snapshot back, however the backup ends.
class SnapshotHold {
 public:
  SnapshotHold() = default;
  SnapshotHold(const SnapshotHold&) = delete;
  SnapshotHold& operator=(const SnapshotHold&) = delete;
  ~SnapshotHold() {
    if (snapshot != nullptr) snapshot->release();
  }
  Snapshot* snapshot = nullptr;
};

// The record as it is put into the new index. Those that number things are moved ahead of all that was lost.
Status renumbered(Bytes key, Bytes value, fs::RecordBuffer& to) {
  if (fs::is_kind(key, fs::KeyKind::superblock)) {
    fs::Superblock block;
    const Status known = fs::decode(key, value, &block);
    if (!known.ok()) return known;
    block.counter_reserved = std::min(block.counter_reserved + kInodesSkipped, fs::kCounterMax);
    block.boot_epoch += kEpochsSkipped;
    block.sweep_from = 0;  // objects without names stay for the file system check to judge
    fs::encode(block, key, to);
  } else if (fs::is_kind(key, fs::KeyKind::counters)) {
    fs::Counters counters;
    const Status known = fs::decode(key, value, &counters);
    if (!known.ok()) return known;
    counters.transaction += kTransactionsSkipped;
    counters.next_counter = 0;
    fs::encode(counters, key, to);
  } else {
    to.assign(value.data, value.data + value.size);
  }
  return kOk;
}

// Edits that wait to be committed, with what they refer to.
class Pending {
 public:
  void add(Bytes key, const fs::RecordBuffer& value) {
    keys_.emplace_back(key.data, key.data + key.size);
    values_.push_back(value);
    bytes_ += key.size + value.size();
  }
  bool empty() const noexcept { return keys_.empty(); }
  bool is_full(std::uint64_t bytes_max) const noexcept { return keys_.size() >= kBatchEdits || bytes_ >= bytes_max; }
  Task<Status> commit(IndexStore& index, Durability durability) {
    std::vector<Edit> edits;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      edits.push_back(
          {Edit::Kind::put, Bytes(keys_[i].data(), keys_[i].size()), Bytes(values_[i].data(), values_[i].size())});
    }
    IndexBatch batch;
    batch.edits = edits.data();
    batch.edit_count = static_cast<std::uint32_t>(edits.size());
    const Outcome done = co_await submit([&](Completion& c) { return index.commit(&batch, 1, durability, c); });
    keys_.clear();
    values_.clear();
    bytes_ = 0;
    co_return done.status.ok() ? batch.status : done.status;
  }

 private:
  std::vector<std::vector<std::uint8_t>> keys_;
  std::vector<fs::RecordBuffer> values_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Task<Status> write_backup(IndexStore& index, BackupHead head, ByteSink& to) {
  SnapshotHold hold;
  if (const Status status = index.snapshot(&hold.snapshot); !status.ok()) co_return status;
  Portion portion;
  std::uint32_t sum = 0;
  std::uint64_t entries = 0;
  portion.bytes(Bytes(kBackupMagic, sizeof kBackupMagic));
  portion.number(kBackupVersion);
  portion.number(head.target);
  portion.bytes(Bytes(head.cluster.bytes.data(), head.cluster.bytes.size()));
  portion.number(static_cast<std::uint64_t>(head.made_ns));
  Bytes key;
  Bytes value;
  Status status = hold.snapshot->seek(Bytes(), &key, &value);
  for (; status.ok(); status = hold.snapshot->next(&key, &value)) {
    portion.number(static_cast<std::uint32_t>(key.size));
    portion.number(static_cast<std::uint32_t>(value.size));
    portion.bytes(key);
    portion.bytes(value);
    ++entries;
    if (portion.size() < kPortionBytes) continue;
    sum = crc32c(portion.all(), sum);
    const Status written = co_await to.write(portion.all());
    if (!written.ok()) co_return written;
    portion.clear();
  }
  if (status.code != Code::not_found) co_return status;
  portion.number(std::uint32_t{0});
  portion.number(entries);
  sum = crc32c(portion.all(), sum);
  portion.number(sum);
  const Status written = co_await to.write(portion.all());
  co_return written;
}

Task<Status> restore_backup(IndexStore& index, BackupReader& from, std::function<void(std::uint64_t)> told) {
  IndexSpace space;
  if (const Status status = index.space(&space); !status.ok()) co_return status;
  if (space.entry_count != 0) co_return Status{Code::exists, 0, "restore into an index that is not empty"};
  const std::uint64_t batch_bytes = index.limits().batch_bytes_max / 4;
  Pending pending;
  Pending superblock;
  fs::RecordBuffer record;
  Bytes key;
  Bytes value;
  Status status = from.next(&key, &value);
  for (; status.ok(); status = from.next(&key, &value)) {
    // Clients know of more than the backup does: they start anew.
    if (fs::is_kind(key, fs::KeyKind::session) || fs::is_kind(key, fs::KeyKind::slot)) continue;
    const Status usable = renumbered(key, value, record);
    if (!usable.ok()) co_return usable;
    (fs::is_kind(key, fs::KeyKind::superblock) ? superblock : pending).add(key, record);
    if (!pending.is_full(batch_bytes)) continue;
    const Status committed = co_await pending.commit(index, Durability::eventual);
    if (!committed.ok()) co_return committed;
    told(from.entries());
  }
  if (status.code != Code::not_found) co_return status;
  if (superblock.empty()) co_return Status{Code::corrupt, 0, "backup: it holds no superblock"};
  if (!pending.empty()) {
    const Status committed = co_await pending.commit(index, Durability::eventual);
    if (!committed.ok()) co_return committed;
  }
  const Status committed = co_await superblock.commit(index, Durability::durable);
  co_return committed;
}

}  // namespace rideau::mds
