// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/transport_exchange.hpp"

#include <algorithm>
#include <utility>

namespace rideau::transport_suite {
namespace {

constexpr std::size_t kAround = 64;  // bytes on each side of a place
constexpr std::uint8_t kUntouched = 0x5a;

}  // namespace

Exchange::Exchange(Stage& stage, Bytes bytes, std::size_t bulk_bytes)
    : stage_(stage),
      bytes_(bytes),
      bulk_bytes_(bulk_bytes),
      accepted_before_(stage.acceptor.peers.size()),
      near_(&stage.add_peer()) {
  stage.acceptor.take = Peer::Take::larger;
  near_->take = Peer::Take::larger;
  for (Place* place : {&for_pull_, &for_push_, &pulled_}) make_place(*place);
}

void Exchange::make_place(Place& place) {
  place.memory.assign(bulk_bytes_ + 2 * kAround, kUntouched);
  place.expected = random_bytes(stage_.dice, bulk_bytes_);
  std::copy(place.expected.begin(), place.expected.end(), place.memory.begin() + kAround);
  place.part = {place.memory.data() + kAround, bulk_bytes_};
}

// Of a disturbed exchange before this one, a link may be accepted only now: what came on it tells.
bool Exchange::find_far() {
  const auto& accepted = stage_.acceptor.peers;
  for (std::size_t i = accepted.size(); i > accepted_before_ && far_ == nullptr; --i) {
    Peer& peer = *accepted[i - 1];
    if (peer.inbox.empty()) continue;
    if (bytes_ == Bytes::any || peer.inbox.front().head == near_sent_.front().head) far_ = &peer;
  }
  return far_ != nullptr;
}

template <class Predicate>
bool Exchange::all_accepted(Predicate holds) const {
  const auto& accepted = stage_.acceptor.peers;
  return std::all_of(accepted.begin() + static_cast<std::ptrdiff_t>(accepted_before_), accepted.end(),
                     [&](const auto& peer) { return holds(*peer); });
}

bool Exchange::over() const {
  return near_->closed || (far_ != nullptr && far_->closed) || (enough_ != nullptr && enough_());
}

Task<Status> Exchange::connect(const std::string& address) {
  Transport& near = stage_.near();
  Link* link = nullptr;
  Calls calls;
  Calls::Call& call = calls.start([&](Completion& c) { return near.connect(Text(address), *near_, &link, c); });
  const bool ended = co_await until([&] { return call.over(); });
  if (!ended) near.cancel(call);
  const auto over = [&] { return call.over(); };
  const bool completes = co_await stage_.eventually(over);
  stage_.report.check(completes && calls.fault.empty(), "a connect completes once");
  if (!completes) {  // the place of its link is lent until then
    stage_.spoiled = true;
    co_return Status{Code::timed_out, 0, "connect"};
  }
  if (call.status.ok()) near_->link = link;
  co_return call.status;
}

Task<bool> Exchange::until(std::function<bool()> condition) {
  for (std::uint64_t i = 0; i < 40 * stage_.factory.patience_ns() / kMillisecond; ++i) {
    if (condition()) co_return true;
    if (over()) co_return false;
    if (i % 4 != 3) {
      co_await yield_now(stage_.runtime);
    } else {
      co_await sleep_for(stage_.runtime, 50 * kMicrosecond);
    }
  }
  co_return false;
}

void Exchange::send(Peer& from, Calls& calls, std::size_t head_bytes, std::size_t eager_bytes,
                    std::deque<Received>& sent) {
  send(from, calls, random_bytes(stage_.dice, head_bytes), random_bytes(stage_.dice, eager_bytes), sent);
}

void Exchange::send(Peer& from, Calls& calls, Buffer head, Buffer eager, std::deque<Received>& sent) {
  sent.push_back({head, eager, eager.size()});
  buffers_.push_back(std::move(head));
  parts_.push_back(whole(buffers_.back()));
  const IoVec* head_part = &parts_.back();
  buffers_.push_back(std::move(eager));
  parts_.push_back(whole(buffers_.back()));
  const IoVec* eager_part = &parts_.back();
  const std::uint32_t eager_parts = eager_part->size == 0 ? 0 : 1;
  Link& link = *from.link;
  calls.start([&](Completion& c) { return link.send(head_part, 1, eager_part, eager_parts, c); });
}

bool Exchange::lend() {
  const struct {
    Place& place;
    std::uint32_t access;
  } wanted[] = {{for_pull_, kAccessPull}, {for_push_, kAccessPush}};
  Buffer keys;
  for (const auto& one : wanted) {
    Place& place = one.place;
    const Status lent = far_->link->lend(&place.part, 1, one.access, &place.region, &place.key);
    if (!lent.ok()) return false;
    keys.insert(keys.end(), place.key.bytes, place.key.bytes + place.key.size);
  }
  send(*far_, far_calls_, std::move(keys), {}, far_sent_);
  return true;
}

Task<bool> Exchange::talk(std::string address, std::function<bool()> enough) {
  enough_ = std::move(enough);
  const Status connected = co_await connect(address);
  connected_ = connected.ok();
  if (!connected_) co_return false;
  Link* link = near_->link;
  send(*near_, near_calls_, 40, std::min<std::size_t>(100, stage_.near().limits().eager_bytes_max), near_sent_);
  bool goes_on = co_await until([&] { return find_far(); });
  if (!goes_on || far_dead_) co_return false;
  send(*far_, far_calls_, 24, 0, far_sent_);
  if (!lend()) co_return false;
  goes_on = co_await until([&] { return near_->inbox.size() >= 2; });
  if (!goes_on) co_return false;

  pull_ = &near_calls_.start([&](Completion& c) { return link->pull(for_pull_.key, 0, &pulled_.part, 1, c); });
  pushed_ = random_bytes(stage_.dice, bulk_bytes_);
  parts_.push_back(whole(pushed_));
  const IoVec* from = &parts_.back();
  push_ = &near_calls_.start([&](Completion& c) { return link->push(for_push_.key, 0, from, 1, c); });
  goes_on = co_await until([&] { return pull_->over() && push_->over(); });
  if (!goes_on || !pull_->status.ok() || !push_->status.ok()) co_return false;
  send(*near_, near_calls_, 16, 0, near_sent_);
  goes_on = co_await until([&] { return far_->inbox.size() >= 2; });
  if (!goes_on || far_dead_) co_return false;
  if (bytes_ == Bytes::right) {
    const bool there = std::equal(pushed_.begin(), pushed_.end(), for_push_.memory.begin() + kAround);
    stage_.report.check(there, "the pushed bytes are there when the message comes");
  }
  send(*far_, far_calls_, 8, 0, far_sent_);
  goes_on = co_await until([&] { return near_->inbox.size() >= 3; });
  co_return goes_on;
}

Task<bool> Exchange::more() {
  send(*near_, near_calls_, 16, 0, near_sent_);
  bool goes_on = co_await until([&] { return far_->inbox.size() == near_sent_.size(); });
  if (!goes_on) co_return false;
  send(*far_, far_calls_, 8, 0, far_sent_);
  goes_on = co_await until([&] { return near_->inbox.size() == far_sent_.size(); });
  co_return goes_on;
}

void Exchange::far_died() {
  far_dead_ = true;
  for_pull_.region = for_push_.region = nullptr;
}

void Exchange::check_around(const Place& place, const char* what) {
  const auto untouched = [](std::uint8_t byte) { return byte == kUntouched; };
  const bool before = std::all_of(place.memory.begin(), place.memory.begin() + kAround, untouched);
  const bool after = std::all_of(place.memory.end() - kAround, place.memory.end(), untouched);
  stage_.report.check(before && after, what);
}

void Exchange::check_received(const Peer& peer, const std::deque<Received>& sent) {
  stage_.report.check(peer.fault.empty(), peer.fault.empty() ? "events of a link" : peer.fault);
  if (bytes_ == Bytes::any) return;
  bool same = peer.inbox.size() <= sent.size();
  for (std::size_t i = 0; same && i < peer.inbox.size(); ++i) {
    same = peer.inbox[i].head == sent[i].head && peer.inbox[i].eager == sent[i].eager;
  }
  stage_.report.check(same, "what arrived is what was sent, from the first on");
}

void Exchange::check_calls(const Calls& calls) {
  stage_.report.check(calls.all_over(), "every call completes");
  stage_.report.check(calls.fault.empty(), calls.fault.empty() ? "each completes once" : calls.fault);
  if (bytes_ == Bytes::any) return;
  const bool known = calls.all_of([](const Calls::Call& call) {
    return call.status.ok() || call.status.code == Code::closed || call.status.code == Code::cancelled;
  });
  stage_.report.check(known, "a call ends as ok, closed or cancelled");
}

// From now on the memory is the owner's alone.
Task<> Exchange::take_back(Place& place) {
  if (place.region == nullptr) co_return;
  Link* link = far_->link;
  Region* region = std::exchange(place.region, nullptr);
  const Outcome done = co_await submit([&](Completion& c) { return link->reclaim(*region, c); });
  stage_.report.ok(done.status, "reclaim");
  check_around(place, "nothing is written around a region");
  std::fill(place.memory.begin(), place.memory.end(), kUntouched);
}

Task<> Exchange::settle(bool ends_by_itself) {
  Report& report = stage_.report;
  if (stage_.spoiled) co_return;
  enough_ = nullptr;
  if (connected_ && !ends_by_itself && !near_->closed) near_->link->close();
  bool early = false;
  const auto ended = [&] {
    early = early || (connected_ && near_->closed && !near_calls_.all_over());
    early = early || (far_ != nullptr && !far_dead_ && far_->closed && !far_calls_.all_over());
    const bool far_over = far_dead_ || all_accepted([](const Peer& peer) { return peer.closed; });
    return (!connected_ || near_->closed) && far_over;
  };
  const bool both = co_await stage_.eventually(ended);
  report.check(both, "both ends hear that the link is over");
  if (!both) {  // the rest would wait for ever
    stage_.spoiled = true;
    co_return;
  }
  report.check(!early, "what was pending completes before on_closed");
  if (connected_) check_calls(near_calls_);
  check_received(*near_, far_sent_);
  if (far_ != nullptr && !far_dead_) {
    check_calls(far_calls_);
    co_await take_back(for_pull_);
    co_await take_back(for_push_);
  }
  if (far_ != nullptr) check_received(*far_, near_sent_);
  check_around(pulled_, "nothing is written around what a pull fills");
  if (bytes_ == Bytes::right && pull_ != nullptr && pull_->over() && pull_->status.ok()) {
    const auto got = pulled_.memory.begin() + kAround;
    report.check(std::equal(for_pull_.expected.begin(), for_pull_.expected.end(), got),
                 "a pull that is ok has the bytes");
  }
  const Buffer mine(for_push_.memory);
  for (int i = 0; i < 20; ++i) co_await yield_now(stage_.runtime);
  report.check(mine == for_push_.memory, "nothing is written into reclaimed memory");
  near_->inbox.clear();
  near_->release();
  const auto& accepted = stage_.acceptor.peers;
  for (std::size_t i = accepted_before_; i < accepted.size(); ++i) {
    accepted[i]->inbox.clear();
    accepted[i]->release();
  }
}

}  // namespace rideau::transport_suite
