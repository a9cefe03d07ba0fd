// SPDX-License-Identifier: Apache-2.0
// Where memory comes from that will be lent to peers: a source of it may be such that processes of the same machine can
// be shown it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rideau {

class LendableMemory {
 public:
  virtual ~LendableMemory() = default;
  // On pages of its own. Null: there is none left; memory from elsewhere serves as well, more slowly.
  virtual std::uint8_t* take(std::size_t bytes) noexcept = 0;
  // False: this memory was not taken here.
  virtual bool put(std::uint8_t* memory, std::size_t bytes) noexcept = 0;
};

}  // namespace rideau
