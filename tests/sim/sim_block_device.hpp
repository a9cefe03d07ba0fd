// SPDX-License-Identifier: Apache-2.0
// A simulated device below the block-device store: writes arrive in any order, and a power cut keeps whichever sectors
// of unflushed writes its caller chooses. The store on it is the real one.
#pragma once

#include "backends/block_device/device.hpp"
#include "backends/block_device/store_settings.hpp"
#include "backends/block_device/superblock.hpp"
#include "rideau/abi.hpp"
#include "tests/sim/sim_random.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace rideau::sim {

constexpr std::uint64_t kSectorBytes = 512;

// What stays when an instance goes.
class SimBlockDevice;

class SimBlockDisk {
 public:
  // Formatted already.
  explicit SimBlockDisk(std::uint64_t bytes, std::uint8_t uuid_byte = 0x5a);
  ~SimBlockDisk();
  SimBlockDisk(const SimBlockDisk&) = delete;
  SimBlockDisk& operator=(const SimBlockDisk&) = delete;

  // Sectors that were written and are not durable, in the order of their writes.
  std::size_t unflushed_sectors() const noexcept;
  // Faults while no instance runs. Of unflushed sectors only those stay for which `stays` says so.
  void power_cut(const std::function<bool(std::size_t sector)>& stays);
  // Flips a bit of what is there, durable or not.
  void flip_bit(std::uint64_t offset, std::uint8_t bit);
  // Flips a bit of something that was written, beside the superblocks; false when there is nothing.
  bool flip_bit(std::uint64_t seed);
  // As SimIndexDisk and SimObjectDisk have them, at any time.
  std::uint64_t power_cut(std::uint64_t seed);
  void set_slowness(std::uint32_t factor) noexcept { slowness_ = factor; }
  void fail_next_calls(std::uint32_t count) noexcept { failing_ = count; }
  void heal() noexcept { failing_ = 0; }
  void erase(std::uint64_t offset, std::uint64_t size);  // to zeros
  void set_bytes(std::uint64_t bytes) noexcept { bytes_ = bytes; }
  // Of stores that are made on it from now on.
  block_device::StoreSettings settings{.queue_depth = 4, .map_cache_bytes = 1 << 20};
  // Every flush, or every write, from now on fails with io_error.
  bool fails_flushes = false;
  bool fails_writes = false;
  // A planted mistake: flushes answer ok and make nothing durable.
  bool forgets_flushes = false;

  // What stores asked of it since it was made, superblocks included.
  struct Counts {
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t flushes = 0;
  };
  const Counts& counts() const noexcept { return counts_; }
  // What is there now, durable or not; whole blocks.
  void read(std::uint64_t offset, std::uint8_t* to, std::size_t size) const;

  bool in_use() const noexcept { return in_use_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t discarded_bytes() const noexcept { return discarded_; }

 private:
  friend class SimBlockDevice;
  using Block = std::string;
  // A write that is not durable; `ended` ones are covered by a flush that is submitted now.
  struct Write {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;
    std::string bytes;
    bool ended = false;
  };

  struct Errand;

  static void store(std::map<std::uint64_t, Block>& to, std::uint64_t offset, const std::uint8_t* from,
                    std::size_t size);

  std::uint64_t bytes_;
  std::map<std::uint64_t, Block> durable_;  // by number; one that is absent is zero
  std::map<std::uint64_t, Block> current_;
  std::vector<Write> writes_;
  std::uint64_t next_write_ = 1;
  std::uint64_t discarded_ = 0;
  Counts counts_;
  std::uint32_t slowness_ = 1;
  std::uint32_t failing_ = 0;
  bool in_use_ = false;
  std::list<Errand> errands_;  // a host may hold one after its instance is gone
};

// The block-device store on such a disk, as a plugin "sim-block". Its key `disk` is the address of the SimBlockDisk, in
// decimal. It opens an index under the role "index".
extern const PluginDescriptor kSimBlockStoreDescriptor;

}  // namespace rideau::sim
