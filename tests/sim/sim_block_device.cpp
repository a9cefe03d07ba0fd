// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_block_device.hpp"

#include "backends/block_device/store.hpp"
#include "tests/sim/hooks.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

namespace rideau::sim {

using block_device::kBlockBytes;
using block_device::Request;

std::size_t SimBlockDisk::unflushed_sectors() const noexcept {
  std::size_t count = 0;
  for (const Write& write : writes_) count += write.bytes.size() / kSectorBytes;
  return count;
}

void SimBlockDisk::store(std::map<std::uint64_t, Block>& to, std::uint64_t offset, const std::uint8_t* from,
                         std::size_t size) {
  while (size != 0) {
    Block& block = to[offset / kBlockBytes];
    if (block.empty()) block.assign(kBlockBytes, '\0');
    const std::size_t at = offset % kBlockBytes;
    const std::size_t count = std::min<std::size_t>(size, kBlockBytes - at);
    std::memcpy(block.data() + at, from, count);
    from += count;
    offset += count;
    size -= count;
  }
}

void SimBlockDisk::read(std::uint64_t offset, std::uint8_t* to, std::size_t size) const {
  for (; size != 0; offset += kBlockBytes, to += kBlockBytes, size -= kBlockBytes) {
    const auto found = current_.find(offset / kBlockBytes);
    if (found == current_.end()) {
      std::memset(to, 0, kBlockBytes);
    } else {
      std::memcpy(to, found->second.data(), kBlockBytes);
    }
  }
}

void SimBlockDisk::power_cut(const std::function<bool(std::size_t sector)>& stays) {
  std::size_t sector = 0;
  for (const Write& write : writes_) {
    for (std::size_t at = 0; at < write.bytes.size(); at += kSectorBytes) {
      if (!stays(sector++)) continue;
      store(durable_, write.offset + at, reinterpret_cast<const std::uint8_t*>(write.bytes.data()) + at, kSectorBytes);
    }
  }
  writes_.clear();
  current_ = durable_;
}

void SimBlockDisk::flip_bit(std::uint64_t offset, std::uint8_t bit) {
  for (auto* blocks : {&durable_, &current_}) {
    Block& block = (*blocks)[offset / kBlockBytes];
    if (block.empty()) block.assign(kBlockBytes, '\0');
    block[offset % kBlockBytes] = static_cast<char>(block[offset % kBlockBytes] ^ (1 << (bit % 8)));
  }
}

bool SimBlockDisk::flip_bit(std::uint64_t seed) {
  Random random(seed);
  const auto superblock = [](std::uint64_t number) {
    return std::any_of(std::begin(block_device::kSuperblockOffsets), std::end(block_device::kSuperblockOffsets),
                       [number](std::uint64_t offset) { return offset / kBlockBytes == number; });
  };
  std::vector<std::uint64_t> written;
  for (const auto& [number, block] : current_) {
    if (!superblock(number)) written.push_back(number);
  }
  if (written.empty()) return false;
  const std::uint64_t number = written[random.below(written.size())];
  flip_bit(number * kBlockBytes + random.below(kBlockBytes), static_cast<std::uint8_t>(random.below(8)));
  return true;
}

std::uint64_t SimBlockDisk::power_cut(std::uint64_t seed) {
  Random random(seed);
  const std::uint32_t percent = static_cast<std::uint32_t>(random.below(101));
  std::uint64_t lost = 0;
  power_cut([&](std::size_t) {
    const bool stays = random.chance(percent);
    lost += stays ? 0 : 1;
    return stays;
  });
  if (lost != 0) hit("objects_torn");
  return lost;
}

void SimBlockDisk::erase(std::uint64_t offset, std::uint64_t size) {
  for (std::uint64_t at = 0; at < size; at += kBlockBytes) {
    durable_.erase((offset + at) / kBlockBytes);
    current_.erase((offset + at) / kBlockBytes);
  }
}

// A request of an instance, until its time has passed.
struct SimBlockDisk::Errand : Completion {
  SimBlockDisk* disk = nullptr;
  SimBlockDevice* device = nullptr;  // null: the instance is gone
  Request* request = nullptr;
  std::uint64_t write = 0;
  std::vector<std::uint64_t> covers;
};

SimBlockDisk::~SimBlockDisk() = default;

SimBlockDisk::SimBlockDisk(std::uint64_t bytes, std::uint8_t uuid_byte) : bytes_(bytes) {
  block_device::Superblock superblock;
  superblock.uuid.fill(uuid_byte);
  superblock.device_bytes = bytes;
  std::string block(kBlockBytes, '\0');
  block_device::encode_superblock(superblock, reinterpret_cast<std::uint8_t*>(block.data()));
  for (const std::uint64_t offset : block_device::kSuperblockOffsets) durable_[offset / kBlockBytes] = block;
  current_ = durable_;
}

class SimBlockDevice final : public block_device::Device {
 public:
  SimBlockDevice(Host& host, SimBlockDisk& disk) : host_(host), disk_(disk) {}
  ~SimBlockDevice() override {
    for (Errand& errand : disk_.errands_) {
      if (errand.device == this) errand.device = nullptr;
    }
    if (owns_disk_) disk_.in_use_ = false;
  }

