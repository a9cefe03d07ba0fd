// SPDX-License-Identifier: Apache-2.0
// The newest events of one node, in binary: what was asked, sent, answered, committed, and when. Always on: an event is
// a reading of the clock and 40 bytes in a ring that is as large from the start as it gets. `rideau trace` makes a
// story of the rings of all nodes; each event carries the trace id of the request that it belongs to.
#pragma once

#include "framework/runtime/runtime.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

// Numbers are part of the format of a dump: new ones at the end.
enum class EventKind : std::uint16_t {
  request = 1,       // of the kernel begins. method: FUSE's opcode, subject: inode
  request_end = 2,   // status: errno
  call = 3,          // sent to a target. subject: session
  call_again = 4,    // over a new link
  call_end = 5,      // status: Code, as with all that follow
  served = 6,        // a call arrived here. subject: session of the caller
  served_end = 7,    // its answer leaves
  callback = 8,      // sent to the client of a session. subject: session
  callback_end = 9,  // its answer came, or the session ended
  asked = 10,        // a callback of the target arrived here. subject: session
  asked_end = 11,
  commit = 12,  // a group goes to the index. subject: its last transaction
  commit_end = 13,
  link = 14,  // to a target is up. subject: session
  link_end = 15,
  session_end = 16,  // here, of a client. subject: session
};

struct TraceEvent {
  std::uint64_t time_ns = 0;   // of the node's monotonic clock
  std::uint64_t trace_id = 0;  // 0: belongs to no request
  std::uint64_t subject = 0;
  std::uint32_t target = 0;  // of the call, callback, commit
  EventKind kind{};
  std::uint16_t method = 0;
  std::uint32_t status = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(TraceEvent) == 40);

// One thread: that of the node.
class EventRing {
 public:
  static constexpr std::size_t kEvents = 32 * 1024;

  explicit EventRing(Runtime& runtime, std::size_t events = kEvents);  // a power of two

  // event.time_ns is set here.
  void add(TraceEvent event) noexcept {
    event.time_ns = runtime_.now_ns();
    ring_[static_cast<std::size_t>(added_++) & (capacity_ - 1)] = event;
  }
  std::uint64_t added() const noexcept { return added_; }
  std::vector<TraceEvent> events() const;  // oldest first
  // For decode_events(), here or on another machine.
  std::string dump(std::string_view node) const;

 private:
  Runtime& runtime_;
  std::size_t capacity_;
  std::unique_ptr<TraceEvent[]> ring_;
  std::uint64_t added_ = 0;
};

// What a node dumped.
struct NodeEvents {
  std::string node;
  std::int64_t wall_minus_clock_ns = 0;  // added to an event's time: nanoseconds since 1970 by the node's wall clock
  std::uint64_t lost = 0;                // older events that the ring has no room for
  std::vector<TraceEvent> events;
};

// Appends the nodes of one dump, or of several behind each other. False, with a reason, when it is none.
bool decode_events(std::string_view dump, std::vector<NodeEvents>* out, std::string* why);

}  // namespace rideau
