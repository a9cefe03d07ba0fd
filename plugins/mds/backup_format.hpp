// SPDX-License-Identifier: Apache-2.0
// The bytes of a backup of a metadata target, and taking them apart. docs/on_disk.md has the same for people.
//
//   head    magic "RIDEAUBK", u32 version, u32 target, 16 bytes of the cluster's UUID, i64 when it was made (ns, UTC)
//   entry   u32 size of the key (not 0), u32 size of the value, key, value; in key order
//   end     u32 0, u64 number of entries, u32 crc32c of everything before it
//
// Numbers are little-endian.
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "plugins/fs/ids.hpp"
#include "rideau/buffer.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace rideau::mds {

constexpr char kBackupMagic[8] = {'R', 'I', 'D', 'E', 'A', 'U', 'B', 'K'};
constexpr std::uint32_t kBackupVersion = 1;
constexpr std::size_t kBackupKeyBytesMax = 4096;
constexpr std::size_t kBackupValueBytesMax = 4u << 20;

struct BackupHead {
  Uuid cluster{};
  fs::TargetId target = 0;
  std::int64_t made_ns = 0;
};

// Takes a stream apart. Any bytes give entries or a status that says why not.
class BackupReader {
 public:
  // `read` fills its argument as far as there are bytes, and answers how many; fewer than asked for: the end.
  using Read = std::function<std::size_t(MutableBytes)>;
  explicit BackupReader(Read read) : read_(std::move(read)) {}

  // First. refused: made by a newer version; corrupt: no backup, or damaged.
  Status head(BackupHead* to);
  // The next entry, valid until the next call. not_found: the end, and everything was whole.
  Status next(Bytes* key, Bytes* value);
  std::uint64_t entries() const noexcept { return entries_; }

 private:
  bool take(void* to, std::size_t size);
  Read read_;
  std::vector<std::uint8_t> bytes_;
  std::uint64_t entries_ = 0;
  std::uint32_t sum_ = 0;
};

}  // namespace rideau::mds
