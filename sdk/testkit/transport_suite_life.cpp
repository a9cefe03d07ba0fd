// SPDX-License-Identifier: Apache-2.0
// The life of links and instances: connecting, closing at any time, cancelling, stopping.
#include "sdk/testkit/transport_suite_tools.hpp"

#include <algorithm>

namespace rideau::transport_suite {
namespace {

// A mixture of calls on one end, with the memory that they use.
struct Traffic {
  Calls calls;
  std::deque<Buffer> buffers;
  std::deque<IoVec> parts;

  const IoVec* buffer(Buffer bytes) {
    buffers.push_back(std::move(bytes));
    parts.push_back(whole(buffers.back()));
    return &parts.back();
  }
  void start(Stage& stage, Transport& instance, Link& link, const RegionKey& key, std::size_t region_bytes) {
    const std::size_t before = calls.size();
    start_one(stage, link, key, region_bytes);
    for (std::size_t i = before; i < calls.size(); ++i) calls.calls()[i].instance = &instance;
  }
  void start_one(Stage& stage, Link& link, const RegionKey& key, std::size_t region_bytes) {
    const TransportLimits limits = stage.near().limits();
    switch (stage.dice.below(4)) {
      case 0: {
        const IoVec* head = buffer(random_bytes(stage.dice, stage.dice.below(200)));
        calls.start([&](Completion& c) { return link.send(head, 1, nullptr, 0, c); });
        return;
      }
      case 1: {
        const IoVec* head = buffer(random_bytes(stage.dice, stage.dice.below(limits.head_bytes_max / 4)));
        const IoVec* eager = buffer(random_bytes(stage.dice, limits.eager_bytes_max));
        const std::uint32_t count = limits.eager_bytes_max == 0 ? 0 : 1;
        calls.start([&](Completion& c) { return link.send(head, 1, eager, count, c); });
        return;
      }
      case 2: {
        const IoVec* into = buffer(Buffer(region_bytes));
        Buffer* fills = &buffers.back();
        calls.start([&](Completion& c) { return link.pull(key, 0, into, 1, c); }).fills = fills;
        return;
      }
      default: {
        const IoVec* from = buffer(random_bytes(stage.dice, region_bytes));
        calls.start([&](Completion& c) { return link.push(key, 0, from, 1, c); });
        return;
      }
    }
  }
};

struct Loaded {
  Pair pair;
  Buffer memory[2];
  Region* regions[2] = {};
  RegionKey keys[2] = {};
  Traffic traffic;
};

// A link with regions on both ends and calls of every kind under way.
Task<bool> load(Stage& stage, Loaded& loaded) {
  loaded.pair = co_await stage.connect();
  if (loaded.pair.near == nullptr) co_return false;
  Peer* ends[2] = {loaded.pair.near, loaded.pair.far};
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(stage.near().limits().bulk_bytes_max, 500000 / kSizeDivisor));
  for (int i = 0; i < 2; ++i) {
    loaded.memory[i] = random_bytes(stage.dice, size);
    const IoVec part = whole(loaded.memory[i]);
    const Status lent = ends[i]->link->lend(&part, 1, kAccessPull | kAccessPush, &loaded.regions[i], &loaded.keys[i]);
    if (!stage.report.ok(lent, "lend")) co_return false;
    if (const bool told = co_await stage.tell(*ends[i], loaded.keys[i]); !told) co_return false;
  }
  for (int i = 0; i < 2; ++i) {
    ends[i]->hold = stage.dice.below(4) == 0;
    ends[i]->take = stage.dice.below(2) == 0 ? Peer::Take::parts : Peer::Take::discard;
  }
  const std::uint64_t count = 5 + stage.dice.below(40);
  for (std::uint64_t i = 0; i < count; ++i) {
    const int end = static_cast<int>(stage.dice.below(2));
    if (ends[end]->closed) break;
    Transport& instance = end == 0 ? stage.near() : stage.far();
    loaded.traffic.start(stage, instance, *ends[end]->link, loaded.keys[1 - end], size);
    if (stage.dice.below(4) == 0) co_await yield_now(stage.runtime);
  }
  const std::uint64_t steps = stage.dice.below(30);
  for (std::uint64_t i = 0; i < steps; ++i) co_await yield_now(stage.runtime);
  co_return true;
}

Task<> unload(Stage& stage, Loaded& loaded) {
  Peer* ends[2] = {loaded.pair.near, loaded.pair.far};
  for (int i = 0; i < 2; ++i) {
    Link* link = ends[i]->link;
    Region* region = loaded.regions[i];
    const Outcome done = co_await submit([&](Completion& c) { return link->reclaim(*region, c); });
    stage.report.ok(done.status, "reclaim after the end of the link");
    stage.report.check(ends[i]->fault.empty(), ends[i]->fault.empty() ? "events of a link" : ends[i]->fault);
    ends[i]->release();
  }
}

bool known_end(Code code) { return code == Code::ok || code == Code::closed || code == Code::cancelled; }

void check_ends(Stage& stage, Loaded& loaded) {
  Calls& calls = loaded.traffic.calls;
  stage.report.check(calls.all_over(), "every call completes");
  stage.report.check(calls.fault.empty(), calls.fault.empty() ? "each completes once" : calls.fault);
  for (const Calls::Call& call : calls.calls()) {
    stage.report.check(known_end(call.status.code), "a call ends as ok, closed or cancelled");
  }
}

Task<> close_round(Stage& stage) {
  Loaded loaded;
  const bool good = co_await load(stage, loaded);
  if (!good) co_return;
  Peer* ends[2] = {loaded.pair.near, loaded.pair.far};
  const int closer = static_cast<int>(stage.dice.below(2));
  if (!ends[closer]->closed) ends[closer]->link->close();
  if (stage.dice.below(2) == 0 && !ends[closer]->closed) ends[closer]->link->close();
  bool pending_at_close = false;
  auto ended = [&] {
    const bool both = ends[0]->closed && ends[1]->closed;
    if (both && !loaded.traffic.calls.all_over()) pending_at_close = true;
    return both;
  };
  const bool both = co_await stage.eventually(ended);
  stage.report.check(both, "both ends hear of the end");
  stage.report.check(!pending_at_close, "what was pending completes before on_closed");
  check_ends(stage, loaded);
  Buffer head(8);
  Buffer none;
  for (Peer* end : ends) {
    const Status sent = co_await stage.send(*end, head, none);
    stage.report.equal(sent.code, Code::closed, "send on a closed link");
  }
  co_await unload(stage, loaded);
}

// cancel() asks for an early end; what was asked still ends exactly once, and nothing else is harmed by it.
Task<> cancel_round(Stage& stage) {
  Loaded loaded;
  const bool good = co_await load(stage, loaded);
  if (!good) co_return;
  for (Calls::Call& call : loaded.traffic.calls.calls()) {
    if (!call.over() && stage.dice.below(2) == 0) call.instance->cancel(call);
  }
  auto over = [&] { return loaded.traffic.calls.all_over(); };
  Peer* ends[2] = {loaded.pair.near, loaded.pair.far};
  for (Peer* end : ends) {
    end->hold = false;
    end->give_back_all();
  }
  const bool ended = co_await stage.eventually(over);
  stage.report.check(ended, "every call completes");
  check_ends(stage, loaded);
  const bool open = !ends[0]->closed && !ends[1]->closed;
  stage.report.check(open, "no link is lost");
  // What a cancelled pull was to fill belongs to the caller again.
  for (std::size_t i = 0; i < loaded.traffic.calls.size(); ++i) {
    Calls::Call& call = loaded.traffic.calls.calls()[i];
    if (call.status.code == Code::cancelled && call.fills != nullptr) *call.fills = Buffer(call.fills->size(), 0x5a);
  }
  Buffer last = random_bytes(stage.dice, 77);
  Buffer none;
  for (int i = 0; i < 2; ++i) {
    const Status sent = co_await stage.send(*ends[i], last, none);
    stage.report.ok(sent, "send after a cancel");
    auto arrived = [&] { return !ends[1 - i]->inbox.empty() && ends[1 - i]->inbox.back().head == last; };
    const bool came = co_await stage.eventually(arrived);
    stage.report.check(came, "the link still works");
  }
  for (Calls::Call& call : loaded.traffic.calls.calls()) {
    if (call.status.code != Code::cancelled || call.fills == nullptr) continue;
    const Buffer& bytes = *call.fills;
    const bool kept = std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0x5a; });
    stage.report.check(kept, "a cancelled pull writes nothing afterwards");
  }
  if (open) ends[0]->link->close();
  auto closed = [&] { return ends[0]->closed && ends[1]->closed; };
  const bool both = co_await stage.eventually(closed);
  stage.report.check(both, "both ends hear of the end");
  co_await unload(stage, loaded);
}

