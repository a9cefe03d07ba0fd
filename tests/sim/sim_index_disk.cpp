// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_index_disk.hpp"

#include "tests/sim/hooks.hpp"

#include <algorithm>

namespace rideau::sim {
namespace {

constexpr std::uint64_t kEntryOverhead = 32;
constexpr std::uint64_t kReserveShare = 32;

}  // namespace

SimIndexDisk::SimIndexDisk(SimIndexOptions options) : options_(options) {}
SimIndexDisk::~SimIndexDisk() = default;

std::uint64_t SimIndexDisk::bytes_of(std::string_view key, std::string_view value) noexcept {
  return key.size() + value.size() + kEntryOverhead;
}

const SimIndexDisk::Version* SimIndexDisk::at(const Version* newest, std::uint64_t number) noexcept {
  while (newest != nullptr && newest->number > number) newest = newest->older.get();
  return newest;
}

const std::string* SimIndexDisk::find(std::string_view key, std::uint64_t number) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  const Version* version = at(found->second.get(), number);
  return version != nullptr && version->value ? &*version->value : nullptr;
}

bool SimIndexDisk::holds(const Check& check) const {
  const std::string* value = find(check.key.view(), applied_);
  switch (check.kind) {
    case Check::Kind::absent:
      return value == nullptr;
    case Check::Kind::present:
      return value != nullptr;
    case Check::Kind::equals:
      return value != nullptr && *value == check.value.view();
  }
  return false;
}

void SimIndexDisk::apply(const IndexBatch& batch) {
  ++applied_;
  for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
    const Edit& edit = batch.edits[i];
    if (edit.kind == Edit::Kind::put) {
      bytes_put_ += edit.key.size + edit.value.size;
      set(edit.key.view(), std::string(edit.value.view()));
    } else if (entries_.find(edit.key.view()) != entries_.end()) {
      set(edit.key.view(), std::nullopt);
    }
  }
}

void SimIndexDisk::count(const std::string& key, const Version& version, bool added) noexcept {
  if (!version.value) return;
  const std::uint64_t bytes = bytes_of(key, *version.value);
  bytes_used_ = added ? bytes_used_ + bytes : bytes_used_ - bytes;
  entry_count_ = added ? entry_count_ + 1 : entry_count_ - 1;
}

void SimIndexDisk::set(std::string_view key, std::optional<std::string> value) {
  const auto entry = entries_.try_emplace(std::string(key)).first;
  std::unique_ptr<Version>& newest = entry->second;
  if (newest != nullptr) count(entry->first, *newest, false);
  if (newest == nullptr || newest->number != applied_) {
    auto version = std::make_unique<Version>();
    version->number = applied_;
    version->older = std::move(newest);
    newest = std::move(version);
  }
  newest->value = std::move(value);
  count(entry->first, *newest, true);
  if (!newest->value) graves_.emplace_back(applied_, entry->first);
  prune(entry);
}

// Snapshots and what a power cut may go back to.
std::uint64_t SimIndexDisk::oldest_needed() const noexcept {
  return snapshots_.empty() ? durable_ : std::min(durable_, *snapshots_.begin());
}

// Drops the versions that nothing needs: those older than the one that the oldest reader sees.
void SimIndexDisk::prune(Entries::iterator entry) {
  auto* seen = const_cast<Version*>(at(entry->second.get(), oldest_needed()));
  if (seen != nullptr) seen->older.reset();
}

void SimIndexDisk::bury() {
  const std::uint64_t oldest = oldest_needed();
  while (!graves_.empty() && graves_.front().first <= oldest) {
    const auto entry = entries_.find(graves_.front().second);
    if (entry != entries_.end()) {
      prune(entry);
      const Version& newest = *entry->second;
      if (!newest.value && newest.number <= oldest) entries_.erase(entry);
    }
    graves_.pop_front();
  }
}

std::uint64_t SimIndexDisk::bytes_for(bool frees_space) const noexcept {
  const std::uint64_t reserve = frees_space ? 0 : options_.bytes_total / kReserveShare;
  const std::uint64_t usable = options_.bytes_total - reserve;
  if (full_ && !frees_space) return 0;
  return bytes_used_ < usable ? usable - bytes_used_ : 0;
}

std::uint64_t SimIndexDisk::power_cut(std::uint64_t seed) {
  const std::uint64_t kept = durable_ + Random(seed).below(applied_ - durable_ + 1);
  const std::uint64_t lost = applied_ - kept;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    count(entry->first, *entry->second, false);
    while (entry->second != nullptr && entry->second->number > kept) entry->second = std::move(entry->second->older);
    if (entry->second == nullptr) {
      entry = entries_.erase(entry);
      continue;
    }
    count(entry->first, *entry->second, true);
    ++entry;
  }
  applied_ = durable_ = kept;
  while (!graves_.empty() && graves_.back().first > kept) graves_.pop_back();
  bury();
  if (lost != 0) hit("index_batches_lost");
  return lost;
}

bool SimIndexDisk::flip_bit(std::uint64_t seed) {
  Random random(seed);
  std::vector<std::string*> values;
  for (auto& [key, newest] : entries_) {
    if (newest->value && !newest->value->empty()) values.push_back(&*newest->value);
  }
  if (values.empty()) return false;
  std::string& value = *values[random.below(values.size())];
  char& byte = value[random.below(value.size())];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1u << random.below(8)));
  return true;
}

void SimIndexDisk::clear() {
  entries_.clear();
  graves_.clear();
  bytes_used_ = entry_count_ = 0;
  durable_ = applied_;
}

std::uint64_t SimIndexDisk::count_with(std::string_view prefix) const {
  std::uint64_t count = 0;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
    if (at->second->value) ++count;
  }
  return count;
}

std::map<std::string, std::string> SimIndexDisk::entries() const {
  std::map<std::string, std::string> all;
  for (const auto& [key, newest] : entries_) {
    if (newest->value) all.emplace(key, *newest->value);
  }
  return all;
}

}  // namespace rideau::sim
