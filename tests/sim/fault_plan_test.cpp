// SPDX-License-Identifier: Apache-2.0
// Plans of faults follow from the seed; the words of the command line name what they say; shrinking finds what matters.
#include "tests/sim/fault_plan.hpp"
#include "tests/sim/shrink.hpp"

#include <catch2/catch.hpp>

namespace rideau::sim {

TEST_CASE("a plan follows from the seed, and has only what was asked for") {
  FaultKinds kinds;
  REQUIRE(parse_faults("links,kills", &kinds));
  REQUIRE(to_text(kinds) == "links,kills");
  std::set<FaultKind> seen;
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    const FaultPlan plan = make_fault_plan(seed, kinds);
    const FaultPlan again = make_fault_plan(seed, kinds);
    REQUIRE(plan.faults.size() == again.faults.size());
    for (std::size_t i = 0; i < plan.faults.size(); ++i) {
      REQUIRE(to_text(plan.faults[i]) == to_text(again.faults[i]));
      seen.insert(plan.faults[i].kind);
    }
  }
  REQUIRE(seen == std::set<FaultKind>{FaultKind::links, FaultKind::kills});
  REQUIRE_FALSE(parse_faults("links,earthquakes", &kinds));
  REQUIRE(make_fault_plan(1, FaultKinds{}).faults.empty());
}

TEST_CASE("numbers of faults and calls are written as they are read") {
  for (const char* text : {"0", "0-3,7", "none", "2,4,6-9"}) {
    std::set<std::uint32_t> numbers;
    REQUIRE(parse_numbers(text, &numbers));
    REQUIRE(to_text(numbers) == text);
  }
  std::set<std::uint32_t> numbers;
  for (const char* text : {"", "x", "3-1", "1,,2", "1;2"}) REQUIRE_FALSE(parse_numbers(text, &numbers));
}

TEST_CASE("a failure shrinks to what it needs, and no other failure takes its place") {
  SeedResult failed;
  failed.faults_planned = 6;
  failed.calls_planned = 100;
  failed.problem = "bytes are wrong: [17 to 18] read";
  const auto has = [](const std::set<std::uint32_t>& only, std::uint32_t number) {
    return only.empty() || only.count(number) != 0;
  };
  const auto run = [&](const RunOptions& how) -> std::string {
    const bool needed = has(how.only_faults, 2) && has(how.only_calls, 40) && has(how.only_calls, 77);
    if (needed) return "bytes are wrong: [1 to 2] read";
    return has(how.only_faults, 3) ? "stuck" : "";
  };
  const Shrunk shrunk = shrink(RunOptions{}, failed, 500, run);
  REQUIRE(to_text(shrunk.how.only_faults) == "2");
  REQUIRE(to_text(shrunk.how.only_calls) == "40,77");
  REQUIRE(shrunk.faults == 1);
  REQUIRE(shrunk.calls == 2);
  REQUIRE(kind_of("names are not linearizable: after 12 of 50 calls\nx") ==
          kind_of("names are not linearizable: after 3 of 7 calls\ny"));
}

}  // namespace rideau::sim
