// SPDX-License-Identifier: Apache-2.0
// Backups of a metadata target: everything durable of one moment as a stream of bytes, and back into an empty index.
// The stream is the same whatever index plugin wrote it (backup_format.hpp).
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/mds/backup_format.hpp"
#include "rideau/index_store.hpp"

#include <cstdint>
#include <functional>

namespace rideau {
class ByteSink;
}

namespace rideau::mds {

// Other work of the node goes on meanwhile, in portions of the stream.
Task<Status> write_backup(IndexStore& index, BackupHead head, ByteSink& to);

// Puts every entry into the index, which is started and empty (exists otherwise, and nothing is touched). The record
// that makes it a target comes last: an index whose restore was cut off is no target. Numbers that the lost time may
// have used (inodes, transactions, epochs, sessions) are skipped. `told` hears of the entries so far.
Task<Status> restore_backup(IndexStore& index, BackupReader& from, std::function<void(std::uint64_t)> told);

}  // namespace rideau::mds
