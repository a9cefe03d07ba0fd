// SPDX-License-Identifier: Apache-2.0
#include "map_records.hpp"

#include "../shared/packing.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace rideau::block_device {
namespace {

using namespace backend;

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::uint8_t kSmallVersion = 2;    // of an object whose bytes follow
constexpr std::uint8_t kPatchedVersion = 2;  // of a segment that patches follow
constexpr std::size_t kPatchHead = 1 + 2 + 2;
constexpr std::size_t kObjectFields = 8 + 8;
constexpr std::size_t kSealBytes = 1 + 4;  // the version before the fields, the checksum behind them
constexpr std::size_t kRunBytes = 2 + 2 + 1 + 8;

std::string key_of(char kind, const std::uint64_t* numbers, std::size_t count) {
  std::string key(2 + 8 * count, '\0');
  key[0] = 'B';
  key[1] = kind;
  for (std::size_t i = 0; i < count; ++i)
    put_big_u64(reinterpret_cast<std::uint8_t*>(key.data()) + 2 + 8 * i, numbers[i]);
  return key;
}

bool is_kind(Bytes key, char kind, std::size_t size) noexcept {
  return key.size == size && key.data[0] == 'B' && key.data[1] == static_cast<std::uint8_t>(kind);
}

class Writer {
 public:
  explicit Writer(std::uint8_t version = kRecordVersion) : text_(1, static_cast<char>(version)) {}
  template <class Number>
  Writer& number(Number value) {
    std::uint8_t bytes[sizeof value];
    put_little(bytes, value);
    text_.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
    return *this;
  }
  Writer& bytes(const void* data, std::size_t size) {
    text_.append(static_cast<const char*>(data), size);
    return *this;
  }
  std::string seal(const std::string& key) {
    number(crc32c(text_.data(), text_.size(), crc32c(key.data(), key.size())));
    return std::move(text_);
  }

 private:
  std::string text_;
};

// The fields of a value whose checksum fits; empty and a status otherwise.
Status open_value(Bytes key, Bytes value, Bytes* fields, std::uint8_t version_max = kRecordVersion) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "a record of the map is damaged"};
  if (value.size < kSealBytes) return kCorrupt;
  const std::size_t size = value.size - 4;
  if (get_u32(value.data + size) != crc32c(value.data, size, crc32c(key.data, key.size))) return kCorrupt;
  if (value.data[0] == 0 || value.data[0] > version_max) {
    return {Code::unsupported, 0, "a record of the map is of a newer version"};
  }
  *fields = Bytes(value.data + 1, size - 1);
  return kOk;
}

}  // namespace

std::string device_key() { return key_of('d', nullptr, 0); }
std::string objects_prefix() { return key_of('o', nullptr, 0); }
std::string segments_prefix() { return key_of('x', nullptr, 0); }
std::string object_key(ObjectId id) {
  const std::uint64_t numbers[] = {id.high, id.low};
  return key_of('o', numbers, 2);
}
std::string segment_key(ObjectId id, std::uint64_t number) {
  const std::uint64_t numbers[] = {id.high, id.low, number};
  return key_of('x', numbers, 3);
}

bool parse_object_key(Bytes key, ObjectId* id) noexcept {
  if (!is_kind(key, 'o', 18)) return false;
  *id = {get_big_u64(key.data + 2), get_big_u64(key.data + 10)};
  return true;
}

bool parse_segment_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept {
  if (!is_kind(key, 'x', 26)) return false;
  *id = {get_big_u64(key.data + 2), get_big_u64(key.data + 10)};
  *number = get_big_u64(key.data + 18);
  return true;
}

std::string object_name(ObjectId id) {
  char text[48];
  std::snprintf(text, sizeof text, "object %016" PRIx64 "%016" PRIx64, id.high, id.low);
  return text;
}

std::string device_value(const DeviceUuid& uuid) {
  return Writer().bytes(uuid.data(), uuid.size()).number(static_cast<std::uint32_t>(kBlockBytes)).seal(device_key());
}

std::string object_value(const std::string& key, const ObjectRecord& from, std::string_view bytes) {
  Writer writer(bytes.empty() ? kRecordVersion : kSmallVersion);
  return writer.number(from.size).number(from.blocks).bytes(bytes.data(), bytes.size()).seal(key);
}

std::string segment_value(const std::string& key, const std::vector<Block>& blocks, const Patches& patches) {
  struct Piece {
    std::uint16_t first;
    std::uint16_t count;
  };
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].state == Block::State::none) continue;
    const bool follows = !pieces.empty() && pieces.back().first + pieces.back().count == i &&
                         blocks[i - 1].state == blocks[i].state && blocks[i - 1].place + 1 == blocks[i].place;
    if (follows) {
      ++pieces.back().count;
    } else {
      pieces.push_back({static_cast<std::uint16_t>(i), 1});
    }
  }
  Writer writer(patches.empty() ? kRecordVersion : kPatchedVersion);
  writer.number(static_cast<std::uint16_t>(pieces.size()));
  for (const Piece piece : pieces) {
    const Block& first = blocks[piece.first];
    writer.number(piece.first).number(piece.count).number(static_cast<std::uint8_t>(first.state)).number(first.place);
  }
  for (const Block& block : blocks) {
    if (block.state == Block::State::data) writer.number(block.sum);
  }
  for (const auto& [block, all] : patches.blocks()) {
    for (const auto& [offset, bytes] : all) {
      writer.number(static_cast<std::uint8_t>(block)).number(offset).number(static_cast<std::uint16_t>(bytes.size()));
      writer.bytes(bytes.data(), bytes.size());
    }
  }
  return writer.seal(key);
}

