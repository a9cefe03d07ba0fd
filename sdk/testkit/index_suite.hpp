// SPDX-License-Identifier: Apache-2.0
// The conformance suite of IndexStore: every implementation passes the same rules, from the same seed.
//
// The factory opens the same storage with each make(); the suite also asks for a second instance while the first runs,
// whose start must be refused. The storage has at least 4 MiB. The rules about a full store need a small one (at most
// 64 MiB), for others they are reported as unsupported.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/index_store.hpp"
#include "sdk/testkit/factory.hpp"
#include "sdk/testkit/report.hpp"

#include <cstdint>

namespace rideau {

using IndexFactory = Factory<IndexStore>;

Task<> run_index_suite(Runtime& runtime, IndexFactory& factory, std::uint64_t seed, Report& report);

}  // namespace rideau
