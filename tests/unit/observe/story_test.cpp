// SPDX-License-Identifier: Apache-2.0
// Goal: a ring keeps its newest events, a dump is read back as it was and nothing else is taken for one, and a story
// tells one request over several nodes in the order of time, with the pause that took longest.
#include "framework/observe/story.hpp"

#include "framework/observe/log.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

namespace rideau {
namespace {

TraceEvent event(std::uint64_t time_ns, std::uint64_t trace, EventKind kind, std::uint16_t method = 0) {
  return {.time_ns = time_ns, .trace_id = trace, .kind = kind, .method = method};
}

std::string number_of(const TraceEvent& event) { return std::to_string(static_cast<int>(event.kind)); }

// One request of node "a", served at "b", whose clock began 100,000 ns earlier.
std::vector<NodeEvents> two_nodes() {
  NodeEvents a{"a", 5'000'000, 0, {}};
  a.events = {event(100, 7, EventKind::request), event(150, 8, EventKind::request), event(200, 7, EventKind::call),
              event(9'000'200, 7, EventKind::call_end), event(9'000'300, 7, EventKind::request_end)};
  NodeEvents b{"b", 4'900'000, 0, {}};
  b.events = {event(50, 0, EventKind::commit), event(2'000'000, 7, EventKind::served),
              event(2'500'000, 0, EventKind::commit), event(7'900'000, 7, EventKind::served_end)};
  return {b, a};
}

TEST_CASE("a ring keeps its newest events, oldest first, with growing times") {
  RealRuntime runtime;
  EventRing ring(runtime, 8);
  NullLogger log;
  log.note({.subject = 1000});  // nowhere
  log.set_events(&ring);
  for (std::uint64_t i = 0; i < 21; ++i) log.note({.subject = i});
  const std::vector<TraceEvent> events = ring.events();
  REQUIRE(events.size() == 8);
  CHECK(ring.added() == 21);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(events[i].subject == 13 + i);
    if (i > 0) CHECK(events[i].time_ns >= events[i - 1].time_ns);
  }
}

TEST_CASE("dumps behind each other are read back; what is cut off or strange is refused") {
  RealRuntime runtime;
  EventRing ring(runtime, 4);
  for (std::uint64_t i = 0; i < 5; ++i) ring.add({.trace_id = 40 + i, .kind = EventKind::commit, .status = 3});
  const std::string dump = ring.dump("mds0") + EventRing(runtime, 4).dump("oss0");
  std::vector<NodeEvents> nodes;
  std::string why;
  REQUIRE(decode_events(dump, &nodes, &why));
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].node == "mds0");
  CHECK(nodes[0].lost == 1);
  REQUIRE(nodes[0].events.size() == 4);
  CHECK(nodes[0].events[3].trace_id == 44);
  CHECK(nodes[0].events[3].status == 3);
  CHECK(nodes[1].node == "oss0");
  CHECK(nodes[1].events.empty());

  const std::string first = ring.dump("mds0");
  for (std::size_t size = 1; size < first.size(); ++size) {
    nodes.clear();
    CHECK_FALSE(decode_events(std::string_view(first).substr(0, size), &nodes, &why));
  }
  CHECK_FALSE(decode_events("rideau-events 2 a 0 0 0\n", &nodes, &why));
  CHECK_FALSE(decode_events("rideau-events 1 a 0 0 99999999999\n", &nodes, &why));
  CHECK_FALSE(decode_events("<html>", &nodes, &why));
}

TEST_CASE("a story is in the order of time, names the longest pause and what went on beside") {
  const std::string story = tell_story(two_nodes(), 7, number_of);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < story.size(); at = story.find('\n', at) + 1) {
    lines.push_back(story.substr(at, story.find('\n', at) - at));
  }
  REQUIRE(lines.size() == 8);
  const int kinds[] = {1, 3, 6, 12, 7, 5, 2};  // the commit that ended before it began is not told
  for (std::size_t i = 0; i < 7; ++i) {
    const std::string kind = std::to_string(kinds[i]);
    CHECK(lines[i].substr(lines[i].size() - kind.size() - 1) == " " + kind);
  }
  CHECK(lines[3].find("(beside)") != std::string::npos);
  CHECK(lines[7].find("longest pause: 5.400 ms, from \"12\" at b to \"7\" at b") != std::string::npos);
  CHECK(tell_story(two_nodes(), 9, number_of).empty());
}

TEST_CASE("the slowest come first; what has no answer counts up to the newest event of its node") {
  const std::vector<TraceSummary> all = slowest_traces(two_nodes(), 10);
  REQUIRE(all.size() == 2);
  CHECK(all[0].trace_id == 7);
  CHECK(all[0].ended);
  CHECK(all[0].took_ns == 9'000'200);
  CHECK(all[0].node == "a");
  CHECK(all[0].wall_ns == 5'000'100);
  CHECK(all[1].trace_id == 8);
  CHECK_FALSE(all[1].ended);
  CHECK(slowest_traces(two_nodes(), 1).size() == 1);
}

TEST_CASE("a page has a bounded number of lines") {
  NodeEvents node{"a", 0, 5, {}};
  for (std::uint64_t i = 0; i < 1000; ++i) node.events.push_back(event(1000 + i, 1, EventKind::call_again));
  const std::string story = tell_story({node}, 1, number_of);
  CHECK(std::count(story.begin(), story.end(), '\n') < 70);
  CHECK(story.find("940 more") != std::string::npos);
}

}  // namespace
}  // namespace rideau
