// SPDX-License-Identifier: Apache-2.0
// Which blocks of a device are in use, as a start finds them record by record, in whatever order: a bit a block, only
// for parts of the device that have some. What is left over makes the table of free space at once.
#pragma once

#include "free_space.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::block_device {

class UsedBlocks {
 public:
  // Of these blocks, none of which is used yet.
  explicit UsedBlocks(Run all);

  // False when one of them is used already, or lies outside; some of them may be taken for used then.
  bool add(Run run);
  // Ascending, none beside another.
  std::vector<Run> unused() const;

 private:
  using Word = std::uint64_t;
  static constexpr std::uint64_t kWordBlocks = 64;
  static constexpr std::uint64_t kPartBlocks = 1 << 18;

  const Run all_;
  std::vector<std::unique_ptr<Word[]>> parts_;  // of kPartBlocks each; null: none of them is used
};

}  // namespace rideau::block_device
