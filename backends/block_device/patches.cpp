// SPDX-License-Identifier: Apache-2.0
#include "patches.hpp"

#include <cstring>
#include <iterator>

namespace rideau::block_device {

void Patches::put(std::uint16_t block, std::uint16_t offset, std::string_view bytes) {
  OfBlock& all = blocks_[block];
  std::string joined(bytes);
  std::size_t begin = offset;
  const std::size_t end = begin + bytes.size();
  auto at = all.upper_bound(offset);
  if (at != all.begin() && std::prev(at)->first + std::prev(at)->second.size() >= begin) --at;
  while (at != all.end() && at->first <= end) {
    const std::string& old = at->second;
    const std::size_t old_end = at->first + old.size();
    if (old_end > end) joined.append(old, end - at->first);
    if (at->first < begin) {
      joined.insert(0, old, 0, begin - at->first);
      begin = at->first;
    }
    bytes_ -= old.size();
    at = all.erase(at);
  }
  bytes_ += joined.size();
  all.emplace(static_cast<std::uint16_t>(begin), std::move(joined));
}

void Patches::apply(std::uint16_t block, std::uint8_t* to) const noexcept {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  for (const auto& [offset, bytes] : found->second) std::memcpy(to + offset, bytes.data(), bytes.size());
}

void Patches::drop(std::uint16_t block) {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  for (const auto& [offset, bytes] : found->second) bytes_ -= bytes.size();
  blocks_.erase(found);
}

}  // namespace rideau::block_device
