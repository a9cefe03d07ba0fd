// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto messages to words and back, with the limits that keep bytes from outside harmless. For codec sources
// only: it includes the library's headers, and decode_message is the one place that catches kj::Exception.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/base/result.hpp"
#include "framework/wire/envelope.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>

namespace rideau::wire {

// Builds one message of type T with `fill(T::Builder)` and stores it flat: segment table, then segments.
template <class T, class Fill>
void encode_message(Encoded& to, Fill fill) {
  // Most messages fit the scratch space: then nothing is allocated but the words of the result. The builder wants it
  // zeroed.
  capnp::word scratch[96];
  std::memset(static_cast<void*>(scratch), 0, sizeof scratch);
  capnp::MallocMessageBuilder message(kj::arrayPtr(scratch, 96));
  fill(message.initRoot<T>());
  const auto segments = message.getSegmentsForOutput();
  const std::size_t table_words = segments.size() / 2 + 1;
  std::size_t words = table_words;
  for (const auto& segment : segments) words += segment.size();
  to.words().assign(words, 0);
  auto* table = reinterpret_cast<std::uint32_t*>(to.words().data());
  table[0] = static_cast<std::uint32_t>(segments.size() - 1);
  std::size_t at = table_words;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    table[i + 1] = static_cast<std::uint32_t>(segments[i].size());
    std::memcpy(to.words().data() + at, segments[i].begin(), segments[i].size() * 8);
    at += segments[i].size();
  }
}

// Reads one message of type T at the start of `from` (8-byte aligned) with `read(T::Reader) -> Status`, which touches
// every field that will be used. *rest receives what follows the message, when asked for.
template <class T, class Read>
Status decode_message(Bytes from, Read read, Bytes* rest = nullptr) {
  if (reinterpret_cast<std::uintptr_t>(from.data) % 8 != 0 || from.size % 8 != 0) {
    return {Code::corrupt, 0, "message is not made of whole words"};
  }
  const auto* words = reinterpret_cast<const capnp::word*>(from.data);
  Status status{Code::corrupt, 0, "malformed message"};
  try {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = limits::kWireTraversalWords;
    options.nestingLimit = limits::kWireNesting;
    capnp::FlatArrayMessageReader message(kj::arrayPtr(words, from.size / 8), options);
    status = read(message.getRoot<T>());
    if (rest != nullptr) {
      const auto* end = reinterpret_cast<const std::uint8_t*>(message.getEnd());
      *rest = Bytes(end, from.size - static_cast<std::size_t>(end - from.data));
    }
  } catch (const kj::Exception&) {
    status = {Code::corrupt, 0, "malformed message"};
  }
  return status;
}

}  // namespace rideau::wire
