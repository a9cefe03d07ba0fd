// SPDX-License-Identifier: Apache-2.0
// Memory that begins with a page, as writes around the kernel's cache need it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace rideau {

constexpr std::size_t kPage = 4096;

struct FreePages {
  void operator()(std::uint8_t* memory) const { ::operator delete (memory, std::align_val_t{kPage}); }
};
using Pages = std::unique_ptr<std::uint8_t, FreePages>;

inline Pages make_pages(std::size_t bytes) {
  return Pages(static_cast<std::uint8_t*>(::operator new (bytes, std::align_val_t{kPage})));
}

}  // namespace rideau
