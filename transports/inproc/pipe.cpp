// SPDX-License-Identifier: Apache-2.0
#include "pipe.hpp"

#include "link.hpp"

#include <algorithm>
#include <utility>

namespace rideau::inproc {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};

}  // namespace

Pipe::~Pipe() {
  for (End& end : ends) {
    for (Message* message : end.inbox) Message::drop(message);
  }
}

void Pipe::complete(End& end, Completion* done, Status status) noexcept {
  if (done == nullptr || end.host == nullptr) return;
  end.host->complete(*done, status, 0);
}

// An end that holds nothing takes a message of any size, so that none can wait for ever.
bool Pipe::has_room(const End& end, const Outgoing& outgoing) const noexcept {
  return end.held == 0 || end.held + outgoing.held_bytes() <= end.hold_bytes;
}

void Pipe::put(End& to, const Outgoing& outgoing) {
  to.held += outgoing.held_bytes();
  to.inbox.push_back(Message::make(outgoing));
  queue_delivery(to);
}

void Pipe::queue_delivery(End& end) noexcept {
  if (end.link == nullptr || end.delivery_queued) return;
  end.delivery_queued = true;
  end.link->deliver_later();
}

void Pipe::give_room(End& end, std::uint64_t bytes) {
  end.held -= bytes;
  End& sender = ends[&end == &ends[0] ? 1 : 0];
  while (!closed && !sender.waiting.empty() && has_room(end, sender.waiting.front())) {
    const Outgoing next = sender.waiting.front();
    sender.waiting.pop_front();
    put(end, next);
    if (!next.stays_lent()) complete(sender, next.done, kOk);
  }
}

bool Pipe::cancel(std::size_t sender, std::uint64_t id) noexcept {
  End& own = ends[sender];
  End& peer = ends[1 - sender];
  const auto waits =
      std::find_if(own.waiting.begin(), own.waiting.end(), [id](const Outgoing& o) { return o.id == id; });
  if (waits != own.waiting.end()) {
    own.waiting.erase(waits);
    give_room(peer, 0);  // what stood behind it may fit
    return true;
  }
  const auto arrived = std::find_if(peer.inbox.begin(), peer.inbox.end(), [id](Message* message) {
    return message->outgoing.id == id && message->outgoing.done != nullptr;
  });
  if (arrived == peer.inbox.end()) return false;
  Message* taken = *arrived;
  peer.inbox.erase(arrived);
  const std::uint64_t bytes = taken->outgoing.held_bytes();
  Message::drop(taken);
  give_room(peer, bytes);
  return true;
}

// What the receiver has whole, it may still be given.
void Pipe::end_sends(End& sender, End& receiver, bool drop_all) noexcept {
  std::deque<Message*> kept;
  for (Message* message : receiver.inbox) {
    const bool lent = message->outgoing.done != nullptr;
    if (lent) complete(sender, message->outgoing.done, kClosed);
    if (!lent && !drop_all) {
      kept.push_back(message);
    } else {
      receiver.held -= message->outgoing.held_bytes();
      Message::drop(message);
    }
  }
  receiver.inbox.swap(kept);
  if (receiver.landing != nullptr) {
    complete(sender, std::exchange(receiver.landing->outgoing.done, nullptr), kClosed);
    receiver.landing = nullptr;
  }
  for (const Outgoing& outgoing : sender.waiting) complete(sender, outgoing.done, kClosed);
  sender.waiting.clear();
}

void Pipe::close(std::size_t closer, Status to_closer, Status to_peer) noexcept {
  if (std::exchange(closed, true)) return;
  End& own = ends[closer];
  End& peer = ends[1 - closer];
  end_sends(own, peer, false);
  end_sends(peer, own, true);
  if (own.link != nullptr) own.link->die_later(to_closer);
  if (peer.link != nullptr) peer.link->die_later(to_peer);
}

}  // namespace rideau::inproc
