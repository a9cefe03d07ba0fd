// SPDX-License-Identifier: Apache-2.0
// See data_striping.hpp. Stripe i of the file, of stripe_size bytes, is stripe i / count of object i mod count.
#include "plugins/client/data_striping.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>

namespace rideau::client {

bool Striping::valid() const noexcept {
  return !layout_.targets.empty() && layout_.stripe_size >= limits::kStripeSizeMin &&
         layout_.stripe_size % limits::kStripeSizeMin == 0;
}

std::uint32_t Striping::stripe_at(std::uint64_t file_offset) const noexcept {
  return static_cast<std::uint32_t>(file_offset / layout_.stripe_size % stripe_count());
}

Segment Striping::segment_at(std::uint64_t file_offset, std::uint64_t size_max) const noexcept {
  if (stripe_count() == 1) return {0, file_offset, file_offset, size_max};
  const std::uint64_t stripe = file_offset / layout_.stripe_size;
  const std::uint64_t inside = file_offset % layout_.stripe_size;
  return {static_cast<std::uint32_t>(stripe % stripe_count()), stripe / stripe_count() * layout_.stripe_size + inside,
          file_offset, std::min(size_max, layout_.stripe_size - inside)};
}

std::uint64_t Striping::object_size(std::uint32_t stripe, std::uint64_t file_size) const noexcept {
  const std::uint64_t row = static_cast<std::uint64_t>(layout_.stripe_size) * stripe_count();
  const std::uint64_t rest = file_size % row;
  const std::uint64_t before = static_cast<std::uint64_t>(layout_.stripe_size) * stripe;
  const std::uint64_t last = rest > before ? std::min<std::uint64_t>(rest - before, layout_.stripe_size) : 0;
  return file_size / row * layout_.stripe_size + last;
}

std::uint64_t Striping::file_size(std::uint32_t stripe, std::uint64_t object_size) const noexcept {
  if (object_size == 0) return 0;
  const std::uint64_t last = object_size - 1;
  // A target may claim any size: the product must not wrap.
  const unsigned __int128 index = static_cast<unsigned __int128>(last / layout_.stripe_size) * stripe_count() + stripe;
  const unsigned __int128 end = index * layout_.stripe_size + last % layout_.stripe_size + 1;
  return end > limits::kFileBytesMax ? limits::kFileBytesMax : static_cast<std::uint64_t>(end);
}

}  // namespace rideau::client
