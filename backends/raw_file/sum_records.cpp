// SPDX-License-Identifier: Apache-2.0
#include "sum_records.hpp"

#include "../shared/packing.hpp"
#include "../shared/records.hpp"

#include <cstring>

namespace rideau::raw_file {
namespace {

using namespace backend;

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::size_t kRunBytes = 4;
constexpr Status kCorrupt{Code::corrupt, 0, "the checksums of an object are damaged"};

template <class Number>
void append(std::string& to, Number value) {
  std::uint8_t bytes[sizeof value];
  put_little(bytes, value);
  to.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

}  // namespace

std::string sums_prefix() { return "R"; }
std::string header_key() { return record_key('R', 'h', {}); }
std::string marks_prefix() { return record_key('R', 'm', {}); }
std::string mark_key(ObjectId id) { return record_key('R', 'm', {id.high, id.low}); }
std::string segment_key(ObjectId id, std::uint64_t number) { return record_key('R', 's', {id.high, id.low, number}); }

bool parse_mark_key(Bytes key, ObjectId* id) noexcept {
  if (!is_record_key(key, 'R', 'm', 2)) return false;
  *id = {record_key_number(key, 0), record_key_number(key, 1)};
  return true;
}

bool parse_segment_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept {
  if (!is_record_key(key, 'R', 's', 3)) return false;
  *id = {record_key_number(key, 0), record_key_number(key, 1)};
  *number = record_key_number(key, 2);
  return true;
}

std::string header_value(const SumsId& id) {
  std::string fields(reinterpret_cast<const char*>(id.data()), id.size());
  append(fields, static_cast<std::uint32_t>(kBlockBytes));
  return seal_record(header_key(), kRecordVersion, fields);
}

std::string mark_value(const std::string& key, const Ranges& segments) {
  std::string fields;
  for (const Range& run : segments.runs()) {
    append(fields, run.begin);
    append(fields, run.end);
  }
  return seal_record(key, kRecordVersion, fields);
}

std::string segment_value(const std::string& key, const std::vector<BlockSum>& blocks) {
  std::string runs;
  std::string sums;
  sums.reserve(4 * blocks.size());
  for (std::size_t i = 0; i < blocks.size();) {
    std::size_t end = i;
    for (; end < blocks.size() && blocks[end].known; ++end) append(sums, blocks[end].sum);
    if (end == i) {
      ++i;
      continue;
    }
    append(runs, static_cast<std::uint16_t>(i));
    append(runs, static_cast<std::uint16_t>(end - i));
    i = end;
  }
  if (runs.empty()) return {};
  std::string fields;
  append(fields, static_cast<std::uint16_t>(runs.size() / kRunBytes));
  return seal_record(key, kRecordVersion, fields + runs + sums);
}

Status read_header(Bytes value, SumsId* to) noexcept {
  const std::string key = header_key();
  Bytes fields;
  const Status status = open_record(Bytes(std::string_view(key)), value, kRecordVersion, &fields);
  if (!status.ok()) return status;
  if (fields.size != to->size() + 4 || get_u32(fields.data + to->size()) != kBlockBytes) return kCorrupt;
  std::memcpy(to->data(), fields.data, to->size());
  return kOk;
}

Status read_mark(Bytes key, Bytes value, Ranges* to) noexcept {
  Bytes fields;
  if (const Status status = open_record(key, value, kRecordVersion, &fields); !status.ok()) return status;
  if (fields.size % 16 != 0) return kCorrupt;
  for (std::size_t at = 0; at < fields.size; at += 16) {
    to->add({get_u64(fields.data + at), get_u64(fields.data + at + 8)});
  }
  return kOk;
}

Status read_segment(Bytes key, Bytes value, std::vector<BlockSum>* to) noexcept {
  to->clear();
  Bytes fields;
  if (const Status status = open_record(key, value, kRecordVersion, &fields); !status.ok()) return status;
  if (fields.size < 2) return kCorrupt;
  const std::size_t runs = get_u16(fields.data);
  if (runs > kSegmentBlocks || fields.size < 2 + runs * kRunBytes) return kCorrupt;
  const std::uint8_t* sums = fields.data + 2 + runs * kRunBytes;
  const std::uint8_t* const end = fields.data + fields.size;
  for (std::size_t i = 0; i < runs; ++i) {
    const std::size_t first = get_u16(fields.data + 2 + i * kRunBytes);
    const std::size_t count = get_u16(fields.data + 4 + i * kRunBytes);
    const bool shaped = count != 0 && first >= to->size() && first + count <= kSegmentBlocks;
    if (!shaped || static_cast<std::size_t>(end - sums) < 4 * count) return kCorrupt;
    to->resize(first);
    for (std::size_t k = 0; k < count; ++k, sums += 4) to->push_back({get_u32(sums), true, true});
  }
  return sums == end ? kOk : kCorrupt;
}

}  // namespace rideau::raw_file
