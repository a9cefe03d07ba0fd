// SPDX-License-Identifier: Apache-2.0
// ModelIndex: what an IndexStore must do, as simply as it can be said.
#pragma once

#include "rideau/index_store.hpp"

#include <functional>
#include <map>
#include <string>

namespace rideau {

class ModelIndex {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;

  // False, and nothing changed, when a check does not hold.
  bool apply(const IndexBatch& batch);
  const Entries& entries() const noexcept { return entries_; }

 private:
  bool holds(const Check& check) const;

  Entries entries_;
};

}  // namespace rideau
