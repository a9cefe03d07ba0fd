// SPDX-License-Identifier: Apache-2.0
// Bulk: pull and push with offsets, bounds and access, keys that are dead, forged or of another link.
#include "sdk/testkit/transport_suite_tools.hpp"

#include <algorithm>

namespace rideau::transport_suite {
namespace {

// Memory lent by the far end of a pair.
struct Lent {
  Buffer memory;
  std::vector<IoVec> parts;
  Region* region = nullptr;
  RegionKey key{};
};

// Lends, and tells the other end in a message, as the contract has it: a key means something to who was told it.
Task<bool> lend(Stage& stage, Peer& owner, Lent& lent, std::size_t part_count, std::uint32_t access) {
  lent.parts = split(lent.memory, part_count, stage.dice);
  const Status status = owner.link->lend(lent.parts.data(), static_cast<std::uint32_t>(lent.parts.size()), access,
                                         &lent.region, &lent.key);
  if (!stage.report.ok(status, "lend")) co_return false;
  const bool told = co_await stage.tell(owner, lent.key);
  co_return told;
}

Task<> reclaim(Stage& stage, Peer& owner, Lent& lent) {
  Link* link = owner.link;
  Region* region = lent.region;
  const Outcome done = co_await submit([&](Completion& c) { return link->reclaim(*region, c); });
  stage.report.ok(done.status, "reclaim");
  lent.region = nullptr;
}

struct Transfer {
  std::uint64_t offset = 0;
  std::size_t size = 0;
  std::size_t parts = 1;
};

Task<Outcome> pull(Stage& stage, Peer& from, const RegionKey& key, Transfer what, Buffer& into) {
  into.assign(what.size, 0xaa);
  const std::vector<IoVec> parts = split(into, what.parts, stage.dice);
  Link* link = from.link;
  const auto count = static_cast<std::uint32_t>(parts.size());
  const Outcome done =
      co_await submit([&](Completion& c) { return link->pull(key, what.offset, parts.data(), count, c); });
  co_return done;
}

Task<Outcome> push(Stage& stage, Peer& from, const RegionKey& key, Transfer what, Buffer& bytes) {
  const std::vector<IoVec> parts = split(bytes, what.parts, stage.dice);
  Link* link = from.link;
  const auto count = static_cast<std::uint32_t>(parts.size());
  const Outcome done =
      co_await submit([&](Completion& c) { return link->push(key, what.offset, parts.data(), count, c); });
  co_return done;
}

bool equal_at(const Buffer& memory, std::uint64_t offset, const Buffer& bytes) {
  return std::equal(bytes.begin(), bytes.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::size_t bulk_max(Stage& stage) {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(stage.near().limits().bulk_bytes_max, (64u << 20) / kSizeDivisor));
}

Task<> transfers(Stage& stage, Pair pair) {
  const std::size_t part_counts[] = {1, 29};
  const std::size_t sizes[] = {0, 1, 8, 100, 4096, 70001, 1u << 20, bulk_max(stage)};
  for (const std::size_t size : sizes) {
    if (size > bulk_max(stage)) continue;
    for (const std::size_t part_count : part_counts) {
      Lent lent;
      lent.memory = random_bytes(stage.dice, size);
      if (const bool lent_it = co_await lend(stage, *pair.far, lent, part_count, kAccessPull | kAccessPush); !lent_it)
        co_return;
      Transfer what;
      what.offset = stage.dice.below(size + 1);
      what.size = stage.dice.below(size - what.offset + 1);
      what.parts = 1 + stage.dice.below(40);
      if (part_count == 1) what = Transfer{0, size, 1};

      stage.report.rule("transport.bulk.pull");
      Buffer into;
      const Outcome pulled = co_await pull(stage, *pair.near, lent.key, what, into);
      stage.report.ok(pulled.status, "pull");
      stage.report.equal(pulled.value, what.size, "bytes pulled");
      stage.report.check(equal_at(lent.memory, what.offset, into), "the bytes of the region");

      stage.report.rule("transport.bulk.push");
      Buffer expected = lent.memory;
      Buffer bytes = random_bytes(stage.dice, what.size);
      std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(what.offset));
      const Outcome pushed = co_await push(stage, *pair.near, lent.key, what, bytes);
      stage.report.ok(pushed.status, "push");
      stage.report.equal(pushed.value, what.size, "bytes pushed");
      // A message that is sent afterwards finds the bytes in place.
      const bool arrived = co_await stage.works(pair);
      stage.report.check(arrived && lent.memory == expected, "the region and nothing but the range has the bytes");
      co_await reclaim(stage, *pair.far, lent);
    }
  }
}

Task<> order(Stage& stage, Pair pair) {
  stage.report.rule("transport.bulk.push-comes-before-a-later-message");
  Lent lent;
  lent.memory = Buffer(std::min<std::size_t>(300000, bulk_max(stage)));
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 3, kAccessPush); !lent_it) co_return;
  Buffer none;
  for (int i = 0; i < 40; ++i) {
    Transfer what;
    what.size = i % 2 == 0 ? lent.memory.size() : 16 + stage.dice.below(5000);
    Buffer bytes = random_bytes(stage.dice, what.size);
    const std::size_t before = pair.far->inbox.size();
    const Outcome pushed = co_await push(stage, *pair.near, lent.key, what, bytes);
    Buffer head = random_bytes(stage.dice, 16);
    const Status sent = co_await stage.send(*pair.near, head, none);
    stage.report.check(pushed.ok() && sent.ok(), "push and send");
    auto arrived = [&] { return pair.far->inbox.size() > before; };
    const bool came = co_await stage.eventually(arrived);
    stage.report.check(came && equal_at(lent.memory, 0, bytes), "the pushed bytes are there when the message comes");
  }
  pair.far->inbox.clear();
  co_await reclaim(stage, *pair.far, lent);
}

