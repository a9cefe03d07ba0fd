// SPDX-License-Identifier: Apache-2.0
// A fuzzer of the bodies of calls and replies: the first byte of an input chooses which of a list it is given to.
#pragma once

#include "plugins/fs/codec.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace rideau::fuzz {

using ReadBody = void (*)(Bytes);

template <class Body>
void read_body(Bytes bytes) {
  const Words words(bytes);
  Body body;
  if (!fs::decode(words.bytes(), &body).ok()) return;
  wire::Encoded again;
  fs::encode(body, again);
  Body second;
  require(fs::decode(again.bytes(), &second).ok(), "what was read can be written and read again");
}

template <std::size_t kCount>
void read_chosen(const ReadBody (&bodies)[kCount], const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const ReadBody read = bodies[input.byte() % kCount];
  read(input.rest());
}

}  // namespace rideau::fuzz
