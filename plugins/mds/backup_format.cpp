// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/backup_format.hpp"

#include "framework/base/checksum.hpp"

#include <cstring>

namespace rideau::mds {
namespace {

constexpr Status kDamaged{Code::corrupt, 0, "backup: cut off or damaged"};

template <class Number>
Number number_at(const std::uint8_t* from) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value |= static_cast<Number>(from[i]) << (8 * i);
  return value;
}

}  // namespace

bool BackupReader::take(void* to, std::size_t size) {
  if (size == 0) return true;
  if (read_(MutableBytes(to, size)) != size) return false;
  sum_ = crc32c(Bytes(to, size), sum_);
  return true;
}

Status BackupReader::head(BackupHead* to) {
  std::uint8_t bytes[40];
  if (!take(bytes, sizeof bytes) || std::memcmp(bytes, kBackupMagic, sizeof kBackupMagic) != 0) {
    return {Code::corrupt, 0, "backup: this is none"};
  }
  if (number_at<std::uint32_t>(bytes + 8) > kBackupVersion) {
    return {Code::refused, 0, "backup: made by a newer version of Rideau"};
  }
  to->target = number_at<std::uint32_t>(bytes + 12);
  std::memcpy(to->cluster.bytes.data(), bytes + 16, to->cluster.bytes.size());
  to->made_ns = static_cast<std::int64_t>(number_at<std::uint64_t>(bytes + 32));
  return kOk;
}

Status BackupReader::next(Bytes* key, Bytes* value) {
  std::uint8_t sizes[12];
  if (!take(sizes, 4)) return kDamaged;
  const auto key_size = number_at<std::uint32_t>(sizes);
  if (key_size == 0) {
    if (!take(sizes, 8) || number_at<std::uint64_t>(sizes) != entries_) return kDamaged;
    const std::uint32_t sum = sum_;
    if (!take(sizes, 4) || number_at<std::uint32_t>(sizes) != sum) return kDamaged;
    return {Code::not_found, 0, "end of the backup"};
  }
  if (!take(sizes, 4)) return kDamaged;
  const auto value_size = number_at<std::uint32_t>(sizes);
  if (key_size > kBackupKeyBytesMax || value_size > kBackupValueBytesMax) return kDamaged;
  bytes_.resize(key_size + value_size);
  if (!take(bytes_.data(), bytes_.size())) return kDamaged;
  *key = Bytes(bytes_.data(), key_size);
  *value = Bytes(bytes_.data() + key_size, value_size);
  ++entries_;
  return kOk;
}

}  // namespace rideau::mds
