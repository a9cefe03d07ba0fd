// SPDX-License-Identifier: Apache-2.0
// Calls of a FileSystem that the restart of a server cut off, made again where that is right: for whoever calls on
// behalf of programs.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/call.hpp"
#include "plugins/client/file_system.hpp"

namespace rideau::client {

// A call that its session's end has cut off begins anew, with a lock of the new session: always when it was not sent,
// and when it changes nothing also when nobody knows. What changed something, or not, is EIO.
enum class Repeat { unless_sent, always };

inline Status status_of(const Status& status) { return status; }
template <class T>
Status status_of(const Result<T>& result) {
  return result.ok() ? kOk : result.status();
}

// `begin` makes the call of `files`, and must be able to do so several times. A client that slept long may have lost
// its locks without knowing, so it asks before it answers from its caches.
template <class Begin>
auto repeated(FileSystem& files, Repeat repeat, Begin begin) -> decltype(begin()) {
  constexpr int kTriesMax = 8;
  for (int tries = 1;; ++tries) {
    if (!files.trusted()) co_await files.until_trusted();
    auto result = co_await begin();
    const Status status = status_of(result);
    const bool cut_off = rpc::is_never_sent(status) || (repeat == Repeat::always && rpc::is_outcome_unknown(status));
    if (!cut_off || tries == kTriesMax) co_return result;
  }
}

}  // namespace rideau::client