Task<Status> connect_to(Stage& stage, std::string address, Peer& peer) {
  Link* link = nullptr;
  Transport& near = stage.near();
  const Outcome done = co_await submit([&](Completion& c) { return near.connect(Text(address), peer, &link, c); });
  peer.link = link;
  co_return done.status;
}

}  // namespace

Task<> check_connecting(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.connect.many-links");
  std::vector<Pair> pairs;
  for (int i = 0; i < 30; ++i) {
    const Pair pair = co_await stage.connect();
    if (pair.near == nullptr) co_return;
    pairs.push_back(pair);
  }
  for (std::size_t i = 0; i < pairs.size(); i += 2) co_await stage.finish(pairs[i]);
  for (std::size_t i = 1; i < pairs.size(); i += 2) {
    const bool alive = co_await stage.works(pairs[i]);
    report.check(alive, "a link works after others were closed");
    co_await stage.finish(pairs[i]);
  }

  report.rule("transport.connect.nobody-listens");
  Transport* third = co_await stage.start_one();
  if (third == nullptr) co_return;
  Acceptor ignored(stage.dice);
  Buffer bound(256);
  std::size_t size = 0;
  const std::string wanted = stage.factory.listen_address();
  const Status listening = third->listen(Text(wanted), ignored, MutableBytes(bound.data(), bound.size()), &size);
  report.ok(listening, "listen");
  const std::string address(bound.begin(), bound.begin() + static_cast<std::ptrdiff_t>(size));
  co_await stage.stop(third);
  third->destroy();
  Peer nobody(stage.dice);
  Status failed = co_await connect_to(stage, address, nobody);
  report.check(!failed.ok(), "connecting where nobody listens any more fails");
  failed = co_await connect_to(stage, "this is no address", nobody);
  report.check(!failed.ok(), "connecting to a text that is no address fails");
  report.check(nobody.link == nullptr && !nobody.closed, "no events come of a connect that failed");

  report.rule("transport.listen.address-in-use");
  const Status twice =
      stage.near().listen(Text(stage.address), ignored, MutableBytes(bound.data(), bound.size()), &size);
  report.equal(twice.code, Code::exists, "listening where another one listens");
  const Status small = stage.near().listen(Text(wanted), ignored, MutableBytes(bound.data(), 1), &size);
  report.check(!small.ok(), "no room for the bound address");

  report.rule("transport.listen.refused-by-the-host");
  stage.acceptor.refuse = true;
  Peer lonely(stage.dice);
  const Status connected = co_await connect_to(stage, stage.address, lonely);
  if (connected.ok()) {
    auto closed = [&] { return lonely.closed; };
    const bool ended = co_await stage.eventually(closed);
    report.check(ended, "a link that the listener's host refuses is closed");
    lonely.release();
  } else {
    report.check(true, "a connect that the listener's host refuses fails");
  }
  stage.acceptor.refuse = false;
  const Pair again = co_await stage.connect();
  if (again.near != nullptr) co_await stage.finish(again);
}

