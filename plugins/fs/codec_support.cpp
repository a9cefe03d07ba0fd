// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/codec_support.hpp"

namespace rideau::fs {

void flatten(capnp::MessageBuilder& message, wire::Encoded& to) {
  const auto segments = message.getSegmentsForOutput();
  const std::size_t table_words = (1 + segments.size() + 1) / 2;
  std::size_t words = table_words;
  for (const auto& segment : segments) words += segment.size();
  to.words().assign(words, 0);
  auto* out = reinterpret_cast<std::uint8_t*>(to.words().data());
  const auto put_u32 = [out](std::size_t index, std::uint32_t value) { std::memcpy(out + 4 * index, &value, 4); };
  put_u32(0, static_cast<std::uint32_t>(segments.size() - 1));
  std::size_t at = 8 * table_words;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    put_u32(1 + i, static_cast<std::uint32_t>(segments[i].size()));
    std::memcpy(out + at, segments[i].begin(), 8 * segments[i].size());
    at += 8 * segments[i].size();
  }
}

}  // namespace rideau::fs
