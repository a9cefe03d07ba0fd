// SPDX-License-Identifier: Apache-2.0
// Factory: where a conformance suite gets the instances under test from. The suite itself starts, stops and destroys
// what it was given, so it can also end an instance with destroy() alone, as a power cut does.
#pragma once

#include "framework/base/result.hpp"

namespace rideau {

template <class Interface>
class Factory {
 public:
  virtual ~Factory() = default;

  // A new instance, not started. A store opens the same storage each time, and the suite has destroyed the instance
  // before; of transports the suite has several at once.
  virtual Result<Interface*> make() = 0;
  // Leaves the storage empty, while no instance exists. Transports have none.
  virtual Status clear() { return kOk; }
  virtual std::uint64_t capabilities() const noexcept = 0;
};

}  // namespace rideau