Task<> expect_untouched(Stage& stage, Pair pair, const RegionKey& key, Transfer what, const Lent& lent,
                        const char* why) {
  const Buffer before = lent.memory;
  Buffer bytes = random_bytes(stage.dice, what.size);
  const Outcome pushed = co_await push(stage, *pair.near, key, what, bytes);
  stage.report.ok(pushed.status, "a push says only that its parts may be reused");
  const bool arrived = co_await stage.works(pair);
  stage.report.check(arrived && lent.memory == before, why);
}

Task<> expect_pull(Stage& stage, Pair pair, const RegionKey& key, Transfer what, Code code, const char* why) {
  Buffer into;
  const Outcome pulled = co_await pull(stage, *pair.near, key, what, into);
  stage.report.equal(pulled.status.code, code, why);
}

Task<> bounds(Stage& stage, Pair pair) {
  Report& report = stage.report;
  report.rule("transport.bulk.bounds");
  Lent lent;
  lent.memory = random_bytes(stage.dice, 1000);
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 4, kAccessPull | kAccessPush); !lent_it) co_return;
  const Transfer outside[] = {{1001, 0, 1}, {1000, 1, 1},       {999, 2, 1},
                              {0, 1001, 1}, {UINT64_MAX, 1, 1}, {UINT64_MAX - 3, 8, 1}};
  for (const Transfer& what : outside) {
    co_await expect_pull(stage, pair, lent.key, what, Code::invalid, "a pull outside of the region");
    co_await expect_untouched(stage, pair, lent.key, what, lent, "a push outside of the region writes nothing");
  }
  Buffer into;
  const Transfer last{999, 1, 1};
  const Outcome good = co_await pull(stage, *pair.near, lent.key, last, into);
  report.check(good.ok() && into[0] == lent.memory[999], "the last byte can be pulled");
  co_await reclaim(stage, *pair.far, lent);

  report.rule("transport.bulk.access");
  const Transfer part{10, 100, 1};
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 1, kAccessPush); !lent_it) co_return;
  co_await expect_pull(stage, pair, lent.key, part, Code::invalid, "a pull from a region lent for push");
  co_await reclaim(stage, *pair.far, lent);
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 1, kAccessPull); !lent_it) co_return;
  co_await expect_untouched(stage, pair, lent.key, part, lent, "a push to a region lent for pull writes nothing");
  co_await reclaim(stage, *pair.far, lent);

  report.rule("transport.bulk.limits");
  const TransportLimits limits = stage.near().limits();
  std::uint8_t byte = 0;
  if (limits.bulk_bytes_max < SIZE_MAX) {
    // Nothing may be touched of what is refused, so the part need not exist.
    const IoVec huge{&byte, static_cast<std::size_t>(limits.bulk_bytes_max) + 1};
    Region* region = nullptr;
    RegionKey key{};
    const Status refused = pair.far->link->lend(&huge, 1, kAccessPull, &region, &key);
    report.equal(refused.code, Code::too_large, "a region over the limit");
    Link* link = pair.near->link;
    const Outcome pulled = co_await submit([&](Completion& c) { return link->pull(lent.key, 0, &huge, 1, c); });
    report.equal(pulled.status.code, Code::too_large, "a pull over the limit");
    const Outcome pushed = co_await submit([&](Completion& c) { return link->push(lent.key, 0, &huge, 1, c); });
    report.equal(pushed.status.code, Code::too_large, "a push over the limit");
  }
}

}  // namespace

