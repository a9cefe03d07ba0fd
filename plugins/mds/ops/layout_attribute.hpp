// SPDX-License-Identifier: Apache-2.0
// The extended attribute fs::kLayoutAttribute: how a file is striped, and what new files of a directory get. It is no
// record of its own and never listed.
#pragma once

#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

// EACCES; ENODATA of what has no layout.
Result<fs::GetAttributeReply> get_layout(Target& target, const fs::Caller& caller, const fs::Inode& inode);

// A directory's default, or the layout of a file that has no bytes. EACCES, EPERM (not the owner, or nothing that has a
// layout), EINVAL (no layout, or none that this cluster can have), ENXIO (no such pool), ESHUTDOWN (the first target
// takes no new files), ENOSPC (no target of the pool takes any), ENOTEMPTY (a file with bytes), EBUSY (somebody has it
// open for writing).
Status set_layout(Target& target, Transaction& transaction, const fs::SetAttributeRequest& request,
                  fs::InodeRecord& record);

// A directory wishes for nothing any more. EOPNOTSUPP of a file: it always has a layout.
Status reset_layout(Transaction& transaction, const fs::Caller& caller, fs::InodeRecord& record);

}  // namespace rideau::mds
