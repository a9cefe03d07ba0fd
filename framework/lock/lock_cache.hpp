// SPDX-License-Identifier: Apache-2.0
// The client's side of one lock: taken when first needed, kept until the server asks for it, given back when nobody uses
// it. Uses are counted; while it is being given back, new uses wait until it was taken anew, except those that the owner
// admits (use_while_closing): requests of the kernel that hold locks which the giving back itself waits for.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/task_group.hpp"

#include <cstdint>

namespace rideau::lock {

class LockCache {
 public:
  // How the owner talks to the server and to its own caches.
  class Owner {
   public:
    virtual Task<Status> take(Mode mode) = 0;        // asks the server; ends when granted
    // Everything cached under the lock becomes clean and is dropped. Runs when no use is left but those admitted.
    virtual Task<> prepare_release() = 0;
    virtual Task<Status> give_back() = 0;            // tells the server
    virtual void on_taken(Mode mode) = 0;

   protected:
    ~Owner() = default;
  };

  LockCache(Runtime& runtime, TaskGroup& tasks, Owner& owner) : owner_(owner), tasks_(tasks), changed_(runtime) {}
  LockCache(const LockCache&) = delete;
  LockCache& operator=(const LockCache&) = delete;

  // Waits until the lock is held in at least this mode and counts one use.
  Task<Status> use(Mode mode);
  // Counts a use of a lock that is held or just being given back; false when it is not held at all.
  bool use_while_closing(Mode mode);
  void end_use();
  // The server wants it back. Returns at once; the work goes on in the task group.
  void revoke();
  // The session is gone and the lock with it: what was cached must be dropped by the caller.
  void lost();

  Mode mode() const noexcept { return mode_; }
  bool closing() const noexcept { return state_ == State::closing; }
  std::uint32_t uses() const noexcept { return uses_; }

 private:
  enum class State : std::uint8_t { free, taking, held, closing };
  Task<> take_now(Mode mode);
  Task<> close_now();

  Owner& owner_;
  TaskGroup& tasks_;
  WaitQueue changed_;
  State state_ = State::free;
  Mode mode_ = Mode::none;
  std::uint32_t uses_ = 0;
  bool revoke_wanted_ = false;
  Status last_failure_{};
  std::uint64_t generation_ = 0;       // grows with lost(): a take or close that was under way then is void
};

}  // namespace rideau::lock