Task<> check_bulk(Stage& stage) {
  stage.report.rule("transport.bulk.pull");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  co_await transfers(stage, pair);
  co_await order(stage, pair);
  co_await bounds(stage, pair);
  const bool alive = co_await stage.works(pair);
  stage.report.check(alive, "the link still works");
  co_await stage.finish(pair);
}

Task<> check_keys(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.keys.dead-after-reclaim");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  const Transfer part{10, 500, 1};
  Lent lent;
  lent.memory = random_bytes(stage.dice, 2000);
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 2, kAccessPull | kAccessPush); !lent_it) co_return;
  const RegionKey old_key = lent.key;
  co_await reclaim(stage, *pair.far, lent);
  co_await expect_pull(stage, pair, old_key, part, Code::not_found, "a pull with the key of a reclaimed region");
  co_await expect_untouched(stage, pair, old_key, part, lent, "a push with a dead key writes nothing");

  report.rule("transport.keys.generation");
  for (int round = 0; round < 20; ++round) {
    if (const bool lent_it = co_await lend(stage, *pair.far, lent, 2, kAccessPull | kAccessPush); !lent_it) co_return;
    co_await expect_pull(stage, pair, old_key, part, Code::not_found, "the old key of memory that is lent again");
    co_await expect_untouched(stage, pair, old_key, part, lent, "a push with the old key writes nothing");
    co_await expect_pull(stage, pair, lent.key, part, Code::ok, "the new key");
    co_await reclaim(stage, *pair.far, lent);
  }

  report.rule("transport.keys.forged");
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 2, kAccessPull | kAccessPush); !lent_it) co_return;
  for (std::size_t bit = 0; bit < std::size_t{lent.key.size} * 8; ++bit) {
    RegionKey forged = lent.key;
    forged.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    co_await expect_pull(stage, pair, forged, part, Code::not_found, "a key with one bit changed");
    if (bit % 8 == 0)
      co_await expect_untouched(stage, pair, forged, part, lent, "a push with a forged key writes nothing");
  }
  RegionKey shorter = lent.key;
  --shorter.size;
  RegionKey longer = lent.key;
  longer.size = sizeof longer.bytes;
  const RegionKey empty{};
  const RegionKey wrong_sizes[] = {shorter, longer, empty};
  for (const RegionKey& key : wrong_sizes) {
    co_await expect_pull(stage, pair, key, part, Code::not_found, "a key of a wrong size");
    co_await expect_untouched(stage, pair, key, part, lent, "a push with a key of a wrong size writes nothing");
  }

  report.rule("transport.keys.belong-to-one-link");
  const Pair other = co_await stage.connect();
  if (other.near == nullptr) co_return;
  co_await expect_pull(stage, other, lent.key, part, Code::not_found, "a key of another link");
  co_await expect_untouched(stage, other, lent.key, part, lent, "a push with a key of another link writes nothing");
  co_await reclaim(stage, *pair.far, lent);
  co_await stage.finish(other);

  report.rule("transport.keys.closed-link");
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 2, kAccessPull); !lent_it) co_return;
  Link* link = pair.near->link;
  link->close();
  auto both_closed = [&] { return pair.near->closed && pair.far->closed; };
  const bool closed = co_await stage.eventually(both_closed);
  report.check(closed, "both ends hear of the end");
  co_await expect_pull(stage, pair, lent.key, part, Code::closed, "a pull on a closed link");
  Region* region = nullptr;
  RegionKey key{};
  const IoVec one = whole(lent.memory);
  report.equal(pair.far->link->lend(&one, 1, kAccessPull, &region, &key).code, Code::closed, "lend on a closed link");
  co_await reclaim(stage, *pair.far, lent);
  co_await stage.finish(pair);
}

