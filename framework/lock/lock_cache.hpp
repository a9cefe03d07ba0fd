// SPDX-License-Identifier: Apache-2.0
// The client's side of one lock: taken when first needed, kept until the server asks for it, given back when nobody
// uses it. Uses are counted; while it is being given back, new uses wait until it was taken anew. Requests that must
// not wait for that (the giving back may wait for them) are the owner's to admit in prepare_release().
//
// A cache that holds `shared` and needs `exclusive` gives back first and takes anew: then a revocation can never be
// meant for another grant than the one that is held.
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
    // Asks the server and waits for the grant; answers the mode granted, which may be stronger than asked for.
    virtual Task<Result<Mode>> take(Mode mode) = 0;
    // Everything cached under the lock becomes clean and is dropped. Starts when no use is left.
    virtual Task<> prepare_release() = 0;
    virtual Task<Status> give_back() = 0;  // tells the server
    virtual void on_taken(Mode mode) = 0;

   protected:
    ~Owner() = default;
  };

  LockCache(Runtime& runtime, TaskGroup& tasks, Owner& owner)
      : runtime_(runtime), owner_(owner), tasks_(tasks), changed_(runtime) {}
  LockCache(const LockCache&) = delete;
  LockCache& operator=(const LockCache&) = delete;

  // Waits until the lock is held in at least this mode and counts one use.
  Task<Status> use(Mode mode);
  void end_use();
  // The server wants it back. Returns at once; the work goes on in the task group.
  void revoke();
  // Gives the lock back of the client's own accord, for an orderly stop.
  Task<> release_now();
  // The session is gone and the lock with it: what was cached must be dropped by the caller.
  void lost();

  Mode mode() const noexcept { return mode_; }
  bool closing() const noexcept { return state_ == State::closing; }
  std::uint32_t uses() const noexcept { return uses_; }

 private:
  enum class State : std::uint8_t { free, taking, held, closing, releasing };
  Task<> take_now(Mode mode);
  Task<> close_now();
  void start_closing();

  Runtime& runtime_;
  Owner& owner_;
  TaskGroup& tasks_;
  WaitQueue changed_;
  State state_ = State::free;
  Mode mode_ = Mode::none;
  std::uint32_t uses_ = 0;
  bool revoke_wanted_ = false;
  Status last_failure_{};
  std::uint64_t failures_ = 0;
  std::uint64_t generation_ = 0;  // grows with lost(): a take or close that was under way then is void
};

}  // namespace rideau::lock
