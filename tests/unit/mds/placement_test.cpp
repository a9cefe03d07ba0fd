// SPDX-License-Identifier: Apache-2.0
// Goal: new files take turns on object targets; where one has notably more room it gets more of them, and a full one
// gets none while others have room. Whoever wishes for a place gets it.
#include "tests/unit/mds/fixture.hpp"

#include <map>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

constexpr std::uint64_t kGiB = 1ull << 30;

struct Placed {
  Placed() { options.object_targets = {11, 12, 13, 14}; }
  // How many of so many files have their first stripe on each target.
  std::map<TargetId, int> firsts(int files, const LayoutDefault& wish = {}) {
    std::map<TargetId, int> found;
    for (int turn = 0; turn < files; ++turn)
      ++found[placement.choose(wish, "", static_cast<std::uint64_t>(turn)).targets[0]];
    return found;
  }
  void tell(std::initializer_list<std::uint64_t> gibibytes) {
    TargetId target = 11;
    for (const std::uint64_t free : gibibytes) placement.tell_free(target++, free * kGiB);
  }
  sim::SimWorld world{1};
  Options options;
  sim::SimRuntime runtime{world, "mds"};
  DrainTable drains;
  Placement placement{runtime, options, drains};
};

}  // namespace

TEST_CASE("files take turns where targets have about the same room, or did not tell", "[mds]") {
  Placed p;
  const std::map<TargetId, int> even{{11, 100}, {12, 100}, {13, 100}, {14, 100}};
  CHECK(p.firsts(400) == even);
  p.tell({100, 90, 95, 85});
  CHECK(p.firsts(400) == even);
  p.tell({100, 1, 1, 1});
  p.placement.forget_free(12);
  CHECK(p.firsts(400) == even);
}

TEST_CASE("who has more room gets more files", "[mds]") {
  Placed p;
  p.tell({100, 200, 300, 400});
  const std::map<TargetId, int> found = p.firsts(1000);
  for (const TargetId target : {11u, 12u, 13u, 14u}) {
    INFO("target " << target << ": " << found.at(target));
    CHECK(found.at(target) >= static_cast<int>(target - 10) * 100 - 5);
    CHECK(found.at(target) <= static_cast<int>(target - 10) * 100 + 5);
  }
}

TEST_CASE("a full target is passed over while enough others are left", "[mds]") {
  Placed p;
  p.tell({100, 0, 100, 0});
  LayoutDefault two;
  two.stripe_count = 2;
  LayoutDefault three;
  three.stripe_count = 3;
  for (std::uint64_t turn = 0; turn < 50; ++turn) {
    const Layout pair = p.placement.choose(two, "", turn);
    CHECK(std::set<TargetId>(pair.targets.begin(), pair.targets.end()) == std::set<TargetId>{11, 13});
    const Layout triple = p.placement.choose(three, "", turn);
    CHECK(std::set<TargetId>(triple.targets.begin(), triple.targets.end()).size() == 3);
  }
  LayoutDefault wished;
  wished.stripe_offset = 1;
  CHECK(p.placement.choose(wished, "", 5).targets == std::vector<TargetId>{12});
}

TEST_CASE("free space is asked for when it matters, and seldom", "[mds]") {
  Fixture f;
  f.begin();
  const auto pass = [&f](std::uint64_t seconds) {
    f.world.run_until([] { return false; }, f.world.now_ns() + seconds * kSecond);
  };
  pass(60);
  CHECK(f.destroyer.asked_for_space == 0);
  f.destroyer.free = {{11, kGiB}, {12, kGiB}, {13, 0}};
  f.file(kRootInode, "first");
  pass(1);
  CHECK(f.destroyer.asked_for_space == 3);
  for (int i = 0; i < 20; ++i) {
    const InodeId inode = f.file(kRootInode, "file" + std::to_string(i));
    CHECK(f.stat(inode).layout.targets != std::vector<TargetId>{13});
  }
  pass(30);
  CHECK(f.destroyer.asked_for_space == 6);
}
