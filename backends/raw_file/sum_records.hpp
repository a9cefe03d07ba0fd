// SPDX-License-Identifier: Apache-2.0
// What a store keeps in the index of its target: the sums of blocks, and marks of what is being changed.
// docs/on_disk.md has the format.
#pragma once

#include "ranges.hpp"
#include "rideau/object_store.hpp"

#include <array>
#include <string>
#include <vector>

namespace rideau::raw_file {

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kSegmentBlocks = 256;

using SumsId = std::array<std::uint8_t, 16>;

// The crc32c of a block; what the file does not have of it counts as zeros.
struct BlockSum {
  std::uint32_t sum = 0;
  bool known = false;
  bool stored = false;  // the index may have one, whether it fits or not
};

std::string sums_prefix();
std::string header_key();
std::string mark_key(ObjectId id);
std::string marks_prefix();
std::string segment_key(ObjectId id, std::uint64_t number);
bool parse_mark_key(Bytes key, ObjectId* id) noexcept;
bool parse_segment_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept;

std::string header_value(const SumsId& id);
std::string mark_value(const std::string& key, const Ranges& segments);
// Empty when no block has a sum.
std::string segment_value(const std::string& key, const std::vector<BlockSum>& blocks);

Status read_header(Bytes value, SumsId* to) noexcept;
Status read_mark(Bytes key, Bytes value, Ranges* to) noexcept;
Status read_segment(Bytes key, Bytes value, std::vector<BlockSum>* to) noexcept;

}  // namespace rideau::raw_file
