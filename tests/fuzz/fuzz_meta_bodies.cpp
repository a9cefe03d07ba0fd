// SPDX-License-Identifier: Apache-2.0
// Bodies of calls and replies of a metadata target, and of its callbacks.
#include "tests/fuzz/bodies.hpp"

using namespace rideau;

namespace {

constexpr fuzz::ReadBody kBodies[] = {
    fuzz::read_body<fs::LookupRequest>,
    fuzz::read_body<fs::InodeReply>,
    fuzz::read_body<fs::GetAttributesRequest>,
    fuzz::read_body<fs::SetAttributesRequest>,
    fuzz::read_body<fs::MakeRequest>,
    fuzz::read_body<fs::MakeReply>,
    fuzz::read_body<fs::OpenRequest>,
    fuzz::read_body<fs::OpenReply>,
    fuzz::read_body<fs::CloseRequest>,
    fuzz::read_body<fs::ReadLinkRequest>,
    fuzz::read_body<fs::ReadLinkReply>,
    fuzz::read_body<fs::LinkRequest>,
    fuzz::read_body<fs::RemoveRequest>,
    fuzz::read_body<fs::RemoveReply>,
    fuzz::read_body<fs::RenameRequest>,
    fuzz::read_body<fs::RenameReply>,
    fuzz::read_body<fs::ReadDirectoryRequest>,
    fuzz::read_body<fs::ReadDirectoryReply>,
    fuzz::read_body<fs::GetAttributeRequest>,
    fuzz::read_body<fs::GetAttributeReply>,
    fuzz::read_body<fs::SetAttributeRequest>,
    fuzz::read_body<fs::ListAttributesRequest>,
    fuzz::read_body<fs::ListAttributesReply>,
    fuzz::read_body<fs::RemoveAttributeRequest>,
    fuzz::read_body<fs::StatFileSystemReply>,
    fuzz::read_body<fs::SyncRequest>,
    fuzz::read_body<fs::LockRequest>,
    fuzz::read_body<fs::LockReply>,
    fuzz::read_body<fs::UnlockRequest>,
    fuzz::read_body<fs::RevokeRequest>,
    fuzz::read_body<fs::ScanRecordsRequest>,
    fuzz::read_body<fs::ScanRecordsReply>,
    fuzz::read_body<fs::GetRecordsRequest>,
    fuzz::read_body<fs::GetRecordsReply>,
    fuzz::read_body<fs::SetAdvisoryLockRequest>,
    fuzz::read_body<fs::SetAdvisoryLockReply>,
    fuzz::read_body<fs::TestAdvisoryLockRequest>,
    fuzz::read_body<fs::TestAdvisoryLockReply>,
    fuzz::read_body<fs::CancelAdvisoryLockRequest>,
    fuzz::read_body<fs::CancelAdvisoryLockReply>,
    fuzz::read_body<fs::AdvisoryLocksGrantedRequest>,
    fuzz::read_body<fs::ReclaimRequest>,
    fuzz::read_body<fs::ReclaimReply>,
    fuzz::read_body<fs::GlimpseRequest>,
    fuzz::read_body<fs::GlimpseReply>,
    fuzz::read_body<fs::ReadInlineRequest>,
    fuzz::read_body<fs::ReadInlineReply>,
    fuzz::read_body<fs::LockExtentRequest>,
    fuzz::read_body<fs::LockExtentReply>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_chosen(kBodies, data, size);
  return 0;
}
