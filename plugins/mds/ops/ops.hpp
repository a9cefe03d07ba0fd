// SPDX-License-Identifier: Apache-2.0
// The operations of a metadata target, one file each beside this one. Each applies at once, against the overlay and the
// snapshot, and never waits: first all its checks, in the order in which POSIX wants its errors, then, when none
// failed, transaction.claim() of every inode that changes or is told of, transaction.begin() and its edits. A failure
// has changed nothing. Errors are posix_error(E…), kGroupsWanted when a decision hangs on groups that the caller did
// not send, or kLocksWanted when other sessions hold locks that are in the way: then it is repeated when they are gone.
#pragma once

#include "framework/base/result.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

// Looking.
Result<fs::InodeReply> apply(Target& target, const fs::LookupRequest& request);
Result<fs::InodeReply> apply(Target& target, const fs::GetAttributesRequest& request);
Result<fs::ReadLinkReply> apply(Target& target, const fs::ReadLinkRequest& request);
Result<fs::ReadDirectoryReply> apply(Target& target, const fs::ReadDirectoryRequest& request);
Result<fs::GetAttributeReply> apply(Target& target, const fs::GetAttributeRequest& request);
Result<fs::ListAttributesReply> apply(Target& target, const fs::ListAttributesRequest& request);
Result<fs::ScanRecordsReply> apply(Target& target, const fs::ScanRecordsRequest& request);
Result<fs::GetRecordsReply> apply(Target& target, const fs::GetRecordsRequest& request);
Result<fs::ReadInlineReply> apply(Target& target, const fs::ReadInlineRequest& request);
Result<fs::StatFileSystemReply> apply_stat_file_system(Target& target);

// Changing. The session is whom handles belong to.
Result<fs::InodeReply> apply(Target& target, Transaction& transaction, const fs::SetAttributesRequest& request,
                             Session& session);
Result<fs::MakeReply> apply(Target& target, Transaction& transaction, const fs::MakeRequest& request, Session& session);
Result<fs::OpenReply> apply(Target& target, Transaction& transaction, const fs::OpenRequest& request, Session& session);
Status apply(Target& target, Transaction& transaction, const fs::CloseRequest& request, Session& session);
Result<fs::InodeReply> apply(Target& target, Transaction& transaction, const fs::LinkRequest& request);
Result<fs::RemoveReply> apply(Target& target, Transaction& transaction, const fs::RemoveRequest& request,
                              Session& session);
Result<fs::RenameReply> apply(Target& target, Transaction& transaction, const fs::RenameRequest& request);
Status apply(Target& target, Transaction& transaction, const fs::SetAttributeRequest& request);
Status apply(Target& target, Transaction& transaction, const fs::RemoveAttributeRequest& request);

// Takes a handle away from a session that ends, without news of size and times.
Status drop_handle(Target& target, Transaction& transaction, Session& session, fs::HandleId handle);

}  // namespace rideau::mds
