// SPDX-License-Identifier: Apache-2.0
// Marks and planted mistakes, by name; see framework/base/sim_hooks.hpp. Their lists are in hooks.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace rideau::sim {

struct HookName {
  const char* name;
  const char* meaning;
  bool rare = false;  // of a mark: a few hundred seeds may not hit it, some thousand do
};
struct HookNames {
  const HookName* first;
  std::size_t count;
};
HookNames mark_names() noexcept;
HookNames bug_names() noexcept;

// Of this process, which simulates one seed at a time. Null: none. What a seed does follows from the seed and from
// this. False: there is no such mistake.
bool plant(std::string_view name) noexcept;
bool is_planted(const char* name) noexcept;

// A name that is on no list is a mistake of ours.
void hit(const char* name) noexcept;
std::uint64_t mark_count(std::size_t index) noexcept;
// Told of each mark as it is hit; null: nobody is.
void set_mark_listener(std::function<void(std::string_view)> listener);

}  // namespace rideau::sim
