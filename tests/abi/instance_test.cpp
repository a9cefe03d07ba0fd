// SPDX-License-Identifier: Apache-2.0
// Goal: a plugin that fails in create or start, or does not stop, gives a clear error and leaves the process whole
// (S62).
#include "framework/plugin_host/instance.hpp"
#include "framework/plugin_host/load.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace rideau;

namespace {

const PluginDescriptor& descriptor(const std::string& name) {
  const LoadResult loaded = load_plugin(std::string(ABI_PLUGINS) + "/rideau-" + name + ".so");
  INFO(loaded.message);
  REQUIRE(loaded.ok());
  return *loaded.descriptor;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Task<> start_and_stop(PluginInstance& instance, Status& started, Status& stopped) {
  started = co_await instance.start();
  if (started.ok()) stopped = co_await instance.stop();
}

}  // namespace

TEST_CASE("create that fails says what the plugin said") {
  RealRuntime runtime;
  MemoryLogger logger;
  PluginInstance instance(runtime, logger, descriptor("fails-in-create"), {.name = "oss0.index", .guarded = true});
  CHECK(instance.create(nullptr).code == Code::invalid);
  for (const char* part : {"fails-in-create", "oss0.index", "look at the folder", "the folder has the wrong colour"}) {
    CHECK(contains(instance.message(), part));
    CHECK(logger.contains(part));
  }
}

TEST_CASE("start that fails says what the plugin said, and the instance can be destroyed") {
  RealRuntime runtime;
  MemoryLogger logger;
  PluginInstance instance(runtime, logger, descriptor("fails-in-start"), {.name = "mds0.index", .guarded = true});
  REQUIRE(instance.create(nullptr).ok());
  Status started;
  Status stopped;
  runtime.run(start_and_stop(instance, started, stopped));
  CHECK(started.code == Code::io_error);
  CHECK(contains(instance.message(), "the moon is in the wrong phase"));
}

TEST_CASE("a plugin that does not stop is reported and left behind") {
  RealRuntime runtime;
  MemoryLogger logger;
  PluginInstance instance(runtime, logger, descriptor("slow-in-stop"),
                          {.name = "mds0.index", .guarded = true, .stop_ns_max = 20 * kMillisecond});
  REQUIRE(instance.create(nullptr).ok());
  Status started;
  Status stopped;
  runtime.run(start_and_stop(instance, started, stopped));
  CHECK(started.ok());
  CHECK(stopped.code == Code::timed_out);
  CHECK(contains(instance.message(), "slow-in-stop"));
  CHECK(contains(instance.message(), "did not stop in time"));
}

TEST_CASE("a good plugin starts and stops, with and without guard") {
  for (const bool guarded : {false, true}) {
    RealRuntime runtime;
    MemoryLogger logger;
    PluginInstance instance(runtime, logger, descriptor("good"), {.name = "mds0.index", .guarded = guarded});
    REQUIRE(instance.create(nullptr).ok());
    Status started{Code::busy};
    Status stopped{Code::busy};
    runtime.run(start_and_stop(instance, started, stopped));
    CHECK(started.ok());
    CHECK(stopped.ok());
  }
}
