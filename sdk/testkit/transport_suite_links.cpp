// SPDX-License-Identifier: Apache-2.0
// What networks and bad peers do to the bytes of a link: cut it anywhere, dawdle, stop, bring bytes late, twice, not at
// all, or changed. Through a relay (relay.hpp), so only where links pass over streams.
#include "sdk/testkit/relay.hpp"
#include "sdk/testkit/transport_exchange.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rideau::transport_suite {
namespace {

using relay::Fault;
using relay::Relay;
using relay::Way;
using Kind = Fault::Kind;

constexpr std::uint64_t kQuietNs = 30 * kMillisecond;  // then nothing more comes of what was damaged
constexpr Way kWays[] = {Way::there, Way::back};

struct Between {
  Stage& stage;
  Relay& relay;
  std::string address;             // through the relay
  std::uint64_t bytes[2] = {};     // of an exchange that nobody disturbs
  std::uint64_t greeting[2] = {};  // of these, before a link carries anything
};

Task<bool> undisturbed(Between& between) {
  between.relay.plan({});
  Exchange exchange(between.stage, Exchange::Bytes::right);
  const bool done = co_await exchange.talk(between.address);
  for (const Way way : kWays) between.bytes[static_cast<std::size_t>(way)] = between.relay.passed(way);
  co_await exchange.settle(false);
  co_return done;
}

Task<> cut_anywhere(Between& between) {
  Report& report = between.stage.report;
  report.rule("transport.faults.cut-at-every-byte");
  const bool done = co_await undisturbed(between);
  report.check(done, "all is done through a relay that does nothing");
  for (const Way way : kWays) {
    const std::uint64_t most = between.bytes[static_cast<std::size_t>(way)];
    for (std::uint64_t at = 0; at < most && !between.stage.spoiled; at += kSizeDivisor) {
      between.relay.plan({Kind::cut, way, at, 0});
      Exchange exchange(between.stage, Exchange::Bytes::right);
      co_await exchange.talk(between.address);
      // Its last bytes may differ from run to run.
      co_await exchange.settle(between.relay.happened());
    }
  }
  if (between.stage.spoiled) co_return;
  // What a lost link had is free again: links are made as before.
  const bool still = co_await undisturbed(between);
  report.check(still, "all is done after so many links were lost");
  report.note("at each of " + std::to_string(between.bytes[0]) + " bytes one way and " +
              std::to_string(between.bytes[1]) + " back" +
              (kSizeDivisor == 1 ? "" : ", in steps of " + std::to_string(kSizeDivisor)));
}

Task<> drips(Between& between) {
  between.stage.report.rule("transport.faults.few-bytes-at-a-time");
  for (int round = 0; round < 3 && !between.stage.spoiled; ++round) {
    between.relay.plan({Kind::drip, Way::there, 0, 0});
    Exchange exchange(between.stage, Exchange::Bytes::right);
    const bool done = co_await exchange.talk(between.address);
    between.stage.report.check(done, "all is done, whatever the pieces are that bytes come in");
    co_await exchange.settle(false);
  }
}

// A link may have several connections, and nothing orders them but the transport.
Task<> uneven(Between& between) {
  Stage& stage = between.stage;
  Report& report = stage.report;
  report.rule("transport.faults.uneven-connections");
  for (std::uint64_t fast = 0; fast < 2 && !stage.spoiled; ++fast) {
    between.relay.plan({Kind::uneven, Way::there, fast, 0});
    std::swap(stage.address, between.address);
    const Pair pair = co_await stage.connect();
    std::swap(stage.address, between.address);
    if (pair.near == nullptr) co_return;
    const std::uint64_t most = stage.near().limits().bulk_bytes_max;
    Buffer memory(static_cast<std::size_t>(std::min<std::uint64_t>(most, 100'000)));
    const IoVec part = whole(memory);
    Region* region = nullptr;
    RegionKey key{};
    Link* owner = pair.far->link;
    if (!report.ok(owner->lend(&part, 1, kAccessPush, &region, &key), "lend")) co_return;
    if (const bool told = co_await stage.tell(*pair.far, key); !told) co_return;
    Buffer none;
    for (int i = 0; i < 10; ++i) {
      Buffer bytes = random_bytes(stage.dice, memory.size());
      const IoVec from = whole(bytes);
      Link* link = pair.near->link;
      const Outcome pushed = co_await submit([&](Completion& c) { return link->push(key, 0, &from, 1, c); });
      Buffer head = random_bytes(stage.dice, 16);
      const Status sent = co_await stage.send(*pair.near, head, none);
      report.check(pushed.ok() && sent.ok(), "push and send");
      const std::size_t before = static_cast<std::size_t>(i);
      const auto arrived = [&] { return pair.far->inbox.size() > before; };
      const bool came = co_await stage.eventually(arrived);
      report.check(came && memory == bytes, "the pushed bytes are there when the message comes");
    }
    pair.far->inbox.clear();
    const Outcome done = co_await submit([&](Completion& c) { return owner->reclaim(*region, c); });
    report.ok(done.status, "reclaim");
    co_await stage.finish(pair);
  }
}

// Waits until the fault has happened and its effect has passed through everything, or for some time.
Task<> wait_for_effect(Between& between) {
  const auto quiet = [&] { return between.stage.runtime.now_ns() - between.relay.quiet_since_ns() > kQuietNs; };
  co_await between.stage.eventually(quiet);
}

// The peer stops reading at some byte. What is sent waits; the link can be closed as ever, and when reading goes on,
// so does everything.
Task<> stops_reading_round(Between& between, bool goes_on) {
  Stage& stage = between.stage;
  Report& report = stage.report;
  const std::uint64_t at = between.bytes[0] + stage.dice.below(1u << 20);
  between.relay.plan({Kind::stop, Way::there, at, 0});
  std::swap(stage.address, between.address);
  const Pair pair = co_await stage.connect();
  std::swap(stage.address, between.address);
  if (pair.near == nullptr) co_return;
  const std::size_t size = std::min<std::size_t>(stage.near().limits().head_bytes_max, 60000);
  const std::uint64_t bound = (64u << 20) / size;
  Buffer head = random_bytes(stage.dice, size);
  const IoVec part = whole(head);
  Calls calls;
  while (calls.outstanding() < 8 && calls.size() < bound + 8) {
    Link* link = pair.near->link;
    calls.start([&](Completion& c) { return link->send(&part, 1, nullptr, 0, c); });
    for (int i = 0; i < 10; ++i) co_await yield_now(stage.runtime);
    if (calls.outstanding() > 0) co_await sleep_for(stage.runtime, kMillisecond);
  }
  report.check(calls.size() <= bound, "what a peer does not read is bounded: its senders wait");
  const Pair other = co_await stage.connect();
  if (other.near == nullptr) co_return;
  const bool fine = co_await stage.works(other);
  report.check(fine, "links with others work meanwhile");
  if (goes_on) {
    between.relay.resume();
  } else {
    pair.near->link->close();
  }
  const auto over = [&] { return calls.all_over(); };
  const bool ended = co_await stage.eventually(over);
  report.check(ended && calls.fault.empty(), "every send completes once");
  if (!ended) {
    stage.spoiled = true;
    co_return;
  }
  between.relay.resume();
  const auto arrived = [&] { return pair.far->closed || pair.far->inbox.size() == calls.size(); };
  const bool all = co_await stage.eventually(arrived);
  const bool same = std::all_of(pair.far->inbox.begin(), pair.far->inbox.end(),
                                [&](const Received& one) { return one.head == head; });
  report.check(all && same, "what arrives is unchanged");
  if (goes_on) {
    report.check(calls.all_ok() && pair.far->inbox.size() == calls.size(), "nothing is missing");
    const bool alive = co_await stage.works(pair);
    report.check(alive, "the link still works");
  }
  co_await stage.finish(other);
  co_await stage.finish(pair);
}

Task<> stops_reading(Between& between) {
  between.stage.report.rule("transport.faults.peer-stops-reading");
  for (int round = 0; round < 4 && !between.stage.spoiled; ++round)
    co_await stops_reading_round(between, round % 2 == 0);
}

// A push is on its way, or the answer to a pull, when its memory is taken back; the rest comes after that.
Task<> late_round(Between& between, bool pulls) {
  Stage& stage = between.stage;
  Report& report = stage.report;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(stage.near().limits().bulk_bytes_max, 200'000));
  const Way way = pulls ? Way::back : Way::there;
  // Behind what comes before: the greetings, and the key.
  between.relay.plan({Kind::stop, way, between.bytes[static_cast<std::size_t>(way)] + stage.dice.below(size), 0});
  std::swap(stage.address, between.address);
  const Pair pair = co_await stage.connect();
  std::swap(stage.address, between.address);
  if (pair.near == nullptr) co_return;
  Buffer memory = random_bytes(stage.dice, size);
  const IoVec part = whole(memory);
  Region* region = nullptr;
  RegionKey key{};
  Link* owner = pair.far->link;
  if (!report.ok(owner->lend(&part, 1, pulls ? kAccessPull : kAccessPush, &region, &key), "lend")) co_return;
  if (const bool told = co_await stage.tell(*pair.far, key); !told) co_return;
  Buffer local(size, 0xaa);
  const IoVec local_part = whole(local);
  Calls transfers;
  Link* link = pair.near->link;
  Calls::Call& transfer = transfers.start([&](Completion& c) {
    return pulls ? link->pull(key, 0, &local_part, 1, c) : link->push(key, 0, &local_part, 1, c);
  });
  co_await wait_for_effect(between);
  Calls reclaims;
  if (pulls) {
    if (!transfer.over()) stage.near().cancel(transfer);
  } else {
    reclaims.start([&](Completion& c) { return owner->reclaim(*region, c); });
    co_await sleep_for(stage.runtime, 2 * kMillisecond);
    if (!reclaims.all_over()) between.relay.resume();
  }
  const auto back = [&] { return pulls ? transfer.over() : reclaims.all_over(); };
  const bool mine_again = co_await stage.eventually(back);
  report.check(mine_again, pulls ? "a pull that was cancelled completes" : "reclaim completes");
  if (!mine_again) {
    stage.spoiled = true;
    co_return;
  }
  Buffer& watched = pulls ? local : memory;
  const Buffer mine(size, 0x5a);
  watched = mine;
  between.relay.resume();
  const auto over = [&] { return transfers.all_over(); };
  const bool ended = co_await stage.eventually(over);
  report.check(ended && transfers.fault.empty(), "every transfer completes once");
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");
  report.check(watched == mine, "nothing is written into memory that was taken back");
  if (pulls) {
    const Outcome done = co_await submit([&](Completion& c) { return owner->reclaim(*region, c); });
    report.ok(done.status, "reclaim");
  }
  co_await stage.finish(pair);
}

Task<> comes_late(Between& between) {
  between.stage.report.rule("transport.faults.bulk-comes-late");
  for (int round = 0; round < 16 && !between.stage.spoiled; ++round) co_await late_round(between, round % 2 == 0);
}

Task<> measure_greeting(Between& between) {
  Stage& stage = between.stage;
  between.relay.plan({});
  std::swap(stage.address, between.address);
  const Pair pair = co_await stage.connect();
  std::swap(stage.address, between.address);
  if (pair.near == nullptr) co_return;
  co_await wait_for_effect(between);
  for (const Way way : kWays) between.greeting[static_cast<std::size_t>(way)] = between.relay.passed(way);
  co_await stage.finish(pair);
}

// Bytes that come twice, never, or changed. Whatever becomes of that link, nothing else is harmed. Where bytes are
// sealed, it carries nothing more after the first of them. (Greetings may have bytes that nobody has to look at, and
// what follows the last byte of an exchange shows in the next.)
Task<> damaged(Between& between, bool sealed) {
  Stage& stage = between.stage;
  Report& report = stage.report;
  report.rule(sealed ? "transport.faults.damage-is-noticed" : "transport.faults.damage-harms-nothing-else");
  const Pair other = co_await stage.connect();
  if (other.near == nullptr) co_return;
  const Exchange::Bytes bytes = sealed ? Exchange::Bytes::right : Exchange::Bytes::any;
  if (sealed) co_await measure_greeting(between);
  std::uint64_t noticed = 0;
  std::uint64_t runs = 0;
  for (int round = 0; round < 40 && !stage.spoiled; ++round) {
    for (const Kind kind : {Kind::duplicate, Kind::leave_out, Kind::change}) {
      const Way way = kWays[stage.dice.below(2)];
      const std::uint64_t size = round % 3 == 0 ? 1 : 1 + stage.dice.below(200);
      const std::uint64_t at = stage.dice.below(between.bytes[static_cast<std::size_t>(way)]);
      between.relay.plan({kind, way, at, size});
      Exchange exchange(stage, bytes);
      const auto stuck = [&] { return stage.runtime.now_ns() - between.relay.quiet_since_ns() > kQuietNs; };
      const bool done = co_await exchange.talk(between.address, stuck);
      ++runs;
      if (!done) ++noticed;
      const bool carried = at >= between.greeting[static_cast<std::size_t>(way)];
      if (sealed && done && carried && between.relay.happened()) {
        const bool goes_on = co_await exchange.more();
        report.check(!goes_on, "a link carries nothing more after damaged bytes");
      }
      co_await exchange.settle(false);
      if (stage.spoiled) co_return;
    }
    const bool fine = co_await stage.works(other);
    report.check(fine, "other links work");
  }
  report.note(std::to_string(noticed) + " of " + std::to_string(runs) + " ended the link, or brought it to a stop");
  co_await stage.finish(other);
}

Task<> between_ends(Between& between) {
  for (Task<> (*part)(Between&) : {cut_anywhere, drips, uneven, stops_reading, comes_late}) {
    if (!between.stage.spoiled) co_await part(between);
  }
  if (!between.stage.spoiled) co_await damaged(between, false);
  if (between.stage.spoiled) co_return;
  if (between.stage.factory.seals()) {
    co_await damaged(between, true);
  } else {
    between.stage.report.unsupported("transport.faults.damage-is-noticed",
                                     "with these settings bytes are not said to be sealed (--sealed)");
  }
}

}  // namespace

Task<> check_faults_of_links(Stage& stage) {
  std::string why;
  const std::optional<RelayPlaces> places = stage.factory.relay_places(stage.address, &why);
  if (!places.has_value()) {
    for (const char* rule : {"cut-at-every-byte", "few-bytes-at-a-time", "uneven-connections", "peer-stops-reading",
                             "bulk-comes-late", "damage-harms-nothing-else", "damage-is-noticed"}) {
      stage.report.unsupported(std::string("transport.faults.") + rule, why);
    }
    co_return;
  }
  stage.report.rule("transport.faults.cut-at-every-byte");
  Relay relay(stage.runtime, stage.dice.roll());
  const int error = relay.open(places->listen, places->target);
  if (!stage.report.equal(static_cast<std::uint64_t>(error), 0, "errno of a relay before the listener")) co_return;
  Between between{stage, relay, places->address.empty() ? relay.place() : places->address};
  co_await between_ends(between);
  co_await relay.close();
}

}  // namespace rideau::transport_suite
