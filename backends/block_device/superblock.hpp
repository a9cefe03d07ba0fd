// SPDX-License-Identifier: Apache-2.0
// The first MiB of a device: two copies of the superblock, so that one that is torn or rots does not cost the device.
// Little-endian; docs/on_disk.md has the table.
#pragma once

#include "../shared/checksum.hpp"
#include "device.hpp"
#include "rideau/status.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace rideau::block_device {

// 1: every byte of an object is in a block. 2: the index may have bytes too, of small objects and over parts of blocks,
// in records that a reader of 1 does not know.
constexpr std::uint32_t kFormatPlain = 1;
constexpr std::uint32_t kFormatVersion = 2;     // the newest that is read
constexpr std::uint64_t kDataOffset = 1 << 20;  // where blocks of objects begin
constexpr std::array<std::uint64_t, 2> kSuperblockOffsets = {0, 64 << 10};
constexpr std::uint64_t kDeviceBytesMin = kDataOffset + (8 << 20);

using DeviceUuid = std::array<std::uint8_t, 16>;

struct Superblock {
  enum class State : std::uint32_t { formatted = 0, in_use = 1 };
  std::uint32_t version = kFormatPlain;
  DeviceUuid uuid{};
  std::uint64_t device_bytes = 0;  // when it was formatted; a device that has grown since is used whole
  std::uint64_t sequence = 1;      // of two copies that differ, the greater one counts
  State state = State::formatted;
};

using SuperblockImage = std::array<std::uint8_t, kBlockBytes>;
void encode_superblock(const Superblock& from, std::uint8_t* to) noexcept;  // kBlockBytes
// not_found: no superblock of ours; corrupt: one that is damaged; refused: of a newer version (to->version says which).
Status decode_superblock(const std::uint8_t* from, Superblock* to) noexcept;
// The one of two copies that counts. The status of the better one when neither can be read.
Status choose_superblock(const std::uint8_t* first, const std::uint8_t* second, Superblock* to) noexcept;

std::string uuid_text(const DeviceUuid& uuid);

using backend::crc32c;

}  // namespace rideau::block_device
