// SPDX-License-Identifier: Apache-2.0
// A dump is a line of text, "rideau-events 1 NODE WALL_MINUS_CLOCK LOST COUNT", and COUNT events as they lie in memory
// of a little-endian machine.
#include "framework/observe/event_ring.hpp"

#include "framework/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <sstream>

namespace rideau {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr char kMagic[] = "rideau-events";
constexpr std::size_t kHeadBytesMax = 1024;
constexpr std::size_t kEventsMax = 16 << 20;

}  // namespace

// Not touched before it is used: the system gives the memory page by page.
EventRing::EventRing(Runtime& runtime, std::size_t events)
    : runtime_(runtime), capacity_(events), ring_(std::make_unique_for_overwrite<TraceEvent[]>(events)) {
  RIDEAU_ASSERT(std::has_single_bit(events));
}

std::vector<TraceEvent> EventRing::events() const {
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(added_, capacity_));
  std::vector<TraceEvent> all;
  all.reserve(count);
  for (std::uint64_t i = added_ - count; i < added_; ++i) {
    all.push_back(ring_[static_cast<std::size_t>(i) & (capacity_ - 1)]);
  }
  return all;
}

std::string EventRing::dump(std::string_view node) const {
  const std::vector<TraceEvent> all = events();
  const std::int64_t offset =
      static_cast<std::int64_t>(runtime_.wall_ns()) - static_cast<std::int64_t>(runtime_.now_ns());
  std::string out = std::string(kMagic) + " 1 " + std::string(node) + " " + std::to_string(offset) + " " +
                    std::to_string(added_ - all.size()) + " " + std::to_string(all.size()) + "\n";
  out.append(reinterpret_cast<const char*>(all.data()), all.size() * sizeof(TraceEvent));
  return out;
}

bool decode_events(std::string_view dump, std::vector<NodeEvents>* out, std::string* why) {
  while (!dump.empty()) {
    const std::size_t end = dump.substr(0, kHeadBytesMax).find('\n');
    std::istringstream head(std::string(dump.substr(0, end == std::string_view::npos ? 0 : end)));
    std::string magic;
    int version = 0;
    std::size_t count = 0;
    NodeEvents node;
    if (!(head >> magic >> version >> node.node >> node.wall_minus_clock_ns >> node.lost >> count) || magic != kMagic) {
      *why = "these are no events of a Rideau node";
      return false;
    }
    if (version != 1) {
      *why = "events of version " + std::to_string(version) + ", which this program does not know";
      return false;
    }
    dump.remove_prefix(end + 1);
    if (count > kEventsMax || dump.size() < count * sizeof(TraceEvent)) {
      *why = "the events of node " + node.node + " end in the middle";
      return false;
    }
    node.events.resize(count);
    if (count > 0) std::memcpy(node.events.data(), dump.data(), count * sizeof(TraceEvent));
    dump.remove_prefix(count * sizeof(TraceEvent));
    out->push_back(std::move(node));
  }
  return true;
}

}  // namespace rideau
