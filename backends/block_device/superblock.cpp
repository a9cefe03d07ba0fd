// SPDX-License-Identifier: Apache-2.0
#include "superblock.hpp"

#include "../shared/packing.hpp"

#include <cstring>

namespace rideau::block_device {
namespace {

using namespace backend;

constexpr char kMagic[8] = {'R', 'I', 'D', 'E', 'A', 'U', 'B', 'D'};
constexpr std::size_t kSumAt = kBlockBytes - 4;

}  // namespace

void encode_superblock(const Superblock& from, std::uint8_t* to) noexcept {
  std::memset(to, 0, kBlockBytes);
  std::memcpy(to, kMagic, sizeof kMagic);
  put_u32(to + 8, from.version);
  put_u32(to + 12, kBlockBytes);
  std::memcpy(to + 16, from.uuid.data(), from.uuid.size());
  put_u64(to + 32, from.device_bytes);
  put_u64(to + 40, from.sequence);
  put_u32(to + 48, static_cast<std::uint32_t>(from.state));
  put_u32(to + kSumAt, crc32c(to, kSumAt));
}

Status decode_superblock(const std::uint8_t* from, Superblock* to) noexcept {
  if (std::memcmp(from, kMagic, sizeof kMagic) != 0) return {Code::not_found, 0, "superblock of the device"};
  if (get_u32(from + kSumAt) != crc32c(from, kSumAt)) return {Code::corrupt, 0, "superblock of the device"};
  to->version = get_u32(from + 8);
  if (to->version > kFormatVersion) return {Code::refused, 0, "the device was formatted by a newer version"};
  if (to->version == 0 || get_u32(from + 12) != kBlockBytes || get_u32(from + 48) > 1) {
    return {Code::corrupt, 0, "superblock of the device"};
  }
  std::memcpy(to->uuid.data(), from + 16, to->uuid.size());
  to->device_bytes = get_u64(from + 32);
  to->sequence = get_u64(from + 40);
  to->state = static_cast<Superblock::State>(get_u32(from + 48));
  return kOk;
}

Status choose_superblock(const std::uint8_t* first, const std::uint8_t* second, Superblock* to) noexcept {
  Superblock found[2];
  const Status status[2] = {decode_superblock(first, &found[0]), decode_superblock(second, &found[1])};
  for (int i = 0; i < 2; ++i) {
    if (status[i].code != Code::refused) continue;
    *to = found[i];
    return status[i];
  }
  if (status[0].ok() && status[1].ok()) {
    if (found[0].uuid != found[1].uuid) return {Code::corrupt, 0, "the copies of the superblock are of two devices"};
    *to = found[0].sequence >= found[1].sequence ? found[0] : found[1];
    return kOk;
  }
  if (status[0].ok() || status[1].ok()) {
    *to = status[0].ok() ? found[0] : found[1];
    return kOk;
  }
  return status[0].code == Code::corrupt ? status[0] : status[1];
}

std::string uuid_text(const DeviceUuid& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[uuid[i] >> 4];
    text += kDigits[uuid[i] & 15];
  }
  return text;
}

}  // namespace rideau::block_device
