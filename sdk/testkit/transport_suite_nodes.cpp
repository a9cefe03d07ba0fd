// SPDX-License-Identifier: Apache-2.0
// What nodes do to each other: be slow, stop for a while, die at any moment. All of it through the host of an instance
// (HostGate), so it is asked of every transport.
#include "sdk/testkit/transport_exchange.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace rideau::transport_suite {
namespace {

constexpr std::uint64_t kWithoutBounds = 64u << 20;       // bytes that nobody took and nobody waits with
constexpr std::uint64_t kStoppedNs = 100 * kMillisecond;  // that nothing moves
constexpr std::uint64_t kDeathsNs = 60 * kSecond;  // where a peer's death is noticed by its silence, each takes seconds
constexpr std::uint64_t kDeathsMost = 400 / kSizeDivisor;

std::size_t bulk_size(Stage& stage) {
  const std::uint64_t most = stage.near().limits().bulk_bytes_max;
  return static_cast<std::size_t>(std::min<std::uint64_t>(most, (1u << 20) / kSizeDivisor));
}

Task<> slow_nodes(Stage& stage) {
  stage.report.rule("transport.faults.slow-node");
  for (int round = 0; round < 12 && !stage.spoiled; ++round) {
    if (round % 3 != 1) stage.near_gate().delay(300 * kMicrosecond, stage.dice.roll());
    if (round % 3 != 0) stage.far_gate().delay(300 * kMicrosecond, stage.dice.roll());
    Exchange exchange(stage, Exchange::Bytes::right, round % 2 == 0 ? 300 : bulk_size(stage));
    const bool done = co_await exchange.talk(stage.address);
    stage.report.check(done, "all is done, however late a node hears of what happens");
    co_await exchange.settle(false);
    stage.near_gate().delay(0, 0);
    stage.far_gate().delay(0, 0);
  }
}

// Many messages of one head, told apart by a number in front.
struct Flood {
  Buffer body;
  std::deque<std::uint64_t> numbers;
  std::deque<std::array<IoVec, 2>> parts;
  Calls calls;

