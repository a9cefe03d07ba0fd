// SPDX-License-Identifier: Apache-2.0
// For authors of drivers, optional: a completion of the driver's own whose arrival calls a member function. Used for
// waits, timers and turns: pass it to a function of Host, or to Host::complete() to be called in a later turn.
#pragma once

#include "rideau/completion.hpp"

namespace rideau::driver {

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
  bool pending = false;  // set by the driver before it passes the callback on
};

}  // namespace rideau::driver
