// SPDX-License-Identifier: Apache-2.0
// What the two ends of a link share. The ends may belong to nodes with different threads, so everything here is reached
// under one mutex, which is held for copies of memory and never while events are delivered.
#pragma once

#include "limits.hpp"
#include "message.hpp"
#include "rideau/driver/regions.hpp"
#include "rideau/host.hpp"

#include <cstdint>
#include <deque>
#include <mutex>

namespace rideau::inproc {

class InprocLink;

struct End {
  InprocLink* link = nullptr;  // null: not accepted yet, or its node has gone
  Host* host = nullptr;        // of the link
  std::uint64_t hold_bytes = 0;
  std::deque<Message*> inbox;    // arrived, not delivered
  std::deque<Outgoing> waiting;  // sends of this end that the peer has no room for
  std::uint64_t held = 0;        // bytes of the inbox and of heads that are lent to the host
  Message* landing = nullptr;    // being delivered, its payload still lent by the peer
  bool delivery_queued = false;  // the link's turn to deliver is on its way
  driver::RegionTable regions{kRegionsMax};
};

struct Pipe {
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe();

  // All under the mutex.
  bool has_room(const End& end, const Outgoing& outgoing) const noexcept;
  void put(End& to, const Outgoing& outgoing);
  void queue_delivery(End& end) noexcept;
  // Bytes of `end` were given back: what waited for room arrives.
  void give_room(End& end, std::uint64_t bytes);
  // Takes back a send of that end of which nothing was delivered.
  bool cancel(std::size_t sender, std::uint64_t id) noexcept;
  // Nothing passes any more; everything that is pending completes, then both links hear of it. The closer hears
  // nothing of what is in its inbox.
  void close(std::size_t closer, Status to_closer, Status to_peer) noexcept;
  static void complete(End& end, Completion* done, Status status) noexcept;

  std::mutex mutex;
  bool closed = false;
  End ends[2];

 private:
  void end_sends(End& sender, End& receiver, bool drop_all) noexcept;
};

}  // namespace rideau::inproc
