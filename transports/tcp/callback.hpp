// SPDX-License-Identifier: Apache-2.0
// A completion of the driver's own whose arrival calls a member function. Used for waits, timers and turns.
#pragma once

#include "rideau/completion.hpp"

namespace rideau::tcp {

template <class Owner, void (Owner::*kCalled)() noexcept>
struct Callback : Completion {
  explicit Callback(Owner& its_owner) noexcept : owner(its_owner) {
    resume = [](Completion* done) noexcept {
      auto* self = static_cast<Callback*>(done);
      self->pending = false;
      (self->owner.*kCalled)();
    };
  }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  Owner& owner;
  bool pending = false;
};

// What a pending completion of a caller points to with plugin_slot[0], for cancel(). Null: it cannot be cancelled any
// more.
class Pending {
 public:
  virtual void cancel() noexcept = 0;

 protected:
  ~Pending() = default;
};

}  // namespace rideau::tcp
