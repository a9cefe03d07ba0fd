// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a file lie: ranges of a file to ranges of its objects and back. Pure arithmetic.
#pragma once

#include "plugins/fs/inode.hpp"

#include <cstdint>

namespace rideau::client {

// A piece of a file that lies in one object without a break.
struct Segment {
  std::uint32_t stripe = 0;  // index of the object in the layout
  std::uint64_t object_offset = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t size = 0;
};

class Striping {
 public:
  explicit Striping(fs::Layout layout) : layout_(std::move(layout)) {}

  // False when no byte can be placed: no targets, or a stripe size that no server would choose.
  bool valid() const noexcept;
  const fs::Layout& layout() const noexcept { return layout_; }
  std::uint32_t stripe_count() const noexcept { return layout_.stripe_count(); }
  fs::TargetId target(std::uint32_t stripe) const noexcept { return layout_.targets[stripe]; }

  std::uint32_t stripe_at(std::uint64_t file_offset) const noexcept;
  // The longest segment that starts at `file_offset`, at most `size_max` bytes.
  Segment segment_at(std::uint64_t file_offset, std::uint64_t size_max) const noexcept;
  // How long the object is in a file of this size that has no hole at its end.
  std::uint64_t object_size(std::uint32_t stripe, std::uint64_t file_size) const noexcept;
  // The least size of a file whose object is that long; 0 for an empty one.
  std::uint64_t file_size(std::uint32_t stripe, std::uint64_t object_size) const noexcept;

 private:
  fs::Layout layout_;
};

}  // namespace rideau::client
