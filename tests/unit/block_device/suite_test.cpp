// SPDX-License-Identifier: Apache-2.0
// Goal: the whole object suite over the store on a simulated device, in simulated time, where each of its kills is a
// power cut that keeps random sectors and loses the newest batches of the index.
#include "backends/block_device/map_records.hpp"
#include "framework/plugin_host/guards.hpp"
#include "framework/plugin_host/host.hpp"
#include "sdk/testkit/dice.hpp"
#include "sdk/testkit/indexed_objects.hpp"
#include "sdk/testkit/object_suite.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <array>

namespace rideau::block_device {
namespace {

// Instances on one pair of disks. Hosts and guards stay until the factory goes.
class SimFactory final : public ObjectFactory {
 public:
  SimFactory(Runtime& runtime, std::uint64_t seed, std::uint64_t small_object_max)
      : runtime_(runtime), dice_(seed), small_object_max_(small_object_max) {
    static_cast<void>(clear());
  }

  Result<ObjectStore*> make() override {
    if (!disk_->in_use() &&
        (disk_->unflushed_sectors() != 0 || index_disk_->batches_applied() != index_disk_->batches_durable())) {
      ++cuts_;
      disk_->power_cut([this](std::size_t) { return dice_.one_in(2); });
      index_disk_->power_cut(dice_.roll());
    }
    Instance* index = make_instance(sim::kSimIndexDescriptor, index_disk_.get(), nullptr);
    Instance* store = make_instance(sim::kSimBlockStoreDescriptor, disk_.get(), index);
    return new IndexedObjects(runtime_, static_cast<ObjectStore&>(*store), *index);
  }
  Status clear() override {
    old_disks_.push_back(std::move(disk_));
    old_index_disks_.push_back(std::move(index_disk_));
    disk_ = std::make_unique<sim::SimBlockDisk>(24 << 20);
    disk_->settings.small_object_max = small_object_max_;
    index_disk_ = std::make_unique<sim::SimIndexDisk>();
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return sim::kSimBlockStoreDescriptor.capabilities; }
  std::uint64_t cuts() const noexcept { return cuts_; }

 private:
  template <class Disk>
  Instance* make_instance(const PluginDescriptor& descriptor, Disk* disk, Instance* index) {
    hosts_.push_back(std::make_unique<NodeHost>(runtime_, log_, descriptor.name));
    guards_.push_back(std::make_unique<PluginGuard>(descriptor, descriptor.name, *hosts_.back(), runtime_));
    guards_.back()->allow_power_cut();
    if (index != nullptr) hosts_.back()->wire("index", PluginKind::index_store, *index);
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(disk));
    Instance* made = nullptr;
    REQUIRE(descriptor.create(guards_.back()->host(), &value, &made).ok());
    return &guards_.back()->wrap(*made);
  }

  Runtime& runtime_;
  Dice dice_;
  const std::uint64_t small_object_max_;
  NullLogger log_;
  std::uint64_t cuts_ = 0;
  std::unique_ptr<sim::SimBlockDisk> disk_;
  std::unique_ptr<sim::SimIndexDisk> index_disk_;
  std::vector<std::unique_ptr<sim::SimBlockDisk>> old_disks_;
  std::vector<std::unique_ptr<sim::SimIndexDisk>> old_index_disks_;
  std::vector<std::unique_ptr<NodeHost>> hosts_;
  std::vector<std::unique_ptr<PluginGuard>> guards_;
};

}  // namespace

TEST_CASE("the object suite passes over the store on a simulated device that loses and tears") {
  for (std::uint64_t seed = 1; seed <= 9; ++seed) {
    const std::uint64_t small_object_max = std::array<std::uint64_t, 3>{4096, kSmallBytesMax, 0}[seed % 3];
    sim::SimWorld world(seed);
    sim::SimRuntime runtime(world, "objects");
    SimFactory factory(runtime, seed, small_object_max);
    Report report;
    bool ended = false;
    auto body = [](Runtime& node, ObjectFactory& instances, std::uint64_t first, Report& results,
                   bool& flag) -> Task<> {
      co_await run_object_suite(node, instances, first, results);
      flag = true;
    };
    TaskGroup group(runtime);
    group.spawn(body(runtime, factory, seed, report, ended));
    CHECK(world.run_until([&] { return ended; }, 36'000 * kSecond) == sim::SimWorld::End::done);
    for (const Rule& rule : report.rules()) {
      if (rule.verdict == Verdict::failed) FAIL_CHECK("seed " << seed << ", " << rule.name << ":\n" << rule.detail);
    }
    CHECK(report.count(Verdict::unsupported) == 0);
    // Without cuts that lose something this would prove little. Where nearly all is small, memory alone is lost.
    if (small_object_max != kSmallBytesMax) CHECK(factory.cuts() > 10);
  }
}

}  // namespace rideau::block_device
