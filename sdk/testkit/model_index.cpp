// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/model_index.hpp"

namespace rideau {

bool ModelIndex::holds(const Check& check) const {
  const auto found = entries_.find(check.key.view());
  switch (check.kind) {
    case Check::Kind::absent:
      return found == entries_.end();
    case Check::Kind::present:
      return found != entries_.end();
    case Check::Kind::equals:
      return found != entries_.end() && found->second == check.value.view();
  }
  return false;
}

bool ModelIndex::apply(const IndexBatch& batch) {
  for (std::uint32_t i = 0; i < batch.check_count; ++i) {
    if (!holds(batch.checks[i])) return false;
  }
  for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
    const Edit& edit = batch.edits[i];
    if (edit.kind == Edit::Kind::put) {
      entries_.insert_or_assign(std::string(edit.key.view()), std::string(edit.value.view()));
    } else if (const auto found = entries_.find(edit.key.view()); found != entries_.end()) {
      entries_.erase(found);
    }
  }
  return true;
}

}  // namespace rideau
