// SPDX-License-Identifier: Apache-2.0
// Bytes that were written over parts of blocks and are not in these blocks yet: they lie in the record of the segment,
// and over what is read. Newer ones replace older ones; neighbours are joined.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rideau::block_device {

class Patches {
 public:
  // Of one block: offset in it to bytes. They do not overlap or touch.
  using OfBlock = std::map<std::uint16_t, std::string>;

  // `block` counts within the segment; the range lies in the block and is not empty.
  void put(std::uint16_t block, std::uint16_t offset, std::string_view bytes);
  // Over the bytes of the block as they are on the device.
  void apply(std::uint16_t block, std::uint8_t* to) const noexcept;
  void drop(std::uint16_t block);
  bool empty() const noexcept { return blocks_.empty(); }
  std::uint64_t bytes() const noexcept { return bytes_; }
  const std::map<std::uint16_t, OfBlock>& blocks() const noexcept { return blocks_; }

 private:
  std::map<std::uint16_t, OfBlock> blocks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace rideau::block_device
