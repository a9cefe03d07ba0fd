// SPDX-License-Identifier: Apache-2.0
// The head of a message and what opens a session: the first that a stranger on a port can send.
#include "framework/wire/envelope.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

namespace {

template <class Body>
void read_body(Bytes bytes) {
  Body body;
  if (!wire::decode(bytes, &body).ok()) return;
  wire::Encoded again;
  wire::encode(body, again);
  Body second;
  fuzz::require(wire::decode(again.bytes(), &second).ok(), "what was read can be written and read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Words words(Bytes(data, size));
  wire::Envelope envelope;
  Bytes body;
  if (wire::decode(words.bytes(), &envelope, &body).ok()) {
    fuzz::require(body.size <= words.bytes().size, "a body lies in its message");
    wire::Encoded again;
    wire::encode(envelope, again);
    wire::Envelope second;
    fuzz::require(wire::decode(again.bytes(), &second, &body).ok() && second.sequence == envelope.sequence &&
                      second.payload_bytes == envelope.payload_bytes && second.status.code == envelope.status.code,
                  "an envelope stays what it is");
  }
  read_body<wire::Hello>(words.bytes());
  read_body<wire::Welcome>(words.bytes());
  read_body<wire::Refusal>(words.bytes());
  return 0;
}
