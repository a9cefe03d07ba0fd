// SPDX-License-Identifier: Apache-2.0
// Whether a sanitizer watches every allocation of this build. What keeps memory for reuse must not do so then: the
// sanitizer sees a use after the end only of what went back to the allocator.
#pragma once

namespace rideau {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RIDEAU_MEMORY_IS_WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(RIDEAU_MEMORY_IS_WATCHED)
inline constexpr bool kMemoryIsWatched = true;
#else
inline constexpr bool kMemoryIsWatched = false;
#endif
#undef RIDEAU_MEMORY_IS_WATCHED

}  // namespace rideau
