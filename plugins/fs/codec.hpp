// SPDX-License-Identifier: Apache-2.0
// Bodies of calls to bytes and back: one encode and one decode for each struct of meta_calls.hpp and object_calls.hpp.
// A decode touches every field, bounds every list and string (framework/base/limits.hpp), never throws, and is the only
// place where the Cap'n Proto library reads bytes from outside. `body` is 8-byte aligned; string_views in the result
// point into it.
#pragma once

#include "framework/base/result.hpp"
#include "framework/wire/envelope.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/fs/object_calls.hpp"

namespace rideau::fs {

#define RIDEAU_FS_BODY(type)                        \
  void encode(const type& from, wire::Encoded& to); \
  Status decode(Bytes body, type* to)

RIDEAU_FS_BODY(LookupRequest);
RIDEAU_FS_BODY(InodeReply);
RIDEAU_FS_BODY(GetAttributesRequest);
RIDEAU_FS_BODY(SetAttributesRequest);
RIDEAU_FS_BODY(MakeRequest);
RIDEAU_FS_BODY(MakeReply);
RIDEAU_FS_BODY(OpenRequest);
RIDEAU_FS_BODY(OpenReply);
RIDEAU_FS_BODY(ReadInlineRequest);
RIDEAU_FS_BODY(ReadInlineReply);
RIDEAU_FS_BODY(CloseRequest);
RIDEAU_FS_BODY(ReadLinkRequest);
RIDEAU_FS_BODY(ReadLinkReply);
RIDEAU_FS_BODY(LinkRequest);
RIDEAU_FS_BODY(RemoveRequest);
RIDEAU_FS_BODY(RemoveReply);
RIDEAU_FS_BODY(RenameRequest);
RIDEAU_FS_BODY(RenameReply);
RIDEAU_FS_BODY(ReadDirectoryRequest);
RIDEAU_FS_BODY(ReadDirectoryReply);
RIDEAU_FS_BODY(GetAttributeRequest);
RIDEAU_FS_BODY(GetAttributeReply);
RIDEAU_FS_BODY(SetAttributeRequest);
RIDEAU_FS_BODY(ListAttributesRequest);
RIDEAU_FS_BODY(ListAttributesReply);
RIDEAU_FS_BODY(RemoveAttributeRequest);
RIDEAU_FS_BODY(StatFileSystemReply);
RIDEAU_FS_BODY(SyncRequest);
RIDEAU_FS_BODY(LockRequest);
RIDEAU_FS_BODY(LockReply);
RIDEAU_FS_BODY(LockExtentRequest);
RIDEAU_FS_BODY(LockExtentReply);
RIDEAU_FS_BODY(UnlockRequest);
RIDEAU_FS_BODY(RevokeRequest);
RIDEAU_FS_BODY(GlimpseRequest);
RIDEAU_FS_BODY(GlimpseReply);
RIDEAU_FS_BODY(ScanRecordsRequest);
RIDEAU_FS_BODY(ScanRecordsReply);
RIDEAU_FS_BODY(GetRecordsRequest);
RIDEAU_FS_BODY(GetRecordsReply);
RIDEAU_FS_BODY(SetAdvisoryLockRequest);
RIDEAU_FS_BODY(SetAdvisoryLockReply);
RIDEAU_FS_BODY(TestAdvisoryLockRequest);
RIDEAU_FS_BODY(TestAdvisoryLockReply);
RIDEAU_FS_BODY(CancelAdvisoryLockRequest);
RIDEAU_FS_BODY(CancelAdvisoryLockReply);
RIDEAU_FS_BODY(AdvisoryLocksGrantedRequest);
RIDEAU_FS_BODY(ReclaimRequest);
RIDEAU_FS_BODY(ReclaimReply);

RIDEAU_FS_BODY(ObjectReadRequest);
RIDEAU_FS_BODY(ObjectReadReply);
RIDEAU_FS_BODY(ObjectWriteRequest);
RIDEAU_FS_BODY(ObjectWriteReply);
RIDEAU_FS_BODY(ObjectTruncateRequest);
RIDEAU_FS_BODY(ObjectPunchRequest);
RIDEAU_FS_BODY(ObjectAllocateRequest);
RIDEAU_FS_BODY(ObjectVersionReply);
RIDEAU_FS_BODY(ObjectStatRequest);
RIDEAU_FS_BODY(ObjectStatReply);
RIDEAU_FS_BODY(ObjectFindDataRequest);
RIDEAU_FS_BODY(ObjectFindDataReply);
RIDEAU_FS_BODY(ObjectSyncRequest);
RIDEAU_FS_BODY(ObjectDestroyRequest);
RIDEAU_FS_BODY(ObjectStatFileSystemReply);
RIDEAU_FS_BODY(ObjectFenceRequest);
RIDEAU_FS_BODY(ObjectListRequest);
RIDEAU_FS_BODY(ObjectListReply);
RIDEAU_FS_BODY(ObjectVerifyRequest);
RIDEAU_FS_BODY(ObjectVerifyReply);

#undef RIDEAU_FS_BODY

// An upper bound of what one entry adds to an encoded ReadDirectoryReply: with it replies are cut to
// limits::kBodyBytesMax.
std::size_t encoded_bytes_max(const DirectoryEntry& entry) noexcept;

}  // namespace rideau::fs
