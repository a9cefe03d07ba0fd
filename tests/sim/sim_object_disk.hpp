// SPDX-License-Identifier: Apache-2.0
// SimObjectDisk: what stays of a simulated object store when its instance goes: the objects, how much of them is
// durable, and the faults that can be done to them.
#pragma once

#include "rideau/object_store.hpp"
#include "tests/sim/sim_random.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace rideau::sim {

struct SimObjectOptions {
  std::uint64_t bytes_total = 1ull << 30;
  std::uint64_t call_ns_min = 5'000;
  std::uint64_t call_ns_max = 150'000;
  std::uint64_t kib_ns = 500;  // and for each KiB read or written
  std::uint64_t flush_ns_min = 50'000;
  std::uint64_t flush_ns_max = 2'000'000;
  std::uint32_t calls_max = 8192;  // pending; more get busy
  bool checksums = true;           // a flipped bit is answered with corrupt; without: wrong bytes are read
  bool forgets_flushes = false;    // a planted bug: flush answers ok and does nothing
  ObjectLimits limits{1ull << 44, 4u << 20, 256, 512, 512};
};

class SimObjects;

// What stays when an instance goes. Destroy it after the runtimes whose instances used it.
class SimObjectDisk {
 public:
  explicit SimObjectDisk(SimObjectOptions options = {});
  ~SimObjectDisk();
  SimObjectDisk(const SimObjectDisk&) = delete;
  SimObjectDisk& operator=(const SimObjectDisk&) = delete;

  // Faults while no instance runs. destroy() without stop() alone is the end of a process: what was written stays.
  // Of each object that changed since it was flushed, the seed chooses what is left: the old one, the new one, or for
  // each unit of atomic_bytes either. Returns how many objects are not as they were.
  std::uint64_t power_cut(std::uint64_t seed);
  void clear();
  // Faults at any time.
  // Flips one bit of one object; false when there are no bytes.
  bool flip_bit(std::uint64_t seed);
  void set_full(bool full) noexcept { full_ = full; }                       // what needs new space gets no_space
  void set_slowness(std::uint32_t factor) noexcept { slowness_ = factor; }  // 1: as the options say
  void fail_next_calls(std::uint32_t count) noexcept { failing_ = count; }  // reads and writes get io_error
  // The next flush fails with io_error, and so does every later one of that instance.
  void fail_next_flush() noexcept { fail_next_flush_ = true; }
  // None of these any more; an instance that failed, and bits that flipped, stay as they are.
  void heal() noexcept {
    full_ = fail_next_flush_ = false;
    failing_ = 0;
  }

  // For checks between runs.
  std::map<ObjectId, std::uint64_t> sizes() const;
  bool read(ObjectId id, std::uint64_t offset, std::uint64_t size, std::string* out) const;  // false: no such object
  std::uint64_t bytes_used() const noexcept { return page_count_ * kPageBytes; }
  std::uint64_t dirty_count() const noexcept { return stale_.size(); }
  bool in_use() const noexcept { return in_use_; }
  bool was_stopped() const noexcept { return was_stopped_; }  // the last instance ended with stop()
  const SimObjectOptions& options() const noexcept { return options_; }

 private:
  friend class SimObjects;

  static constexpr std::uint64_t kPageBytes = 4096;
  using Page = std::array<std::uint8_t, kPageBytes>;
  // Pages are shared between the versions of an object and copied before they change. A page that is absent is zero.
  struct Content {
    std::uint64_t size = 0;
    std::uint64_t incarnation = 0;  // changes when an object is removed and made again; 0: there is none
    std::map<std::uint64_t, std::shared_ptr<Page>> pages;
    bool exists() const noexcept { return incarnation != 0; }
  };
  // The durable state of an object that has changed since.
  struct Stale {
    Content durable;
    std::uint64_t durable_change = 0;  // the change up to which it is durable
    std::uint64_t last_change = 0;
  };
  // An object as it was when a flush was submitted.
  struct Captured {
    ObjectId id;
    std::uint64_t change = 0;
    Content content;
  };
  struct Errand;

  Content* find(ObjectId id);
  Content& change(ObjectId id, bool make);
  Status write(ObjectId id, std::uint64_t offset, const std::vector<IoVec>& parts, std::uint64_t size);
  Status read_parts(ObjectId id, std::uint64_t offset, const std::vector<IoVec>& parts, std::uint64_t size,
                    std::uint64_t* count);
  Status set_size(ObjectId id, std::uint64_t size);
  Status zero(ObjectId id, std::uint64_t offset, std::uint64_t size);
  void remove(ObjectId id);
  Captured capture(ObjectId id) const;
  void make_durable(const Captured& captured);
  std::uint64_t bytes_free() const noexcept;

  void write_bytes(Content& content, std::uint64_t offset, const std::uint8_t* from, std::uint64_t size);
  void zero_bytes(Content& content, std::uint64_t offset, std::uint64_t size);
  static void copy_out(const Content& content, std::uint64_t offset, std::uint8_t* to, std::uint64_t size);
  Page& own_page(Content& content, std::uint64_t number);
  std::uint64_t missing_pages(ObjectId id, std::uint64_t offset, std::uint64_t size) const;
  bool rotten_in(ObjectId id, std::uint64_t offset, std::uint64_t size) const;
  bool rotten_at_edges(ObjectId id, std::uint64_t offset, std::uint64_t size) const;
  void heal(ObjectId id, std::uint64_t offset, std::uint64_t size);
  Content after_cut(Random& random, const Content& durable, const Content& now);
  Content mix(Random& random, const Content& base, const Content& now);
  void count_pages() noexcept;
  Errand& take_errand();

  const SimObjectOptions options_;
  std::map<ObjectId, Content> objects_;
  std::map<ObjectId, Stale> stale_;
  std::map<ObjectId, std::set<std::uint64_t>> rotten_;  // units of kRotBytes
  std::map<ObjectId, std::set<std::uint64_t>>
      healed_;  // what was rotten, until that is durable: a power cut brings it back
  std::uint64_t change_ = 0;
  std::uint64_t next_incarnation_ = 1;
  std::uint64_t page_count_ = 0;
  bool in_use_ = false;
  bool was_stopped_ = true;
  bool full_ = false;
  bool fail_next_flush_ = false;
  std::uint32_t failing_ = 0;
  std::uint32_t slowness_ = 1;
  std::vector<std::unique_ptr<Errand>> errands_;  // a host may hold one after its instance is gone
  std::vector<Errand*> free_errands_;
};

}  // namespace rideau::sim
