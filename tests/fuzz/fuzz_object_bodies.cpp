// SPDX-License-Identifier: Apache-2.0
// Bodies of calls and replies of an object target.
#include "tests/fuzz/bodies.hpp"

using namespace rideau;

namespace {

constexpr fuzz::ReadBody kBodies[] = {
    fuzz::read_body<fs::ObjectReadRequest>,         fuzz::read_body<fs::ObjectReadReply>,
    fuzz::read_body<fs::ObjectWriteRequest>,        fuzz::read_body<fs::ObjectWriteReply>,
    fuzz::read_body<fs::ObjectTruncateRequest>,     fuzz::read_body<fs::ObjectPunchRequest>,
    fuzz::read_body<fs::ObjectAllocateRequest>,     fuzz::read_body<fs::ObjectVersionReply>,
    fuzz::read_body<fs::ObjectStatRequest>,         fuzz::read_body<fs::ObjectStatReply>,
    fuzz::read_body<fs::ObjectFindDataRequest>,     fuzz::read_body<fs::ObjectFindDataReply>,
    fuzz::read_body<fs::ObjectSyncRequest>,         fuzz::read_body<fs::ObjectDestroyRequest>,
    fuzz::read_body<fs::ObjectStatFileSystemReply>, fuzz::read_body<fs::ObjectListRequest>,
    fuzz::read_body<fs::ObjectListReply>,           fuzz::read_body<fs::ObjectFenceRequest>,
    fuzz::read_body<fs::ObjectVerifyRequest>,       fuzz::read_body<fs::ObjectVerifyReply>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_chosen(kBodies, data, size);
  return 0;
}
