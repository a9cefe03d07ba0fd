// SPDX-License-Identifier: Apache-2.0
// What a pending completion of a caller points to with plugin_slot[0], for cancel(). Null: it cannot be cancelled any
// more.
#pragma once

#include "rideau/driver/callback.hpp"

namespace rideau::rdma {

using driver::Callback;

class Pending {
 public:
  virtual void cancel() noexcept = 0;

 protected:
  ~Pending() = default;
};

}  // namespace rideau::rdma
