// SPDX-License-Identifier: Apache-2.0
// Goal: the guards find nothing in drivers that keep the contract. Every driver, and the example of the SDK, passes the
// suite of its interface with a guard around each instance; a broken rule would end this program.
#include "backends/lmdb/plugin.hpp"
#include "backends/raw_file/plugin.hpp"
#include "framework/config/plugin_values.hpp"
#include "framework/plugin_host/guards.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/plugin_host/load.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/index_suite.hpp"
#include "sdk/testkit/object_suite.hpp"
#include "sdk/testkit/transport_suite.hpp"
#include "transports/tcp/descriptor.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

namespace rideau {
namespace {

// Instances of one plugin under guards. Hosts and guards stay until the factory goes, as an instance may be destroyed
// while a job of it still runs.
template <class Base, class Interface>
class GuardedFactory : public Base {
 public:
  GuardedFactory(Runtime& runtime, const PluginDescriptor& descriptor, std::vector<RawValue> settings)
      : runtime_(runtime), descriptor_(descriptor) {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-guarded-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    PluginChoice choice;
    choice.key = "test";
    choice.default_path = folder_ + "/store";
    choice.values = std::move(settings);
    std::vector<Problem> problems;
    check_plugin_values(descriptor, choice, "settings", folder_, &values_, &problems);
    INFO(to_text(problems));
    REQUIRE(problems.empty());
  }
  ~GuardedFactory() override { std::filesystem::remove_all(folder_); }

  Result<Interface*> make() override {
    hosts_.push_back(std::make_unique<NodeHost>(runtime_, logger_, "guarded"));
    guards_.push_back(std::make_unique<PluginGuard>(descriptor_, "guarded", *hosts_.back(), runtime_));
    guards_.back()->allow_power_cut();
    Instance* made = nullptr;
    const Status status = descriptor_.create(guards_.back()->host(), values_.data(), &made);
    if (!status.ok()) return status;
    return static_cast<Interface*>(&guards_.back()->wrap(*made));
  }
  Status clear() override {
    std::filesystem::remove_all(folder_ + "/store");
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return descriptor_.capabilities; }

 private:
  Runtime& runtime_;
  MemoryLogger logger_;
  const PluginDescriptor& descriptor_;
  std::string folder_;
  PluginValues values_;
  std::vector<std::unique_ptr<NodeHost>> hosts_;
  std::vector<std::unique_ptr<PluginGuard>> guards_;
};

using GuardedIndexFactory = GuardedFactory<IndexFactory, IndexStore>;
using GuardedObjectFactory = GuardedFactory<ObjectFactory, ObjectStore>;

class GuardedTransportFactory final : public GuardedFactory<TransportFactory, Transport> {
 public:
  using GuardedFactory::GuardedFactory;
  // For the half of the suite that disturbs links, which is not run here.
  Result<GatedTransport> make_gated() override { return Status{Code::unsupported, 0, "guards alone"}; }
  std::string listen_address() const override { return "127.0.0.1:0"; }
};

RawValue text_value(const char* key, const char* text) {
  RawValue value;
  value.key = key;
  value.text = text;
  return value;
}

RawValue switched_off(const char* key) {
  RawValue value;
  value.key = key;
  value.kind = RawValue::Kind::boolean;
  return value;
}

void report_on(const Report& report) {
  report.print(stdout);
  CHECK(report.exit_status() == 0);
}

}  // namespace

TEST_CASE("lmdb under guards") {
  RealRuntime runtime;
  GuardedIndexFactory factory(runtime, lmdb::kDescriptor, {text_value("map_size", "4 MiB")});
  Report report;
  runtime.run(run_index_suite(runtime, factory, 11, report));
  report_on(report);
}

TEST_CASE("the example under guards") {
  const LoadResult loaded = load_plugin(ABI_PLUGINS "/rideau-minimal.so", PluginKind::index_store);
  INFO(loaded.message);
  REQUIRE(loaded.ok());
  RealRuntime runtime;
  GuardedIndexFactory factory(runtime, *loaded.descriptor, {text_value("bytes_max", "4 MiB")});
  Report report;
  runtime.run(run_index_suite(runtime, factory, 12, report));
  report_on(report);
}

TEST_CASE("raw-file under guards") {
  RealRuntime runtime;
  GuardedObjectFactory factory(runtime, raw_file::kDescriptor, {switched_off("checksums")});
  Report report;
  runtime.run(run_object_suite(runtime, factory, 13, report));
  report_on(report);
}

TEST_CASE("tcp under guards") {
  RealRuntime runtime;
  GuardedTransportFactory factory(runtime, tcp::kDescriptor, {});
  Report report;
  runtime.run(run_transport_suite(runtime, factory, 14, report));
  report_on(report);
}

}  // namespace rideau
