// SPDX-License-Identifier: Apache-2.0
// SimIndexDisk: what stays of a simulated index when its instance goes: versioned entries, which of them are durable,
// and the faults that can be done to them.
#pragma once

#include "rideau/index_store.hpp"
#include "tests/sim/sim_random.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rideau::sim {

struct SimIndexOptions {
  std::uint64_t bytes_total = 1ull << 30;
  std::uint64_t apply_ns_min = 5'000;  // of a group of calls
  std::uint64_t apply_ns_max = 100'000;
  std::uint64_t edit_ns = 1'000;  // and for each edit in it
  std::uint64_t sync_ns_min = 50'000;
  std::uint64_t sync_ns_max = 2'000'000;
  std::uint32_t calls_queued_max = 8192;
  std::uint32_t group_calls_max = 64;
  IndexLimits limits{511, 1u << 20, 64u << 20};
};

class SimIndex;

// What stays when an instance goes. Destroy it after the runtimes whose instances used it.
class SimIndexDisk {
 public:
  explicit SimIndexDisk(SimIndexOptions options = {});
  ~SimIndexDisk();
  SimIndexDisk(const SimIndexDisk&) = delete;
  SimIndexDisk& operator=(const SimIndexDisk&) = delete;

  // Faults while no instance runs. destroy() without stop() alone is the end of a process: what was applied stays.
  // Drops what is not durable, from a batch on that the seed chooses. Returns how many batches were lost.
  std::uint64_t power_cut(std::uint64_t seed);
  // Flips one bit of one value; false when there is none.
  bool flip_bit(std::uint64_t seed);
  void clear();
  void set_bytes_total(std::uint64_t bytes) noexcept { options_.bytes_total = bytes; }  // before the first instance
  // Faults at any time.
  void set_full(bool full) noexcept { full_ = full; }                       // ordinary calls get no_space
  void set_slowness(std::uint32_t factor) noexcept { slowness_ = factor; }  // 1: as the options say
  // The next group fails with io_error, and so does every later one of that instance.
  void fail_next_commit() noexcept { fail_next_ = true; }
  // None of these any more; an instance that failed stays as it is.
  void heal() noexcept { full_ = fail_next_ = false; }

  // What an entry takes.
  static std::uint64_t bytes_of(std::string_view key, std::string_view value) noexcept;
  // For checks between runs: the entries as they are now.
  std::map<std::string, std::string> entries() const;
  std::uint64_t entry_count() const noexcept { return entry_count_; }
  std::uint64_t count_with(std::string_view prefix) const;         // entries whose keys begin so
  std::uint64_t bytes_put() const noexcept { return bytes_put_; }  // keys and values, since it was made
  std::uint64_t batches_applied() const noexcept { return applied_; }
  std::uint64_t batches_durable() const noexcept { return durable_; }
  bool in_use() const noexcept { return in_use_; }
  const SimIndexOptions& options() const noexcept { return options_; }

 private:
  friend class SimIndex;
  friend class SimSnapshot;

  // A sleep of an instance.
  struct Errand : Completion {
    SimIndex* index = nullptr;  // null: the instance is gone
  };
  // One version of an entry; without a value it says that the key was erased. Values do not move while they exist.
  struct Version {
    std::uint64_t number = 0;
    std::optional<std::string> value;
    std::unique_ptr<Version> older;
  };
  using Entries = std::map<std::string, std::unique_ptr<Version>, std::less<>>;

  static const Version* at(const Version* newest, std::uint64_t number) noexcept;
  const std::string* find(std::string_view key, std::uint64_t number) const;
  bool holds(const Check& check) const;
  void apply(const IndexBatch& batch);
  void set(std::string_view key, std::optional<std::string> value);
  void prune(Entries::iterator entry);
  void bury();
  void count(const std::string& key, const Version& version, bool added) noexcept;
  std::uint64_t oldest_needed() const noexcept;
  // What a call can still put; ordinary ones leave a reserve to those that free space.
  std::uint64_t bytes_for(bool frees_space) const noexcept;

  SimIndexOptions options_;
  Entries entries_;
  std::multiset<std::uint64_t> snapshots_;                    // the versions they see
  std::deque<std::pair<std::uint64_t, std::string>> graves_;  // keys erased, removed when nobody sees them
  std::uint64_t applied_ = 0;                                 // the newest version
  std::uint64_t durable_ = 0;                                 // the newest that survives
  std::uint64_t bytes_used_ = 0;
  std::uint64_t entry_count_ = 0;
  std::uint64_t bytes_put_ = 0;
  bool in_use_ = false;
  bool full_ = false;
  bool fail_next_ = false;
  std::uint32_t slowness_ = 1;
  std::vector<std::unique_ptr<Errand>> errands_;  // a host may hold one after its instance is gone
};

}  // namespace rideau::sim