  Flood(Stage& stage, std::size_t bytes) : body(random_bytes(stage.dice, bytes - sizeof(std::uint64_t))) {}
  std::size_t head_bytes() const { return body.size() + sizeof(std::uint64_t); }
  void send(Link& link) {
    std::uint64_t& number = numbers.emplace_back(numbers.size());
    auto& both = parts.emplace_back();
    both[0] = {&number, sizeof number};
    both[1] = whole(body);
    calls.start([&](Completion& c) { return link.send(both.data(), 2, nullptr, 0, c); });
  }
  // Checks what arrived, and forgets it.
  bool take(Peer& peer, std::uint64_t* taken) const {
    for (; !peer.inbox.empty(); peer.inbox.pop_front()) {
      const Buffer& head = peer.inbox.front().head;
      std::uint64_t number = 0;
      if (head.size() != head_bytes()) return false;
      std::memcpy(&number, head.data(), sizeof number);
      if (number != (*taken)++ || !std::equal(body.begin(), body.end(), head.begin() + sizeof number)) return false;
    }
    return true;
  }
};

// A peer that stopped costs a bounded amount of memory and nobody else anything; when it goes on, nothing is missing.
Task<> stopped_node(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.faults.stopped-node");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  const Result<GatedTransport> made = stage.factory.make_gated();
  Transport* third = co_await stage.start(made);
  if (third == nullptr) co_return;
  Peer bystander(stage.dice);
  Acceptor witness(stage.dice);
  Buffer bound(256);
  std::size_t size = 0;
  const std::string wanted = stage.factory.listen_address();
  report.ok(third->listen(Text(wanted), witness, MutableBytes(bound.data(), bound.size()), &size), "listen");
  const std::string place(bound.begin(), bound.begin() + static_cast<std::ptrdiff_t>(size));
  Link* link = nullptr;
  Transport& near = stage.near();
  const Outcome connected =
      co_await submit([&](Completion& c) { return near.connect(Text(place), bystander, &link, c); });
  bystander.link = link;
  const auto accepted = [&] { return !witness.peers.empty(); };
  const bool linked = co_await stage.eventually(accepted);
  if (!report.check(connected.ok() && linked, "a link with a third instance")) co_return;
  const Pair others{&bystander, witness.peers.front().get()};

  stage.far_gate().hold();
  Flood flood(stage, std::min<std::size_t>(near.limits().head_bytes_max, 60000));
  std::uint64_t taken = 0;
  bool right = true;
  const auto untaken = [&] {
    const std::uint64_t finished = flood.calls.size() - flood.calls.outstanding();
    return (finished - std::min(finished, taken)) * flood.head_bytes();
  };
  std::uint64_t moved_ns = stage.runtime.now_ns();
  while (stage.runtime.now_ns() - moved_ns < kStoppedNs && untaken() <= kWithoutBounds && right && !pair.near->closed) {
    right = flood.take(*pair.far, &taken);
    if (flood.calls.outstanding() >= 8) {
      co_await sleep_for(stage.runtime, kMillisecond);
      continue;
    }
    if (flood.calls.size() * flood.head_bytes() > 2 * kWithoutBounds) break;  // the network takes it to where it goes
    flood.send(*pair.near->link);
    moved_ns = stage.runtime.now_ns();
    co_await yield_now(stage.runtime);
  }
  report.check(untaken() <= kWithoutBounds, "what a peer does not take is bounded: its senders wait");
  const bool fine = co_await stage.works(others);
  report.check(fine, "links with others work meanwhile");
  stage.far_gate().let_go();
  const auto arrived = [&] {
    right = right && flood.take(*pair.far, &taken);
    return !right || (taken == flood.calls.size() && flood.calls.all_over());
  };
  const bool all = co_await stage.eventually(arrived);
  report.check(all && right && flood.calls.all_ok(), "everything arrives, unchanged and in order, when it goes on");
  report.check(flood.calls.fault.empty(), flood.calls.fault.empty() ? "each completes once" : flood.calls.fault);
  if (!all) {  // the flood is lent to calls that are not over
    stage.spoiled = true;
    made->gate->kill();
    third->destroy();
    co_return;
  }
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");
  co_await stage.finish(pair);
  co_await stage.finish(others);
  co_await stage.stop(third);
  third->destroy();
}

// A region is taken back while one of the two nodes does not hear of anything: what was under way comes later.
Task<> late_bulk_round(Stage& stage, Pair pair, bool pulls, bool far_stops) {
  Report& report = stage.report;
  const std::size_t size = bulk_size(stage);
  Buffer memory = random_bytes(stage.dice, size);
  const Buffer original = memory;
  const IoVec part = whole(memory);
  Region* region = nullptr;
  RegionKey key{};
  Link* owner = pair.far->link;
  if (!report.ok(owner->lend(&part, 1, pulls ? kAccessPull : kAccessPush, &region, &key), "lend")) co_return;
  if (const bool told = co_await stage.tell(*pair.far, key); !told) co_return;
  Calls transfers;
  Calls reclaims;
  std::deque<Buffer> local;
  std::deque<IoVec> parts;
  for (int i = 0; i < 3; ++i) {
    local.push_back(pulls ? Buffer(size, 0xaa) : random_bytes(stage.dice, size));
    parts.push_back(whole(local.back()));
    Link* link = pair.near->link;
    transfers.start([&](Completion& c) {
      return pulls ? link->pull(key, 0, &parts.back(), 1, c) : link->push(key, 0, &parts.back(), 1, c);
    });
  }
  const std::uint64_t steps = stage.dice.below(40);
  for (std::uint64_t i = 0; i < steps; ++i) co_await yield_now(stage.runtime);
  HostGate& gate = far_stops ? stage.far_gate() : stage.near_gate();
  gate.hold();
  reclaims.start([&](Completion& c) { return owner->reclaim(*region, c); });
  co_await sleep_for(stage.runtime, 2 * kMillisecond);
  // A transport that has to ask its peer waits for it; one that does not is bound by its word from now on.
  if (!reclaims.all_over()) gate.let_go();
  const auto reclaimed = [&] { return reclaims.all_over(); };
  const bool back = co_await stage.eventually(reclaimed);
  const Buffer mine(size, 0x5a);
  if (back) memory = mine;
  gate.let_go();
  const auto over = [&] { return transfers.all_over(); };
  const bool ended = co_await stage.eventually(over);
  report.check(back && reclaims.all_ok(), "reclaim completes");
  report.check(ended && transfers.fault.empty(), "every transfer completes once");
  if (!back || !ended) {
    stage.spoiled = true;
    co_return;
  }
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");
  report.check(memory == mine, "nothing is written into reclaimed memory");
  for (std::size_t i = 0; pulls && i < transfers.size(); ++i) {
    if (!transfers.calls()[i].status.ok()) continue;
    report.check(local[i] == original, "a pull that is ok has the bytes from before the reclaim");
  }
}

Task<> late_bulk(Stage& stage) {
  stage.report.rule("transport.faults.late-bulk-after-reclaim");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  for (int round = 0; round < 32 && !stage.spoiled; ++round) {
    co_await late_bulk_round(stage, pair, round % 2 == 0, round % 4 < 2);
  }
  if (!stage.spoiled) co_await stage.finish(pair);
}

// Each run the far node dies one arrival later, until one lives to the end; or some of those moments, where there are
// too many.
Task<> dying_node(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.faults.dying-node");
  const std::uint64_t before = stage.far_gate().arrivals();
  Exchange whole_one(stage, Exchange::Bytes::right);
  const bool done = co_await whole_one.talk(stage.address);
  const std::uint64_t moments = stage.far_gate().arrivals() - before;
  report.check(done, "all is done when nobody dies");
  co_await whole_one.settle(false);
  const std::uint64_t step = moments / kDeathsMost + 1;
  const std::uint64_t since = stage.runtime.now_ns();
  std::uint64_t deaths = 0;
  std::uint64_t at = step == 1 ? 0 : stage.dice.below(step);
  for (; at <= moments && !stage.spoiled && stage.runtime.now_ns() - since < kDeathsNs; at += step) {
    Exchange exchange(stage, Exchange::Bytes::right);
    bool died = false;
    stage.far_gate().die_at(at, [&] {
      died = true;
      exchange.far_died();
      stage.kill_far();
    });
    co_await exchange.talk(stage.address);
    if (!died) stage.far_gate().live_on();
    co_await exchange.settle(died);
    if (!died) continue;
    ++deaths;
    const bool back = co_await stage.renew_far();
    if (!back) co_return;
  }
  const bool every = step == 1 && at > moments;
  report.note("it died at " + (every ? "each of " : std::to_string(deaths) + " of ") + std::to_string(moments) +
              " moments");
  if (stage.spoiled) co_return;
  const Pair last = co_await stage.connect();
  if (last.near != nullptr) co_await stage.finish(last);
}

}  // namespace

Task<> check_faults_of_nodes(Stage& stage) {
  for (Task<> (*part)(Stage&) : {slow_nodes, stopped_node, late_bulk, dying_node}) {
    if (!stage.spoiled) co_await part(stage);
  }
}

}  // namespace rideau::transport_suite
