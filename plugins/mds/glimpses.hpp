// SPDX-License-Identifier: Apache-2.0
// Glimpses: how large files are that clients are writing. The client that has such a file exclusively is asked; it
// answers from what it knows, keeps its lock and writes nothing back for it.
//
// A glimpse is what was so at one moment after the question for it came, and good for that question alone. One whose
// answer is on its way when another question comes is no answer to that one: the file may have grown in between.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/sessions.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rideau::mds {

// What was told of one inode, as long as its record and the locks of it stay as they were.
struct Glimpse {
  fs::InodeId inode = fs::kNoInode;
  std::uint64_t change = 0;  // of the record
  std::vector<lock::LockManager::Held> holders;
  std::vector<fs::SizeUpdate> told;  // by each of them
  bool known = false;                // all of them knew
  // Of a file that is locked in parts:
  bool in_parts = false;      // each of them knows only that it is so large at least
  std::uint64_t resizes = 0;  // of the file, when they were asked

  // Whether it was told of this state of the inode.
  bool fits(const fs::Inode& now, const std::vector<lock::LockManager::Held>& holders_now) const {
    return known && inode == now.id && change == now.change && holders == holders_now;
  }
  // The same of a file that is locked in parts. Who has given his parts back since has told the record; and since no
  // size is lost with that, or with another change of the record, the greatest that was told is what was so; but for a
  // cut. Who makes one does not know when it happens, so what he tells meanwhile is good only for `leaving`: for who
  // gives his share back, without which the cut cannot happen, and with which he forgets what he is told.
  bool covers(const fs::Inode& now, const std::vector<lock::LockManager::Held>& holders_now, std::uint64_t resizes_now,
              bool leaving) const;
  // The answer to the question: what a record would say if its writers told now, good for this once.
  void tell(fs::Inode& to) const;
};

class Glimpses {
 public:
  using Evict = std::function<void(std::uint64_t session, const std::string& reason)>;
  // Everything is lent.
  Glimpses(Runtime& runtime, SessionTable& sessions, TaskGroup& tasks, Evict evict)
      : runtime_(runtime), sessions_(sessions), tasks_(tasks), evict_(std::move(evict)) {}
  Glimpses(const Glimpses&) = delete;
  Glimpses& operator=(const Glimpses&) = delete;

  // Asks all of `holders`, each within limits::kCallbackMs.
  Task<Glimpse> ask(const fs::Inode& inode, std::vector<lock::LockManager::Held> holders);
  std::uint64_t asked() const noexcept { return asked_; }  // clients, since the start

 private:
  struct Question {
    explicit Question(Runtime& runtime) : answered(runtime) {}
    fs::LockItem item;
    fs::SizeUpdate told{};
    Event answered;
  };
  using QuestionRef = std::shared_ptr<Question>;
  QuestionRef put(fs::InodeId inode, const lock::LockManager::Held& holder);
  // One callback at a time to each client, with all questions that came meanwhile.
  Task<> send(lock::HolderId holder);
  static void settle(std::vector<QuestionRef>& questions, const fs::GlimpseReply& reply);

  Runtime& runtime_;
  SessionTable& sessions_;
  TaskGroup& tasks_;
  Evict evict_;
  std::map<lock::HolderId, std::deque<QuestionRef>> unsent_;  // of those that are asked just now
  std::uint64_t asked_ = 0;
};

}  // namespace rideau::mds
