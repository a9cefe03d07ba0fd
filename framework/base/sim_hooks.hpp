// SPDX-License-Identifier: Apache-2.0
// Places that the simulator wants to know of, and mistakes that it must find. Both exist only where a file is compiled
// once more for the simulator (tests/sim/CMakeLists.txt has the list); in the program they are nothing.
//
// RIDEAU_MARK(name): something rare happened here, on the node that runs now. A test's seeds must hit all of them, or
// they prove less than they seem to.
// RIDEAU_PLANTED_BUG(name): true when the simulator was asked for that mistake.
//
// In functions of headers only where every file that has them is on that list.
#pragma once

#ifdef RIDEAU_SIM_HOOKS
// Whoever compiles with hooks brings these.
namespace rideau::sim {
void hit(const char* name) noexcept;
bool is_planted(const char* name) noexcept;
}  // namespace rideau::sim
#define RIDEAU_MARK(name) ::rideau::sim::hit(#name)
#define RIDEAU_PLANTED_BUG(name) ::rideau::sim::is_planted(#name)
#else
#define RIDEAU_MARK(name) static_cast<void>(0)
#define RIDEAU_PLANTED_BUG(name) false
#endif
