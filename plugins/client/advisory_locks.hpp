// SPDX-License-Identifier: Apache-2.0
// Locks that programs of this client take with flock(2) and fcntl(2): asked of the metadata server, which has the table
// of all clients; here is only what this client's owners hold, so that a close knows whether there is anything to give
// up, and a lost session whose locks went with it.
//
// An owner is a number that the caller chose. A process gives up what it holds of a file by each close of a descriptor
// of that file (POSIX); other owners (open file descriptions) by the end of the one handle through which they lock.
#pragma once

#include "framework/lock/range_locks.hpp"
#include "framework/observe/log.hpp"
#include "framework/runtime/sync.hpp"
#include "plugins/client/file_system.hpp"
#include "plugins/client/meta_client.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace rideau::client {

class AdvisoryLocks {
 public:
  // Everything is lent.
  AdvisoryLocks(Runtime& runtime, Logger& log, MetaClient& meta) : runtime_(runtime), log_(log), meta_(meta) {}
  AdvisoryLocks(const AdvisoryLocks&) = delete;
  AdvisoryLocks& operator=(const AdvisoryLocks&) = delete;

  // Mode::none gives up. EAGAIN: not free, and nobody wants to wait. EINTR: the wait was interrupted, nothing changed.
  Task<Status> set(fs::InodeId inode, const AdvisoryLock& lock, Interruption* interruption);
  Task<Result<AdvisoryConflict>> test(fs::InodeId inode, const AdvisoryLock& lock);
  // A process closes a descriptor. At once when it holds nothing of the file.
  Task<Status> on_close(fs::InodeId inode, fs::HandleId handle, std::uint64_t owner);
  // The last descriptor of the handle is closed.
  Task<> on_release(fs::InodeId inode, fs::HandleId handle);

  // The metadata server's callback. Tickets that nobody waits for mean nothing.
  void granted(const std::vector<std::uint64_t>& tickets);
  // The session and all locks under it are gone, waits end. Answers the handles through which locks were taken that
  // are lost.
  std::set<fs::HandleId> on_new_epoch();
  // The server restarted. What is held here, to be claimed again.
  std::vector<fs::SetAdvisoryLockRequest> held() const;
  // And it knows of no waits any more: who waits asks again.
  void wait_again();
  // Ends every wait; later ones end at once.
  void stop_waiting();

  std::size_t owners() const noexcept { return held_.size(); }

 private:
  struct Key {
    fs::InodeId inode;
    lock::RangeFamily family;
    std::uint64_t owner;
    auto operator<=>(const Key&) const = default;
  };
  struct Held {
    lock::OwnedRanges ranges;
    std::uint32_t calls = 0;  // under way
    bool unsure = false;      // calls at the same time, or one without an answer: `ranges` may be wrong
    std::set<fs::HandleId> handles;
    std::uint32_t process = 0;
    bool nothing() const noexcept { return calls == 0 && !unsure && ranges.empty(); }
  };
  struct Wait {
    explicit Wait(Runtime& runtime) : woken(runtime) {}
    bool granted = false;
    bool lost = false;    // with the session
    bool queued = false;  // the server has said that it waits
    bool again = false;   // the server has forgotten that
    WaitQueue woken;
  };
  Task<Status> wait(std::uint64_t ticket, Wait& wait, Interruption* interruption);
  void take_note(const Key& key, const AdvisoryLock& lock, Status status);
  Task<Status> give_up(Key key, fs::HandleId closed);

  Runtime& runtime_;
  Logger& log_;
  MetaClient& meta_;
  std::map<Key, Held> held_;
  std::map<std::uint64_t, Wait*> waits_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t epoch_ = 0;  // grows when the session is lost
  bool stopping_ = false;
};

}  // namespace rideau::client