Status read_device(Bytes value, DeviceUuid* to) noexcept {
  const std::string key = device_key();
  Bytes fields;
  if (const Status status = open_value(Bytes(std::string_view(key)), value, &fields); !status.ok()) return status;
  if (fields.size != to->size() + 4 || get_u32(fields.data + to->size()) != kBlockBytes) {
    return {Code::corrupt, 0, "the record of the device is damaged"};
  }
  std::memcpy(to->data(), fields.data, to->size());
  return kOk;
}

Status read_object(Bytes key, Bytes value, ObjectRecord* to, Bytes* bytes) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "the record of an object is damaged"};
  Bytes fields;
  if (const Status status = open_value(key, value, &fields, kSmallVersion); !status.ok()) return status;
  if (fields.size < kObjectFields) return kCorrupt;
  const std::size_t small = fields.size - kObjectFields;
  if ((small != 0) != (value.data[0] == kSmallVersion) || small > kSmallBytesMax) return kCorrupt;
  *to = {get_u64(fields.data), get_u64(fields.data + 8), small};
  if (small != 0 && (to->blocks != 0 || to->size < small)) return kCorrupt;
  if (bytes != nullptr) *bytes = Bytes(fields.data + kObjectFields, small);
  return kOk;
}

std::uint64_t small_bytes_of(Bytes object_value) noexcept {
  return object_value.size - std::min(object_value.size, kObjectFields + kSealBytes);
}

Status read_patches(Bytes fields, const std::vector<Block>& blocks, Patches* to) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "the bytes over the blocks of an object are damaged"};
  std::uint64_t behind = 0;  // the last one
  if (fields.size == 0) return kCorrupt;
  while (fields.size != 0) {
    if (fields.size < kPatchHead) return kCorrupt;
    const std::uint8_t block = fields.data[0];
    const std::uint16_t offset = get_u16(fields.data + 1);
    const std::uint16_t size = get_u16(fields.data + 3);
    const std::uint64_t begin = block * kBlockBytes + offset;
    const bool shaped = size != 0 && offset + size <= kBlockBytes && begin >= behind && block < blocks.size() &&
                        blocks[block].state == Block::State::data;
    if (!shaped || fields.size - kPatchHead < size) return kCorrupt;
    to->put(block, offset, Bytes(fields.data + kPatchHead, size).view());
    behind = begin + size;
    fields = Bytes(fields.data + kPatchHead + size, fields.size - kPatchHead - size);
  }
  return to->bytes() <= kPatchBytesMax ? kOk : kCorrupt;
}

Status read_segment(Bytes key, Bytes value, std::vector<Block>* to, Patches* patches) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "the map of an object is damaged"};
  to->clear();
  Bytes fields;
  if (const Status status = open_value(key, value, &fields, kPatchedVersion); !status.ok()) return status;
  if (fields.size < 2) return kCorrupt;
  const std::size_t pieces = get_u16(fields.data);
  const std::uint8_t* sums = fields.data + 2 + pieces * kRunBytes;
  const std::uint8_t* end = fields.data + fields.size;
  if (pieces > kSegmentBlocks || fields.size < 2 + pieces * kRunBytes) return kCorrupt;
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::uint8_t* at = fields.data + 2 + i * kRunBytes;
    const std::size_t first = get_u16(at);
    const std::size_t count = get_u16(at + 2);
    const std::uint8_t state = at[4];
    const std::uint64_t place = get_u64(at + 5);
    const bool data = state == static_cast<std::uint8_t>(Block::State::data);
    const bool shaped = (data || state == static_cast<std::uint8_t>(Block::State::kept)) && count != 0 &&
                        first >= to->size() && first + count <= kSegmentBlocks;
    if (!shaped || (data && static_cast<std::size_t>(end - sums) < 4 * count)) return kCorrupt;
    to->resize(first);
    for (std::size_t k = 0; k < count; ++k) {
      Block block{place + k, 0, static_cast<Block::State>(state), false};
      if (data) {
        block.sum = get_u32(sums);
        sums += 4;
      }
      to->push_back(block);
    }
  }
  if (value.data[0] != kPatchedVersion) return sums == end ? kOk : kCorrupt;
  Patches found;
  const Status status = read_patches(Bytes(sums, static_cast<std::size_t>(end - sums)), *to, &found);
  if (patches != nullptr) *patches = std::move(found);
  return status;
}

}  // namespace rideau::block_device