namespace {

// Transfers run while the region is reclaimed: afterwards its memory belongs to the test again, for good.
Task<> reclaim_round(Stage& stage, Pair pair, bool pulls) {
  Report& report = stage.report;
  const std::size_t size = std::min<std::size_t>(bulk_max(stage), (4u << 20) / kSizeDivisor);
  Lent lent;
  lent.memory = random_bytes(stage.dice, size);
  if (const bool lent_it = co_await lend(stage, *pair.far, lent, 5, pulls ? kAccessPull : kAccessPush); !lent_it)
    co_return;
  const Buffer original = lent.memory;
  Calls calls;
  std::deque<Buffer> local;
  std::deque<IoVec> parts;
  for (int i = 0; i < 4; ++i) {
    local.push_back(pulls ? Buffer(size, 0xaa) : random_bytes(stage.dice, size));
    parts.push_back(whole(local.back()));
    const IoVec* part = &parts.back();
    Link* link = pair.near->link;
    calls.start([&](Completion& c) {
      return pulls ? link->pull(lent.key, 0, part, 1, c) : link->push(lent.key, 0, part, 1, c);
    });
  }
  // Somewhere between "nothing was sent yet" and "all has arrived".
  const std::uint64_t steps = stage.dice.below(60);
  for (std::uint64_t i = 0; i < steps; ++i) co_await yield_now(stage.runtime);
  if (stage.dice.below(2) == 0) co_await sleep_for(stage.runtime, stage.dice.below(2 * kMillisecond));
  co_await reclaim(stage, *pair.far, lent);
  const Buffer mine(size, 0x5a);
  lent.memory = mine;
  auto over = [&] { return calls.all_over(); };
  const bool ended = co_await stage.eventually(over);
  report.check(ended && calls.fault.empty(), "every transfer completes once");
  const bool alive = co_await stage.works(pair);
  report.check(alive, "the link still works");
  report.check(lent.memory == mine, "nothing is written into reclaimed memory");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Code code = calls.calls()[i].status.code;
    if (!pulls) {
      report.equal(code, Code::ok, "a push to a region that is being reclaimed");
    } else if (code == Code::ok) {
      report.check(local[i] == original, "a pull that is ok has the bytes from before the reclaim");
    } else {
      report.equal(code, Code::not_found, "a pull that lost its region");
    }
  }
}

}  // namespace

Task<> check_reclaim(Stage& stage) {
  stage.report.rule("transport.reclaim.ends-pushes");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  for (int round = 0; round < 25; ++round) co_await reclaim_round(stage, pair, false);
  stage.report.rule("transport.reclaim.ends-pulls");
  for (int round = 0; round < 25; ++round) co_await reclaim_round(stage, pair, true);
  co_await stage.finish(pair);
}

// Messages, pulls and pushes of both ends at the same time.
Task<> check_many_outstanding(Stage& stage) {
  Report& report = stage.report;
  report.rule("transport.outstanding.hundreds-at-a-time");
  const Pair pair = co_await stage.connect();
  if (pair.near == nullptr) co_return;
  constexpr int kEach = 120;
  const std::size_t head_max = std::min<std::size_t>(stage.near().limits().head_bytes_max, 60000);
  std::deque<Lent> lent(2 * kEach);
  std::deque<Buffer> local;
  std::deque<Buffer> heads;
  std::deque<IoVec> parts;
  Calls calls;
  for (int i = 0; i < 2 * kEach; ++i) {
    Lent& place = lent[static_cast<std::size_t>(i)];
    place.memory = random_bytes(stage.dice, 1 + stage.dice.below(60000));
    Peer& owner = i % 2 == 0 ? *pair.far : *pair.near;
    const std::uint32_t access = i % 4 < 2 ? kAccessPull : kAccessPush;
    if (const bool lent_it = co_await lend(stage, owner, place, 3, access); !lent_it) co_return;
  }
  for (int i = 0; i < 2 * kEach; ++i) {
    Link* link = (i % 2 == 0 ? pair.near : pair.far)->link;
    const bool pulls = i % 4 < 2;
    Lent& place = lent[static_cast<std::size_t>(i)];
    const std::size_t size = place.memory.size();
    local.push_back(pulls ? Buffer(size) : random_bytes(stage.dice, size));
    parts.push_back(whole(local.back()));
    const IoVec* part = &parts.back();
    calls.start([&](Completion& c) {
      return pulls ? link->pull(place.key, 0, part, 1, c) : link->push(place.key, 0, part, 1, c);
    });
    heads.push_back(random_bytes(stage.dice, stage.dice.below(head_max)));
    parts.push_back(whole(heads.back()));
    const IoVec* head = &parts.back();
    calls.start([&](Completion& c) { return link->send(head, 1, nullptr, 0, c); });
  }
  auto over = [&] { return calls.all_over() && pair.far->inbox.size() == kEach && pair.near->inbox.size() == kEach; };
  const bool ended = co_await stage.eventually(over);
  report.check(ended && calls.all_ok(), "all complete and are ok");
  report.check(calls.fault.empty(), calls.fault.empty() ? "each completes once" : calls.fault);
  for (int i = 0; i < 2 * kEach; ++i) {
    const auto index = static_cast<std::size_t>(i);
    report.check(lent[index].memory == local[index], "bytes of a transfer");
    co_await reclaim(stage, i % 2 == 0 ? *pair.far : *pair.near, lent[index]);
  }
  co_await stage.finish(pair);
}

}  // namespace rideau::transport_suite
