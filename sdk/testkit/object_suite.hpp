// SPDX-License-Identifier: Apache-2.0
// The conformance suite of ObjectStore: every implementation passes the same rules, from the same seed.
//
// The factory opens the same storage with each make(); the suite also asks for a second instance while the first runs,
// whose start must be refused. The rules about a full store need a small one (at most 64 MiB), for others they are
// reported as unsupported.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/object_store.hpp"
#include "sdk/testkit/factory.hpp"
#include "sdk/testkit/report.hpp"

#include <cstdint>

namespace rideau {

using ObjectFactory = Factory<ObjectStore>;

Task<> run_object_suite(Runtime& runtime, ObjectFactory& factory, std::uint64_t seed, Report& report);

}  // namespace rideau
