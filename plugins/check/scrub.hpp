// SPDX-License-Identifier: Apache-2.0
// The scrub of one running object target: everything that it stores is read there, at a bounded rate, so that its store
// checks it. And where in which file damaged bytes are.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "framework/runtime/runtime.hpp"
#include "plugins/check/sources.hpp"
#include "plugins/fs/object_calls.hpp"

#include <functional>
#include <string>
#include <vector>

namespace rideau::check {

struct ScrubResult {
  fs::TargetId target = 0;
  std::uint64_t bytes = 0;  // read, holes left out
  std::uint64_t objects = 0;
  std::uint64_t objects_wanted = 0;  // that were there at the beginning
  bool checksums = false;            // the store knows what was written; else it found only what cannot be read
  std::vector<fs::ObjectVerifyReply::Damage> damages;
};

// Bytes of a file that are lost.
struct DamagedBytes {
  fs::InodeId inode = fs::kNoInode;
  std::string path;          // from the root of the file system; empty: not known
  std::uint64_t offset = 0;  // in the file
  std::uint64_t size = 0;    // 0: from there on nothing can be told
};

// ok when it came to the end, whatever it found. `told` is called after each part. 0 bytes a second: no bound.
Task<Status> scrub(Runtime& runtime, rpc::ClientSession& session, std::uint64_t bytes_per_second,
                   const std::function<void()>& told, ScrubResult* to);

// Nothing when its inode is gone meanwhile: then nobody misses the bytes.
Task<Result<std::vector<DamagedBytes>>> locate(MetaSource& meta, const fs::ObjectVerifyReply::Damage& damage);

}  // namespace rideau::check