Task<> check_closing(Stage& stage) {
  stage.report.rule("transport.close.at-any-time");
  for (int round = 0; round < 40; ++round) co_await close_round(stage);
  stage.report.rule("transport.cancel.at-any-time");
  for (int round = 0; round < 25; ++round) co_await cancel_round(stage);
}

// stop() with links open, calls pending and loans held.
Task<> check_stopping(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.stop.ends-everything");
  for (int round = 0; round < 10; ++round) {
    Stage inner(stage.runtime, stage.factory, report, stage.dice.roll());
    const bool open = co_await inner.open();
    if (!open) co_return;
    Loaded loaded;
    const bool good = co_await load(inner, loaded);
    if (!good) co_return;
    Calls stops;
    Transport& far = inner.far();
    stops.start([&](Completion& c) { return far.stop(c); });
    auto closed = [&] { return loaded.pair.near->closed && loaded.pair.far->closed; };
    const bool both = co_await inner.eventually(closed);
    report.check(both, "both ends hear of the end");
    report.check(loaded.traffic.calls.all_over(), "what was pending completes");
    check_ends(inner, loaded);
    if (loaded.pair.far->held() > 0) {
      for (int i = 0; i < 50; ++i) co_await yield_now(inner.runtime);
      report.check(!stops.all_over(), "stop waits until loans are given back");
    }
    loaded.pair.far->give_back_all();
    auto stopped = [&] { return stops.all_over(); };
    const bool over = co_await inner.eventually(stopped);
    report.check(over && stops.all_ok() && stops.fault.empty(), "stop completes once");
    Peer late(inner.dice);
    const Status refused = co_await connect_to(inner, inner.address, late);
    report.check(!refused.ok(), "nobody listens after stop");
    co_await unload(inner, loaded);
    co_await inner.close_after_stop();
  }
}

}  // namespace rideau::transport_suite
