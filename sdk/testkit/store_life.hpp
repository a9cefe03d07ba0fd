// SPDX-License-Identifier: Apache-2.0
// The start and the orderly end of a store under test, of either kind.
#pragma once

#include "framework/runtime/await.hpp"
#include "sdk/testkit/factory.hpp"
#include "sdk/testkit/report.hpp"

namespace rideau {

// Makes and starts an instance; `fresh` empties the storage first. Null, and reported, when that failed.
template <class Store>
Task<Store*> open_store(Factory<Store>& factory, Report& report, bool fresh) {
  if (fresh) {
    const Status cleared = factory.clear();
    if (!report.ok(cleared, "clear the storage")) co_return nullptr;
  }
  Result<Store*> made = factory.make();
  if (!report.ok(made.status(), "make an instance")) co_return nullptr;
  Store* store = *made;
  const Outcome started = co_await submit([store](Completion& done) { return store->start(done); });
  if (!report.ok(started.status, "start")) {
    store->destroy();
    co_return nullptr;
  }
  co_return store;
}

// Stops it; destroying it is the caller's.
template <class Store>
Task<> stop_store(Store& store, Report& report) {
  const Outcome stopped = co_await submit([&store](Completion& done) { return store.stop(done); });
  report.ok(stopped.status, "stop");
}

}  // namespace rideau
