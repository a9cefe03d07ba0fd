// SPDX-License-Identifier: Apache-2.0
// Bodies of calls and replies of an object target.
// The first byte chooses which.
#include "plugins/fs/codec.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <iterator>

using namespace rideau;

namespace {

template <class Body>
void read_body(Bytes bytes) {
  const fuzz::Words words(bytes);
  Body body;
  if (!fs::decode(words.bytes(), &body).ok()) return;
  wire::Encoded again;
  fs::encode(body, again);
  Body second;
  fuzz::require(fs::decode(again.bytes(), &second).ok(), "what was read can be written and read again");
}

using ReadBody = void (*)(Bytes);
constexpr ReadBody kBodies[] = {
    read_body<fs::ObjectReadRequest>,         read_body<fs::ObjectReadReply>,
    read_body<fs::ObjectWriteRequest>,        read_body<fs::ObjectWriteReply>,
    read_body<fs::ObjectTruncateRequest>,     read_body<fs::ObjectPunchRequest>,
    read_body<fs::ObjectAllocateRequest>,     read_body<fs::ObjectVersionReply>,
    read_body<fs::ObjectStatRequest>,         read_body<fs::ObjectStatReply>,
    read_body<fs::ObjectFindDataRequest>,     read_body<fs::ObjectFindDataReply>,
    read_body<fs::ObjectSyncRequest>,         read_body<fs::ObjectDestroyRequest>,
    read_body<fs::ObjectStatFileSystemReply>, read_body<fs::ObjectListRequest>,
    read_body<fs::ObjectListReply>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const ReadBody read = kBodies[input.byte() % std::size(kBodies)];
  read(input.rest());
  return 0;
}
