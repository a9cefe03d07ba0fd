// SPDX-License-Identifier: Apache-2.0
// RealSharedMemory: memory of this process that other processes can map. One file without a name as large as the
// machine's memory, of which only what is taken has pages.
//
// Threads: the node's alone.
#pragma once

#include "framework/runtime/lendable_memory.hpp"
#include "rideau/transport.hpp"

#include <map>
#include <vector>

namespace rideau {

class RealSharedMemory final : public LendableMemory, public SharedMemory {
 public:
  RealSharedMemory();
  ~RealSharedMemory() override;
  RealSharedMemory(const RealSharedMemory&) = delete;
  RealSharedMemory& operator=(const RealSharedMemory&) = delete;

  // False: the system gives none. Then everything below answers that there is none.
  bool usable() const noexcept { return base_ != nullptr; }

  std::uint8_t* take(std::size_t bytes) noexcept override;
  bool put(std::uint8_t* memory, std::size_t bytes) noexcept override;

  int descriptor() const noexcept override { return fd_; }
  std::uint64_t size() const noexcept override { return size_; }
  bool find(const void* base, std::size_t size, std::uint64_t* offset) const noexcept override;
  void cut_off(const void* base, std::size_t size) noexcept override;

 private:
  // Of this size is what can be given out; larger pieces are several of them in a row.
  static constexpr std::size_t kUnitBytes = 64 << 10;

  bool lies_here(const void* memory) const noexcept;
  bool is_cut(std::size_t first_unit, std::size_t units) const noexcept;

  int fd_ = -1;
  std::uint8_t* base_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t used_ = 0;                                  // bytes from the front that were given out once
  std::map<std::size_t, std::vector<std::uint8_t*>> free_;  // by count of units; without pages
  std::vector<bool> cut_;                                   // units, up to used_
  bool any_cut_ = false;
};

}  // namespace rideau
