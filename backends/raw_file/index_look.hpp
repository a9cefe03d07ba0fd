// SPDX-License-Identifier: Apache-2.0
// Looks into the index of a store, one state at a time.
#pragma once

#include "rideau/index_store.hpp"
#include "sum_table.hpp"

#include <string>

namespace rideau::raw_file {

inline Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

// A snapshot for as long as it is looked at.
class Look {
 public:
  explicit Look(IndexStore& index) { status_ = index.snapshot(&snapshot_); }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;
  ~Look() {
    if (snapshot_ != nullptr) snapshot_->release();
  }
  Status status() const noexcept { return status_; }
  Snapshot* operator->() const noexcept { return snapshot_; }

 private:
  Snapshot* snapshot_ = nullptr;
  Status status_{};
};

inline Range segments_of(std::uint64_t first, std::uint64_t last) {
  return {first / kSegmentBlocks, last >= SumTable::kLastBlock ? Ranges::kNoEnd : last / kSegmentBlocks + 1};
}

}  // namespace rideau::raw_file
