// SPDX-License-Identifier: Apache-2.0
// Bodies of calls and replies of a metadata target, and of its callbacks.
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
    read_body<fs::LookupRequest>,        read_body<fs::InodeReply>,
    read_body<fs::GetAttributesRequest>, read_body<fs::SetAttributesRequest>,
    read_body<fs::MakeRequest>,          read_body<fs::MakeReply>,
    read_body<fs::OpenRequest>,          read_body<fs::OpenReply>,
    read_body<fs::CloseRequest>,         read_body<fs::ReadLinkRequest>,
    read_body<fs::ReadLinkReply>,        read_body<fs::LinkRequest>,
    read_body<fs::RemoveRequest>,        read_body<fs::RemoveReply>,
    read_body<fs::RenameRequest>,        read_body<fs::RenameReply>,
    read_body<fs::ReadDirectoryRequest>, read_body<fs::ReadDirectoryReply>,
    read_body<fs::GetAttributeRequest>,  read_body<fs::GetAttributeReply>,
    read_body<fs::SetAttributeRequest>,  read_body<fs::ListAttributesRequest>,
    read_body<fs::ListAttributesReply>,  read_body<fs::RemoveAttributeRequest>,
    read_body<fs::StatFileSystemReply>,  read_body<fs::SyncRequest>,
    read_body<fs::LockRequest>,          read_body<fs::LockReply>,
    read_body<fs::UnlockRequest>,        read_body<fs::RevokeRequest>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const ReadBody read = kBodies[input.byte() % std::size(kBodies)];
  read(input.rest());
  return 0;
}
