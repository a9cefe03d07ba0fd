// SPDX-License-Identifier: Apache-2.0
// What every codec of this folder shares: how a Cap'n Proto root becomes the words of a body, and how a body from
// outside is read without trusting it.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/base/result.hpp"
#include "framework/wire/envelope.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>
#include <string>
#include <string_view>

namespace rideau::fs {

constexpr Status kMalformed{Code::invalid, 0, "malformed body"};

// Standard framing: the segment table, then the segments.
void flatten(capnp::MessageBuilder& message, wire::Encoded& to);

// The usual request fits into the scratch segment, so building one allocates nothing but the words that are sent.
template <class Root, class Fill>
void encode_root(wire::Encoded& to, Fill fill) {
  constexpr std::size_t kScratchWords = 160;
  capnp::word scratch[kScratchWords];
  std::memset(static_cast<void*>(scratch), 0, sizeof scratch);
  capnp::MallocMessageBuilder message(kj::arrayPtr(scratch, kScratchWords));
  fill(message.initRoot<Root>());
  flatten(message, to);
}

// `take` returns false when a field is out of its bounds.
template <class Root, class Take>
Status decode_root(Bytes body, Take take) noexcept {
  if (body.size % sizeof(capnp::word) != 0 || reinterpret_cast<std::uintptr_t>(body.data) % alignof(capnp::word) != 0) {
    return kMalformed;
  }
  try {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = limits::kWireTraversalWords;
    options.nestingLimit = limits::kWireNesting;
    const auto* words = reinterpret_cast<const capnp::word*>(body.data);
    capnp::FlatArrayMessageReader message(kj::arrayPtr(words, body.size / sizeof(capnp::word)), options);
    return take(message.getRoot<Root>()) ? kOk : kMalformed;
  } catch (const kj::Exception&) {
    return kMalformed;
  }
}

inline capnp::Data::Reader data_of(std::string_view text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}
inline bool take_view(capnp::Data::Reader from, std::size_t bytes_max, std::string_view* to) {
  *to = std::string_view(reinterpret_cast<const char*>(from.begin()), from.size());
  return from.size() <= bytes_max;
}
inline bool take_copy(capnp::Data::Reader from, std::size_t bytes_max, std::string* to) {
  if (from.size() > bytes_max) return false;
  to->assign(reinterpret_cast<const char*>(from.begin()), from.size());
  return true;
}

}  // namespace rideau::fs
