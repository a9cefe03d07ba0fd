// SPDX-License-Identifier: Apache-2.0
#include "framework/observe/story.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

namespace rideau {
namespace {

constexpr std::size_t kLinesMax = 60;

struct Moment {
  const NodeEvents* node;
  const TraceEvent* event;
  std::int64_t wall_ns() const { return static_cast<std::int64_t>(event->time_ns) + node->wall_minus_clock_ns; }
};

bool begins_trace(const TraceEvent& event) { return event.kind == EventKind::request || event.kind == EventKind::call; }

bool ends(EventKind end, EventKind begin) {
  return (begin == EventKind::request && end == EventKind::request_end) ||
         (begin == EventKind::call && end == EventKind::call_end);
}

// Belongs to no request, and may hold up each of them.
bool is_beside(const TraceEvent& event) {
  switch (event.kind) {
    case EventKind::commit:
    case EventKind::commit_end:
    case EventKind::link:
    case EventKind::link_end:
    case EventKind::session_end:
      return true;
    default:
      return false;
  }
}

std::string line_of(const Moment& moment, std::int64_t begin_ns, std::int64_t before_ns,
                    const DescribeEvent& describe) {
  const std::int64_t at = moment.wall_ns();
  char times[64];
  std::snprintf(times, sizeof times, "%+12.3f ms %+10.3f  %-10s ", static_cast<double>(at - begin_ns) / 1e6,
                static_cast<double>(at - before_ns) / 1e6, moment.node->node.substr(0, 20).c_str());
  return times + std::string(is_beside(*moment.event) ? "  (beside) " : "") + describe(*moment.event) + "\n";
}

}  // namespace

std::vector<TraceSummary> slowest_traces(const std::vector<NodeEvents>& nodes, std::size_t count) {
  std::map<std::uint64_t, TraceSummary> traces;
  for (const NodeEvents& node : nodes) {
    for (const TraceEvent& event : node.events) {
      if (event.trace_id == 0) continue;
      const auto found = traces.find(event.trace_id);
      if (begins_trace(event) && (found == traces.end() || event.kind == EventKind::request)) {
        TraceSummary& trace = traces[event.trace_id];
        trace.trace_id = event.trace_id;
        trace.node = node.node;
        trace.first = event;
        trace.wall_ns = static_cast<std::int64_t>(event.time_ns) + node.wall_minus_clock_ns;
        trace.took_ns = node.events.back().time_ns - event.time_ns;
      } else if (found != traces.end() && found->second.node == node.node &&
                 ends(event.kind, found->second.first.kind)) {
        found->second.took_ns = event.time_ns - found->second.first.time_ns;
        found->second.ended = true;
      }
    }
  }
  std::vector<TraceSummary> all;
  for (auto& [id, trace] : traces) all.push_back(std::move(trace));
  const auto longer = [](const TraceSummary& a, const TraceSummary& b) { return a.took_ns > b.took_ns; };
  std::stable_sort(all.begin(), all.end(), longer);
  if (all.size() > count) all.resize(count);
  return all;
}

std::string tell_story(const std::vector<NodeEvents>& nodes, std::uint64_t trace_id, const DescribeEvent& describe) {
  std::vector<Moment> moments;
  std::vector<const NodeEvents*> involved;
  for (const NodeEvents& node : nodes) {
    for (const TraceEvent& event : node.events) {
      if (event.trace_id != trace_id) continue;
      moments.push_back({&node, &event});
      if (involved.empty() || involved.back() != &node) involved.push_back(&node);
    }
  }
  if (moments.empty()) return {};
  const auto earlier = [](const Moment& a, const Moment& b) { return a.wall_ns() < b.wall_ns(); };
  std::stable_sort(moments.begin(), moments.end(), earlier);
  const std::int64_t begin_ns = moments.front().wall_ns();
  const std::int64_t end_ns = moments.back().wall_ns();
  for (const NodeEvents* node : involved) {
    for (const TraceEvent& event : node->events) {
      const Moment moment{node, &event};
      if (is_beside(event) && moment.wall_ns() >= begin_ns && moment.wall_ns() <= end_ns) moments.push_back(moment);
    }
  }
  std::stable_sort(moments.begin(), moments.end(), earlier);

  std::string out;
  std::int64_t before_ns = begin_ns;
  std::int64_t longest_ns = -1;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const std::int64_t gap = moments[i].wall_ns() - before_ns;
    if (i > 0 && gap > longest_ns) {
      longest_ns = gap;
      longest = i;
    }
    const bool shown = moments.size() <= kLinesMax || i < kLinesMax / 2 || i + kLinesMax / 2 >= moments.size();
    if (shown) out += line_of(moments[i], begin_ns, before_ns, describe);
    if (!shown && i == kLinesMax / 2) {
      out += "      ... " + std::to_string(moments.size() - kLinesMax) + " more ...\n";
    }
    before_ns = moments[i].wall_ns();
  }
  if (longest > 0) {
    char text[64];
    std::snprintf(text, sizeof text, "longest pause: %.3f ms, ", static_cast<double>(longest_ns) / 1e6);
    out += text + std::string("from \"") + describe(*moments[longest - 1].event) + "\" at " +
           moments[longest - 1].node->node + " to \"" + describe(*moments[longest].event) + "\" at " +
           moments[longest].node->node + "\n";
  }
  for (const NodeEvents* node : involved) {
    if (node->lost != 0 && !node->events.empty() &&
        static_cast<std::int64_t>(node->events.front().time_ns) + node->wall_minus_clock_ns > begin_ns) {
      out += "node " + node->node + " has forgotten what came before its part of this\n";
    }
  }
  return out;
}

}  // namespace rideau
