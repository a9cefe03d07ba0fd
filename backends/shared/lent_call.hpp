// SPDX-License-Identifier: Apache-2.0
// A call to another instance, on the heap and apart from its caller: it may be completed after the caller was
// destroyed, and what was lent with it stays until then.
#pragma once

#include "rideau/completion.hpp"

namespace rideau::backend {

struct LentCall : Completion {
  virtual ~LentCall() = default;
  bool lent = false;       // the other instance has it
  bool abandoned = false;  // its caller is gone

  // The caller goes: freed at once, or when the other instance has done with it. Null: nothing to do.
  static void abandon(LentCall* call) noexcept;
  // At the beginning of resume(): true, and the call is freed, when its caller is gone.
  static bool ends_abandoned(LentCall* call) noexcept;
};

}  // namespace rideau::backend