  // What a write writes may be on the disk from its submission on, and is there when it ends.
  void submit(Request& request, bool) noexcept override {
    Errand& errand = disk_.errands_.emplace_back();
    errand.disk = &disk_;
    errand.device = this;
    errand.request = &request;
    errand.resume = [](Completion* done) noexcept {
      auto* own = static_cast<Errand*>(done);
      if (own->device != nullptr) return own->device->end(*own);
      own->disk->errands_.remove_if([own](const Errand& one) { return &one == own; });
    };
    if (request.kind == Request::Kind::read) ++disk_.counts_.reads;
    if (request.kind == Request::Kind::flush) ++disk_.counts_.flushes;
    if (request.kind == Request::Kind::write) {
      ++disk_.counts_.writes;
      disk_.counts_.bytes_written += request.size;
      errand.write = disk_.next_write_++;
      const auto* bytes = reinterpret_cast<const char*>(request.memory);
      disk_.writes_.push_back({errand.write, request.offset, std::string(bytes, request.size), false});
      SimBlockDisk::store(disk_.current_, request.offset, request.memory, request.size);
    }
    if (request.kind == Request::Kind::flush) {
      for (const SimBlockDisk::Write& write : disk_.writes_) {
        if (write.ended) errand.covers.push_back(write.number);
      }
    }
    std::uint64_t dice = 0;
    host_.random(MutableBytes(&dice, sizeof dice));
    if (host_.sleep((5'000 + dice % 150'000) * disk_.slowness_, errand) == Submitted::finished)
      host_.complete(errand, kOk, 0);
  }
  void work() noexcept override {}
  void use_memory(MutableBytes) noexcept override {}
  void close(Request& request) noexcept override {
    request.status = kOk;
    request.done(request);
  }
  std::uint64_t size() const noexcept override { return disk_.bytes_; }
  bool discards() const noexcept override { return true; }
  std::uint64_t room() const noexcept override { return ~0ull; }
  const std::string& name() const noexcept override { return name_; }
  const std::string& message() const noexcept override { return message_; }

 private:
  using Errand = SimBlockDisk::Errand;

  void end(Errand& errand) noexcept {
    Request& request = *errand.request;
    request.status = perform(errand, request);
    forget(errand);
    request.done(request);
  }

  void forget(Errand& errand) noexcept {
    disk_.errands_.remove_if([&errand](const Errand& own) { return &own == &errand; });
  }

  Status perform(Errand& errand, Request& request) noexcept {
    constexpr Status kFailed{Code::io_error, 5, "the simulated device"};
    // Also one that fails: what is written to its place later must not be undone by a power cut.
    if (request.kind == Request::Kind::write) {
      for (SimBlockDisk::Write& write : disk_.writes_) write.ended = write.ended || write.number == errand.write;
    }
    const bool moves = request.kind == Request::Kind::read || request.kind == Request::Kind::write;
    if (moves && disk_.failing_ != 0) {
      --disk_.failing_;
      hit("store_failed");
      return kFailed;
    }
    switch (request.kind) {
      case Request::Kind::open:
        if (disk_.in_use_) {
          message_ = "the simulated disk is in use by another process";
          return {Code::exists, 0, "the device is in use by another process"};
        }
        disk_.in_use_ = owns_disk_ = true;
        return kOk;
      case Request::Kind::read:
        disk_.read(request.offset, request.memory, request.size);
        return kOk;
      case Request::Kind::write:
        return disk_.fails_writes ? kFailed : kOk;
      case Request::Kind::flush:
        if (disk_.fails_flushes) return kFailed;
        if (!disk_.forgets_flushes) make_durable(errand.covers);
        return kOk;
      case Request::Kind::discard:
        disk_.erase(request.offset, request.size);
        disk_.discarded_ += request.size;
        return kOk;
    }
    return kFailed;
  }

  // In the order of the writes: the store writes to a place again only when what it wrote there before has ended.
  void make_durable(const std::vector<std::uint64_t>& covers) {
    for (const std::uint64_t number : covers) {
      const auto found = std::find_if(disk_.writes_.begin(), disk_.writes_.end(),
                                      [number](const SimBlockDisk::Write& write) { return write.number == number; });
      if (found == disk_.writes_.end()) continue;
      SimBlockDisk::store(disk_.durable_, found->offset, reinterpret_cast<const std::uint8_t*>(found->bytes.data()),
                          found->bytes.size());
      disk_.writes_.erase(found);
    }
  }

  Host& host_;
  SimBlockDisk& disk_;
  bool owns_disk_ = false;
  const std::string name_ = "the simulated device";
  std::string message_;
};

namespace {

constexpr ConfigKey kKeys[] = {
    {"disk", KeyType::integer, "", "", 0, 0, true, "address of the SimBlockDisk"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  auto* disk = reinterpret_cast<SimBlockDisk*>(static_cast<std::uintptr_t>(values[0].integer));
  if (disk == nullptr) return {Code::invalid, 0, "disk of a simulated block device"};
  *out = new block_device::BlockStore(host, std::make_unique<SimBlockDevice>(host, *disk), disk->settings);
  return kOk;
}

}  // namespace

const PluginDescriptor kSimBlockStoreDescriptor{
    .kind = PluginKind::object_store,
    .name = "sim-block",
    .version = "1",
    .summary = "the block-device store on a simulated device",
    .capabilities = kObjectPunches | kObjectAllocates | kObjectMaps | kObjectChecksums,
    .keys = kKeys,
    .key_count = 1,
    .create = create};

}  // namespace rideau::sim
