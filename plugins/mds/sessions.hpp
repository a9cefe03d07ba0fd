// SPDX-License-Identifier: Apache-2.0
// Clients of a target, what they have open, and who has an inode open at all. In memory: after a restart clients claim
// it again.
#pragma once

#include "framework/base/uuid.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rideau::rpc {
class ServerSession;
}

namespace rideau::mds {

struct OpenHandle {
  fs::InodeId inode = fs::kNoInode;
  std::uint32_t flags = 0;  // fs::OpenFlags
};

struct Session {
  std::uint64_t id = 0;
  rpc::ServerSession* link = nullptr;  // null once the client has gone
  std::map<fs::HandleId, OpenHandle> handles;
  std::uint64_t record_transaction = 0;          // that put its record into the index; 0: there is none
  std::vector<bool> slots_kept;                  // slots with a record in the index
  std::uint64_t last_transaction = 0;            // of this client
  std::pair<fs::HandleId, OpenHandle> opened{};  // by the change that is being applied; handle 0: nothing
  bool fenced = false;                           // it ends, and nothing rests on its locks any more
  bool restored = false;                         // of before a restart
  bool closing = false;                          // it ends: its calls wait for nothing any more

  const OpenHandle* find(fs::HandleId handle) const {
    const auto at = handles.find(handle);
    return at != handles.end() ? &at->second : nullptr;
  }
};

class SessionTable {
 public:
  Session& add(std::uint64_t id, rpc::ServerSession* link);
  Session* find(std::uint64_t id);
  const Session* find(std::uint64_t id) const { return const_cast<SessionTable*>(this)->find(id); }
  // Takes it out; its owner then closes what it had open.
  std::unique_ptr<Session> remove(std::uint64_t id);
  // A transaction of this session, in the order of their numbers. Those up to `durable` need not be known any more.
  void made(std::uint64_t transaction, std::uint64_t session, std::uint64_t durable);
  // Its answer waits for something durable, so its own session may not rest on it either: a client makes lost changes
  // again in the order of their numbers, those without an answer last.
  void hold_back(std::uint64_t transaction);
  // Whether it was made by this session, which may rest on it, and may still be lost.
  bool is_own(std::uint64_t transaction, std::uint64_t session) const;
  // The last transaction of anyone but this client, those who have gone included.
  std::uint64_t last_transaction_of_others(std::uint64_t id) const;
  std::size_t size() const noexcept { return sessions_.size(); }
  // In the order of their ids.
  const std::map<std::uint64_t, std::unique_ptr<Session>>& all() const noexcept { return sessions_; }

 private:
  std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::uint64_t last_transaction_of_gone_ = 0;
  struct Made {
    std::uint64_t transaction;
    std::uint64_t session;
  };
  std::deque<Made> made_;
};

// How often each inode is open, over all sessions.
class OpenFiles {
 public:
  void add(fs::InodeId inode, std::uint32_t flags);
  void remove(fs::InodeId inode, std::uint32_t flags);
  bool is_open(fs::InodeId inode) const { return files_.contains(inode); }
  bool is_open_for_writing(fs::InodeId inode) const {
    const auto at = files_.find(inode);
    return at != files_.end() && at->second.writers != 0;
  }
  std::size_t size() const noexcept { return files_.size(); }

 private:
  struct Counts {
    std::uint32_t opens = 0;
    std::uint32_t writers = 0;
  };
  std::map<fs::InodeId, Counts> files_;
};

}  // namespace rideau::mds
