// SPDX-License-Identifier: Apache-2.0
// What happened to one request, told from the event rings of all nodes: each message, wait and answer that carries its
// trace id, in order, with what went on beside it that may have held it up. Times are those of the nodes' wall clocks:
// between machines they are as good as their clocks agree.
#pragma once

#include "framework/observe/event_ring.hpp"

#include <functional>

namespace rideau {

// What an event was about, in words: "create of 12", "make to target 1". The framework knows no methods.
using DescribeEvent = std::function<std::string(const TraceEvent& event)>;

struct TraceSummary {
  std::uint64_t trace_id = 0;
  std::string node;          // where it began
  TraceEvent first;          // a request of the kernel, or a call
  std::int64_t wall_ns = 0;  // when
  std::uint64_t took_ns = 0;
  bool ended = false;  // otherwise so far, up to the newest event of its node
};

// Requests and calls that belong to none, longest first, at most `count`.
std::vector<TraceSummary> slowest_traces(const std::vector<NodeEvents>& nodes, std::size_t count);

// One page. Empty: no event of that trace.
std::string tell_story(const std::vector<NodeEvents>& nodes, std::uint64_t trace_id, const DescribeEvent& describe);

}  // namespace rideau
