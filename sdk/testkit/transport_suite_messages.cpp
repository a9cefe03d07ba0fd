// SPDX-License-Identifier: Apache-2.0
// Messages: order, sizes, parts, payloads, loans.
#include "sdk/testkit/transport_suite_tools.hpp"

#include <algorithm>

namespace rideau::transport_suite {
namespace {

std::vector<std::size_t> sizes_up_to(std::size_t most, Dice& dice) {
  std::vector<std::size_t> sizes;
  for (const std::size_t size :
       {0, 1, 7, 8, 9, 63, 64, 65, 200, 4095, 4096, 4097, 8191, 8193, 16384, 65535, 65536, 65537}) {
    if (size <= most) sizes.push_back(size);
  }
  for (int i = 0; i < 6; ++i) sizes.push_back(dice.below(most + 1));
  if (most > 0) sizes.push_back(most - 1);
  sizes.push_back(most);
  return sizes;
}

// Sends everything without waiting for one another, from one end.
struct Stream {
  std::deque<Buffer> heads;
  std::deque<Buffer> eagers;
  std::deque<IoVec> parts;
  Calls calls;

  void send(Link& link, Buffer head, Buffer eager) {
    heads.push_back(std::move(head));
    eagers.push_back(std::move(eager));
    parts.push_back(whole(heads.back()));
    const IoVec* head_part = &parts.back();
    parts.push_back(whole(eagers.back()));
    const IoVec* eager_part = &parts.back();
    const std::uint32_t eager_parts = eagers.back().empty() ? 0 : 1;
    calls.start([&](Completion& c) { return link.send(head_part, 1, eager_part, eager_parts, c); });
  }
  bool arrived_at(const Peer& peer) const {
    if (peer.inbox.size() != heads.size()) return false;
    for (std::size_t i = 0; i < heads.size(); ++i) {
      if (peer.inbox[i].head != heads[i] || peer.inbox[i].eager != eagers[i]) return false;
    }
    return true;
  }
};

Task<> one_size(Stage& stage, Pair pair, std::size_t head_size, std::size_t eager_size) {
  Buffer head = random_bytes(stage.dice, head_size);
  Buffer eager = random_bytes(stage.dice, eager_size);
  const std::size_t before = pair.far->inbox.size();
  const Status sent = co_await stage.send(*pair.near, head, eager);
  if (!stage.report.ok(sent, "send")) co_return;
  auto arrived = [&] { return pair.far->inbox.size() > before; };
  const bool came = co_await stage.eventually(arrived);
  if (!stage.report.check(came, "the message arrives")) co_return;
  Received got = std::move(pair.far->inbox.back());
  pair.far->inbox.pop_back();
  stage.report.check(got.head == head, "the head is unchanged");
  stage.report.equal(got.eager_bytes, eager_size, "announced size of the payload");
  if (pair.far->take != Peer::Take::discard) stage.report.check(got.eager == eager, "the payload is unchanged");
}

Task<> too_large(Stage& stage, Pair pair, std::size_t head_size, std::size_t eager_size) {
  Buffer head(head_size);
  Buffer eager(eager_size);
  const Status sent = co_await stage.send(*pair.near, head, eager);
  stage.report.equal(sent.code, Code::too_large, "a message over the limit");
}

Task<> in_order(Stage& stage, Pair pair) {
  stage.report.rule("transport.messages.both-ways-in-order");
  const std::size_t eager_max = stage.near().limits().eager_bytes_max;
  Stream out;
  Stream back;
  for (int i = 0; i < 400; ++i) {
    for (const bool forward : {true, false}) {
      const std::size_t head = stage.dice.below(8) == 0 ? stage.dice.below(20000) : stage.dice.below(300);
      const std::size_t eager = stage.dice.below(4) == 0 ? stage.dice.below(eager_max + 1) : 0;
      Link& link = *(forward ? pair.near : pair.far)->link;
      (forward ? out : back).send(link, random_bytes(stage.dice, head), random_bytes(stage.dice, eager));
    }
    if (stage.dice.below(10) == 0) co_await yield_now(stage.runtime);
  }
  auto complete = [&] {
    return pair.far->inbox.size() == out.heads.size() && pair.near->inbox.size() == back.heads.size() &&
           out.calls.all_over() && back.calls.all_over();
  };
  const bool done = co_await stage.eventually(complete);
  stage.report.check(done, "all messages arrive and all sends complete");
  stage.report.check(out.calls.all_ok() && back.calls.all_ok(), "all sends are ok");
  stage.report.check(out.arrived_at(*pair.far) && back.arrived_at(*pair.near), "unchanged and in order");
  stage.report.check(out.calls.fault.empty() && back.calls.fault.empty(), "each completion arrives once");
  pair.far->inbox.clear();
  pair.near->inbox.clear();
}

}  // namespace

Task<> check_messages(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.limits.make-sense");
  const TransportLimits limits = stage.near().limits();
  report.check(limits.head_bytes_max >= 4096, "a head of 4 KiB fits");
  report.check(limits.parts_max >= 1 && limits.bulk_bytes_max >= 4096, "parts and bulk are possible");

  report.rule("transport.messages.both-ways-in-order");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  co_await in_order(stage, pair);

  report.rule("transport.messages.every-size-of-head");
  const std::vector<std::size_t> sizes = sizes_up_to(limits.head_bytes_max, stage.dice);
  for (const std::size_t size : sizes) co_await one_size(stage, pair, size, 0);

  report.rule("transport.messages.head-over-the-limit");
  co_await too_large(stage, pair, std::size_t{limits.head_bytes_max} + 1, 0);
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");

  report.rule("transport.messages.gathered-parts");
  const std::uint32_t counts[] = {2, 33, limits.parts_max};
  for (const std::uint32_t count : counts) {
    Buffer head = random_bytes(stage.dice, std::min<std::size_t>(limits.head_bytes_max, 20000));
    const std::vector<IoVec> parts = split(head, count, stage.dice);
    Link* link = pair.near->link;
    const Outcome sent = co_await submit([&](Completion& c) { return link->send(parts.data(), count, nullptr, 0, c); });
    report.ok(sent.status, "send of many parts");
    auto arrived = [&] { return !pair.far->inbox.empty(); };
    const bool came = co_await stage.eventually(arrived);
    report.check(came && pair.far->inbox.back().head == head, "the head is whole");
    pair.far->inbox.clear();
  }
  const std::vector<IoVec> many(std::size_t{limits.parts_max} + 1);
  Link* link = pair.near->link;
  const auto over = static_cast<std::uint32_t>(many.size());
  const Outcome refused = co_await submit([&](Completion& c) { return link->send(many.data(), over, nullptr, 0, c); });
  report.equal(refused.status.code, Code::too_large, "one part over the limit");
  co_await stage.finish(pair);
}

Task<> check_payloads(Stage& stage) {
  Report& report = stage.report;
  const TransportLimits limits = stage.near().limits();
  if (limits.eager_bytes_max == 0) {
    report.unsupported("transport.payloads.every-size-and-sink", "the limit of eager payloads is 0");
    co_return;
  }
  report.rule("transport.payloads.every-size-and-sink");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  using Take = Peer::Take;
  const Take takes[] = {Take::exact, Take::parts, Take::larger, Take::discard};
  for (const Take take : takes) {
    pair.far->take = take;
    const std::vector<std::size_t> sizes = sizes_up_to(limits.eager_bytes_max, stage.dice);
    for (const std::size_t size : sizes) {
      const std::size_t head = stage.dice.below(100);
      co_await one_size(stage, pair, head, size);
    }
    co_await one_size(stage, pair, limits.head_bytes_max, limits.eager_bytes_max);
  }
  pair.far->take = Take::exact;

  report.rule("transport.payloads.gathered-parts");
  Buffer head = random_bytes(stage.dice, 33);
  Buffer eager = random_bytes(stage.dice, limits.eager_bytes_max);
  const IoVec head_part = whole(head);
  const std::vector<IoVec> parts = split(eager, limits.parts_max, stage.dice);
  const auto count = static_cast<std::uint32_t>(parts.size());
  Link* link = pair.near->link;
  const Outcome sent =
      co_await submit([&](Completion& c) { return link->send(&head_part, 1, parts.data(), count, c); });
  report.ok(sent.status, "send of a payload in many parts");
  auto arrived = [&] { return !pair.far->inbox.empty(); };
  const bool came = co_await stage.eventually(arrived);
  report.check(came && pair.far->inbox.back().eager == eager, "the payload is whole");

  report.rule("transport.payloads.over-the-limit");
  co_await too_large(stage, pair, 8, std::size_t{limits.eager_bytes_max} + 1);
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");
  co_await stage.finish(pair);
}

// A receiver that keeps its loans holds the sender back and nothing else; heads stay what they were until they are
// given back, in any order.
Task<> check_loans(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.loans.stay-unchanged");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  pair.far->hold = true;
  Stream few;
  for (int i = 0; i < 300; ++i) few.send(*pair.near->link, random_bytes(stage.dice, stage.dice.below(400)), {});
  auto few_arrived = [&] { return pair.far->inbox.size() == few.heads.size(); };
  bool came = co_await stage.eventually(few_arrived);
  report.check(came && few.arrived_at(*pair.far), "300 small messages arrive while all of them are held");
  for (int i = 0; i < 150; ++i) pair.far->give_back_one(stage.dice.below(pair.far->held()));
  pair.far->give_back_all();
  report.check(pair.far->fault.empty(), "held heads stay unchanged");
  pair.far->inbox.clear();

  report.rule("transport.loans.back-pressure");
  Stream many;
  const std::size_t size = std::min<std::size_t>(stage.near().limits().head_bytes_max, 100000);
  for (int i = 0; i < 300; ++i)
    many.send(*pair.near->link, random_bytes(stage.dice, size - stage.dice.below(1000)), {});
  // Time enough for a transport without bounds to take everything; whether it does is its own affair.
  co_await sleep_for(stage.runtime, 20 * kMillisecond);
  const bool still_open = !pair.near->closed && !pair.far->closed;
  report.check(still_open, "a receiver that holds its loans loses no link");
  auto drained = [&] {
    if (pair.far->held() > 0) pair.far->give_back_one(stage.dice.below(pair.far->held()));
    return pair.far->inbox.size() == many.heads.size() && many.calls.all_over();
  };
  came = co_await stage.eventually(drained);
  report.check(came && many.arrived_at(*pair.far), "everything arrives as loans are given back");
  report.check(many.calls.all_ok() && many.calls.fault.empty(), "every send completes once and is ok");
  pair.far->give_back_all();
  pair.far->inbox.clear();

  report.rule("transport.loans.outlive-the-link");
  Stream last;
  for (int i = 0; i < 20; ++i) last.send(*pair.near->link, random_bytes(stage.dice, 300), {});
  auto last_arrived = [&] { return pair.far->inbox.size() == 20; };
  came = co_await stage.eventually(last_arrived);
  report.check(came, "20 messages arrive");
  co_await stage.finish(pair);
}

}  // namespace rideau::transport_suite
