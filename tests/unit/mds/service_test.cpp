// SPDX-License-Identifier: Apache-2.0
// Goal: the target behind its wire: changes happen once whatever the network does, locks change hands only with durable
// changes, clients that do not answer are evicted and lose what they had open, a malformed body ends its session alone.
#include "tests/unit/mds/service_bench.hpp"

#include <cerrno>

namespace rideau::mds {
namespace {

using namespace fs;

Task<> make_many(Client& client, int first, int count, int& done) {
  for (int i = first; i < first + count; ++i) {
    const std::string name = "f" + std::to_string(i);
    MakeRequest request;
    request.parent = kRootInode;
    request.name = name;
    request.mode = S_IFREG | 0600;
    rpc::Reply reply = co_await client.call(MetaMethod::make, request, true);
    // A call that was executed twice would meet its own file.
    CHECK(reply.status.os_error != EEXIST);
    CHECK(reply.ok());
    MakeReply made;
    CHECK(decode(reply.body, &made).ok());
    ++done;
  }
}

}  // namespace

TEST_CASE("every create happens once while links break (S40, S41)", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Served served(seed);
    Client client(served.f, served.network, "client", 1);
    int done = 0;
    for (int i = 0; i < 8; ++i) client.tasks->spawn(make_many(client, i * 25, 25, done));
    for (int i = 0; i < 10; ++i) {
      served.f.world.run_for(seed * 100 * kMicrosecond);
      served.network.cut(client.node.id(), served.f.run->runtime.id());
    }
    REQUIRE(served.f.world.run_until([&] { return done == 200; }, served.f.world.now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
    REQUIRE(served.f.names(kRootInode).size() == 200);
    REQUIRE(client.new_epochs == 0);
  }
}

TEST_CASE("replies are kept in the batch of their change, and go with the session", "[mds]") {
  Served served;
  const auto records = [&](KeyKind kind) {
    int count = 0;
    for (const auto& [key, value] : served.f.disk.entries()) count += is_kind(Bytes(std::string_view(key)), kind);
    return count;
  };
  {
    Client client(served.f, served.network, "client", 1);
    const rpc::Reply reply = client.make("f", 1);
    REQUIRE(reply.ok());
    REQUIRE(reply.transaction == served.f.target().committer.last());
    SyncRequest sync;
    sync.transaction = reply.transaction;
    const rpc::Reply synced = client.run(client.call(MetaMethod::sync, sync, false));
    REQUIRE(synced.ok());
    REQUIRE(synced.durable >= reply.transaction);
    REQUIRE(records(KeyKind::session) == 1);
    REQUIRE(records(KeyKind::slot) == 1);
    for (const auto& [key, value] : served.f.disk.entries()) {
      const Bytes at{std::string_view(key)};
      if (!is_kind(at, KeyKind::slot)) continue;
      SlotRecord record;
      REQUIRE(decode(at, Bytes(std::string_view(value)), &record).ok());
      REQUIRE(record.transaction == reply.transaction);
      REQUIRE(record.method == static_cast<std::uint16_t>(MetaMethod::make));
      REQUIRE(record.body.view() == reply.body.view());
    }
    REQUIRE(served.f.target().opens.size() == 1);
  }
  // The client is gone without a word. It might come back, for a while.
  served.f.world.run_for(2ull * limits::kSessionLeaseMs * kMillisecond);
  REQUIRE(served.f.target().opens.size() == 1);
  served.f.world.run_for(limits::kSessionKeptMs * kMillisecond);
  REQUIRE(served.f.target().opens.size() == 0);
  REQUIRE(served.f.target().sessions.size() == 0);
  REQUIRE(records(KeyKind::session) == 0);
  REQUIRE(records(KeyKind::slot) == 0);
}

TEST_CASE("a lock changes hands when what its holder did is durable", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Served served(seed);
    Client a(served.f, served.network, "a", 1);
    Client b(served.f, served.network, "b", 2);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(a.lock(lock::Mode::exclusive).ok());
      const std::uint64_t transaction = a.make("a" + std::to_string(i)).transaction;
      REQUIRE(transaction != 0);
      REQUIRE(b.lock(lock::Mode::exclusive).ok());
      REQUIRE(served.f.target().committer.durable() >= transaction);
      REQUIRE(a.revokes == i + 1);
      REQUIRE(b.make("b" + std::to_string(i)).ok());
    }
    LockRequest other;
    other.resource = 4;
    other.mode = 1;
    REQUIRE(errno_of(a.run(a.call(MetaMethod::lock, other, false)).status) == ESTALE);
    other.resource = kRootInode;
    other.mode = 3;
    REQUIRE(errno_of(a.run(a.call(MetaMethod::lock, other, false)).status) == EINVAL);
  }
}

TEST_CASE("a directory that clients change in turn is held by nobody for a moment", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  const auto parent_lock = [](const rpc::Reply& made) {
    MakeReply reply;
    REQUIRE(made.ok());
    REQUIRE(decode(made.body, &reply).ok());
    return reply.parent.lock;
  };
  // The first two changes bring the lock, as always.
  REQUIRE(parent_lock(a.make("a")) != 0);
  REQUIRE(parent_lock(b.make("b")) != 0);
  REQUIRE(a.revokes == 1);
  const std::uint64_t begin = served.f.world.now_ns();
  for (int i = 0; i < 10; ++i) {
    parent_lock(a.make("a" + std::to_string(i)));
    parent_lock(b.make("b" + std::to_string(i)));
  }
  REQUIRE(served.f.world.now_ns() - begin < lock::kWithheldNs);
  REQUIRE(a.revokes + b.revokes == 2);
  // Then one of them has it again, for as long as it is alone.
  served.f.world.run_for(lock::kWithheldNs + lock::kOftenNs);
  REQUIRE(parent_lock(a.make("later")) != 0);
  REQUIRE(parent_lock(a.make("last")) != 0);
  REQUIRE(a.revokes + b.revokes == 2);
}

TEST_CASE("who looks up a name does not wait for names that others added", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  const auto look = [&](std::string_view name) {
    LookupRequest request;
    request.parent = kRootInode;
    request.name = name;
    return b.run(b.call(MetaMethod::lookup, request, false)).status;
  };
  const auto durable = [&] { return served.f.target().committer.durable(); };
  REQUIRE(errno_of(look("none")) == ENOENT);  // the first call of a session waits until its record is durable
  const std::uint64_t made = a.make("one").transaction;
  REQUIRE(errno_of(look("none")) == ENOENT);
  REQUIRE(durable() < made);
  REQUIRE(look("one").ok());
  REQUIRE(durable() >= made);
  // What else changes a directory may decide about the answer, also when a new name follows it.
  SetAttributesRequest closed;
  closed.inode = kRootInode;
  closed.mask = kSetMode;
  closed.mode = 0700;
  const std::uint64_t changed = a.run(a.call(MetaMethod::set_attributes, closed, true)).transaction;
  REQUIRE(a.make("two").transaction > changed);
  REQUIRE(durable() < changed);
  REQUIRE(errno_of(look("none")) == ENOENT);
  REQUIRE(durable() >= changed);
}

TEST_CASE("an open that nobody uses ends with the file", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  const auto made = [&](std::string_view name, HandleId handle) {
    MakeReply reply;
    const rpc::Reply raw = a.make(name, handle);
    REQUIRE(decode(raw.body, &reply).ok());
    return reply.inode.id;
  };
  const auto remove = [&](std::string_view name, HandleId kept) {
    RemoveRequest request;
    request.parent = kRootInode;
    request.name = name;
    request.kept_open = kept;
    REQUIRE(a.run(a.call(MetaMethod::remove, request, true)).ok());
  };
  const InodeId first = made("first", 1);
  const InodeId second = made("second", 2);
  const InodeId third = made("third", 3);
  remove("first", 1);
  REQUIRE(served.f.stat_errno(first) == ESTALE);
  remove("second", 3);  // not of this file: nothing ends
  REQUIRE(served.f.stat_errno(second) == 0);
  REQUIRE(served.f.target().opens.is_open(third));
  REQUIRE(served.f.target().opens.size() == 2);
}

TEST_CASE("clients are told to keep fewer locks when there are many", "[mds]") {
  constexpr std::uint64_t kMax = 64;
  Served served(1, kMax);
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  std::vector<LockItem> held;
  const auto make = [&](Client& client, const std::string& name) {
    MakeReply reply;
    const rpc::Reply raw = client.make(name);
    REQUIRE(decode(raw.body, &reply).ok());
    if (reply.inode.lock != 0) held.push_back({reply.inode.id, reply.inode.lock >> 2});
    return reply.inode.lock != 0;
  };
  for (int i = 0; i < 4; ++i) REQUIRE(make(b, "b" + std::to_string(i)));
  held.clear();
  int granted = 0;
  for (int i = 0; i < 100; ++i) granted += make(a, "a" + std::to_string(i)) ? 1 : 0;
  // The bound holds whether the client obeys or not; who has few is not asked for any.
  REQUIRE(granted < 64);
  REQUIRE(granted > 50);
  REQUIRE_FALSE(a.budgets.empty());
  REQUIRE(a.budgets.front() >= kMax / 4 * 3 - 8);
  REQUIRE(a.budgets.front() <= kMax / 4 * 3);
  REQUIRE(b.budgets.empty());
  // With room again there is no bound any more.
  const std::size_t told = a.budgets.size();
  served.f.world.run_for(kSecond);
  a.tasks->spawn(a.unlock(std::exchange(held, {})));
  served.f.world.run_for(kSecond);
  REQUIRE(a.budgets.size() == told + 1);
  REQUIRE(a.budgets.back() == kMax);
  REQUIRE(make(a, "again"));
}

TEST_CASE("a client that does not give a lock back is evicted", "[mds]") {
  for (const auto how : {Client::OnRevoke::silent, Client::OnRevoke::keep}) {
    Served served;
    Client a(served.f, served.network, "a", 1);
    Client b(served.f, served.network, "b", 2);
    a.on_revoke = how;
    const std::uint64_t session = a.session->id();
    REQUIRE(a.lock(lock::Mode::exclusive).ok());
    const rpc::Reply made = a.make("f", 1);
    MakeReply reply;
    REQUIRE(decode(made.body, &reply).ok());
    RemoveRequest remove;
    remove.parent = kRootInode;
    remove.name = "f";
    REQUIRE(a.run(a.call(MetaMethod::remove, remove, true)).ok());
    const std::uint64_t before = served.f.world.now_ns();
    REQUIRE(b.lock(lock::Mode::exclusive).ok());
    const std::uint64_t waited_ms = (served.f.world.now_ns() - before) / kMillisecond;
    const std::uint64_t bound = how == Client::OnRevoke::silent ? limits::kCallbackMs : limits::kGiveBackMs;
    REQUIRE(waited_ms >= bound / 2);
    REQUIRE(waited_ms <= bound + 5'000);
    REQUIRE(served.f.log.contains("is evicted"));
    REQUIRE(served.f.mds().evictions().size() == 1);
    const std::string record = served.f.mds().evictions().front();
    for (const char* part :
         {"(a)", "the lock of inode 1 was asked back", "exclusive for b", "last message came", "its clock was"}) {
      INFO(record);
      REQUIRE(record.find(part) != std::string::npos);
    }
    // Nobody got the lock before every object target knew.
    for (const TargetId target : served.f.options.object_targets) {
      REQUIRE(served.f.destroyer.fenced.contains({target, a.id, session}));
    }
    served.f.world.run_for(5 * kSecond);
    // What it had open is closed: the removed file and its objects are gone.
    REQUIRE(served.f.stat_errno(reply.inode.id) == ESTALE);
    REQUIRE(served.f.destroyer.is_gone(reply.inode));
    REQUIRE(a.new_epochs > 0);
  }
}

namespace {

SetAdvisoryLockRequest advisory(std::uint64_t owner, lock::Mode mode, lock::Range range = {}) {
  SetAdvisoryLockRequest request;
  request.inode = 5;
  request.owner = owner;
  request.family = static_cast<std::uint32_t>(lock::RangeFamily::records);
  request.mode = static_cast<std::uint32_t>(mode);
  request.first = range.first;
  request.last = range.last;
  return request;
}

// Takes the lock, waiting for it, or gives it up. Answers whether it had to wait.
Task<bool> set_advisory(Client& client, SetAdvisoryLockRequest request) {
  request.wait = true;
  request.ticket = ++client.tickets;
  const rpc::Reply reply = co_await client.call(MetaMethod::set_advisory_lock, request, true);
  CHECK(reply.ok());
  SetAdvisoryLockReply body;
  CHECK(decode(reply.body, &body).ok());
  while (body.waits && !client.granted.contains(request.ticket)) co_await client.grants.wait();
  co_return body.waits;
}

Task<> take_turns(Client& client, std::uint64_t owner, int rounds, int& holders, int& done) {
  for (int i = 0; i < rounds; ++i) {
    static_cast<void>(co_await set_advisory(client, advisory(owner, lock::Mode::exclusive)));
    CHECK(++holders == 1);
    co_await sleep_for(client.node, kMillisecond);
    CHECK(--holders == 0);
    static_cast<void>(co_await set_advisory(client, advisory(owner, lock::Mode::none)));
  }
  ++done;
}

}  // namespace

TEST_CASE("an advisory lock has one holder, and everybody gets it, while links break", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Served served(seed);
    Client a(served.f, served.network, "a", 1);
    Client b(served.f, served.network, "b", 2);
    int holders = 0;
    int done = 0;
    for (std::uint64_t owner = 1; owner <= 3; ++owner) {
      a.tasks->spawn(take_turns(a, owner, 15, holders, done));
      b.tasks->spawn(take_turns(b, owner, 15, holders, done));
    }
    for (int i = 0; i < 10; ++i) {
      served.f.world.run_for(seed * 300 * kMicrosecond);
      served.network.cut((i % 2 == 0 ? a : b).node.id(), served.f.run->runtime.id());
    }
    REQUIRE(served.f.world.run_until([&] { return done == 6; }, served.f.world.now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
    REQUIRE(a.new_epochs + b.new_epochs == 0);
  }
}

namespace {

void pull_cable(Served& served, Client& client) {
  const sim::NodeId server = served.f.run->runtime.id();
  served.network.block(client.node.id(), server);
  served.network.block(server, client.node.id());
}

void put_back(Served& served, Client& client) {
  const sim::NodeId server = served.f.run->runtime.id();
  served.network.unblock(client.node.id(), server);
  served.network.unblock(server, client.node.id());
}

}  // namespace

TEST_CASE("a client without a link for a minute goes on where it was, while nobody asks for what it holds", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  REQUIRE(a.lock(lock::Mode::exclusive).ok());
  REQUIRE(a.make("one", 1).ok());
  REQUIRE_FALSE(a.run(set_advisory(a, advisory(1, lock::Mode::exclusive))));
  pull_cable(served, a);
  served.f.world.run_for(60 * kSecond);
  REQUIRE(served.f.target().sessions.size() == 2);
  put_back(served, a);
  REQUIRE(a.make("two").ok());
  REQUIRE(a.new_epochs == 0);
  REQUIRE(served.f.target().opens.size() == 1);
  REQUIRE(a.revokes == 0);
  // It still holds both locks.
  REQUIRE(b.lock(lock::Mode::exclusive).ok());
  REQUIRE(a.revokes == 1);
  REQUIRE(errno_of(b.run(b.call(MetaMethod::set_advisory_lock, advisory(1, lock::Mode::exclusive), true)).status) ==
          EAGAIN);
}

TEST_CASE("who asks for what a client without a link holds waits until its lease is over, not longer", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  const auto seconds_of = [&](auto&& action) {
    const std::uint64_t begin = served.f.world.now_ns();
    action();
    return (served.f.world.now_ns() - begin) / kSecond;
  };
  const auto try_advisory = [&] {
    const rpc::Reply reply = b.run(b.call(MetaMethod::set_advisory_lock, advisory(1, lock::Mode::exclusive), true));
    return errno_of(reply.status);
  };
  constexpr std::uint64_t kLeaseSeconds = limits::kSessionLeaseMs / 1000;
  REQUIRE(a.lock(lock::Mode::exclusive).ok());
  pull_cable(served, a);
  // Silence closes the link, and then the lease begins.
  CHECK(seconds_of([&] { REQUIRE(b.lock(lock::Mode::exclusive).ok()); }) <= 2 * kLeaseSeconds + 2);
  put_back(served, a);
  REQUIRE_FALSE(a.make("one").ok());  // under the session that ended
  REQUIRE(a.make("one").ok());
  REQUIRE(a.new_epochs == 1);

  REQUIRE(a.lock(lock::Mode::exclusive).ok());
  REQUIRE_FALSE(a.run(set_advisory(a, advisory(1, lock::Mode::exclusive))));
  pull_cable(served, a);
  served.f.world.run_for(60 * kSecond);
  CHECK(seconds_of([&] { REQUIRE(b.lock(lock::Mode::exclusive).ok()); }) <= 2);
  put_back(served, a);
  REQUIRE_FALSE(a.make("two").ok());  // under the session that ended
  REQUIRE(a.make("two").ok());
  REQUIRE(a.new_epochs == 2);

  REQUIRE_FALSE(a.run(set_advisory(a, advisory(1, lock::Mode::exclusive))));
  pull_cable(served, a);
  served.f.world.run_for(60 * kSecond);
  REQUIRE(try_advisory() == EAGAIN);  // and now it is in the way
  served.f.world.run_for(2 * kSecond);
  REQUIRE(try_advisory() == 0);
}

TEST_CASE("advisory locks and waits go with their session; calls from outside must make sense", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  const auto set = [](Client& client, const SetAdvisoryLockRequest& request) {
    return errno_of(client.run(client.call(MetaMethod::set_advisory_lock, request, true)).status);
  };
  const auto blocked_by = [](Client& client, lock::Range range) {
    TestAdvisoryLockRequest request{5, 99, 1, 2, range.first, range.last};
    const rpc::Reply reply = client.run(client.call(MetaMethod::test_advisory_lock, request, false));
    TestAdvisoryLockReply body;
    REQUIRE(reply.ok());
    REQUIRE(decode(reply.body, &body).ok());
    return body;
  };
  {
    Client b(served.f, served.network, "b", 2);
    SetAdvisoryLockRequest mine = advisory(1, lock::Mode::exclusive, {10, 19});
    mine.process = 4711;
    REQUIRE(set(b, mine) == 0);
    REQUIRE(blocked_by(b, {0, 99}).process == 4711);
    const TestAdvisoryLockReply seen = blocked_by(a, {0, 99});
    REQUIRE((seen.mode == 2 && seen.first == 10 && seen.last == 19 && seen.process == 0));
    REQUIRE(set(a, advisory(1, lock::Mode::shared, {0, 10})) == EAGAIN);
    REQUIRE(set(a, advisory(1, lock::Mode::shared, {0, 9})) == 0);
    // b waits for a, so a must not wait for b.
    SetAdvisoryLockRequest wait = advisory(1, lock::Mode::exclusive, {0, 0});
    wait.wait = true;
    wait.ticket = 7;
    REQUIRE(set(b, wait) == 0);
    SetAdvisoryLockRequest circle = advisory(1, lock::Mode::shared, {10, 10});
    circle.wait = true;
    circle.ticket = 1;
    REQUIRE(set(a, circle) == EDEADLK);
    const auto cancelled = [&b] {
      const rpc::Reply reply = b.run(b.call(MetaMethod::cancel_advisory_lock, CancelAdvisoryLockRequest{7}, true));
      CancelAdvisoryLockReply body;
      REQUIRE(decode(reply.body, &body).ok());
      return body.cancelled;
    };
    REQUIRE(cancelled());
    REQUIRE_FALSE(cancelled());
    REQUIRE(set(b, wait) == 0);
  }
  REQUIRE(blocked_by(a, {10, 10}).mode == 2);
  // The client is gone without a word: its lease runs out.
  served.f.world.run_for(2ull * limits::kSessionLeaseMs * kMillisecond);
  REQUIRE(blocked_by(a, {0, 99}).mode == 1);
  REQUIRE(set(a, advisory(1, lock::Mode::none)) == 0);
  REQUIRE(blocked_by(a, {}).mode == 0);

  REQUIRE(set(a, advisory(1, lock::Mode::shared, {1, 0})) == EINVAL);
  REQUIRE(set(a, advisory(1, lock::Mode::shared, {0, lock::kRangeLast + 1})) == EINVAL);
  REQUIRE(set(a, advisory(1, static_cast<lock::Mode>(3))) == EINVAL);
  SetAdvisoryLockRequest strange = advisory(1, lock::Mode::shared);
  strange.family = 3;
  REQUIRE(set(a, strange) == EINVAL);
}

TEST_CASE("a client that does not hear of its grant is evicted, and the next one gets the lock", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  REQUIRE_FALSE(a.run(set_advisory(a, advisory(1, lock::Mode::exclusive))));
  b.on_revoke = Client::OnRevoke::silent;
  b.tasks->spawn([](Client& client) -> Task<> {
    static_cast<void>(co_await set_advisory(client, advisory(1, lock::Mode::exclusive)));
  }(b));
  served.f.world.run_for(kSecond);
  REQUIRE_FALSE(a.run(set_advisory(a, advisory(1, lock::Mode::none))));
  REQUIRE(a.run(set_advisory(a, advisory(1, lock::Mode::exclusive))));
  REQUIRE(served.f.log.contains("no answer to the grant of an advisory lock"));
  served.f.world.run_for(5 * kSecond);
  REQUIRE(b.new_epochs > 0);
}

TEST_CASE("a fence reaches object targets that were away, and nobody waits for those longer than for one call",
          "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  a.on_revoke = Client::OnRevoke::silent;
  REQUIRE(a.lock(lock::Mode::exclusive).ok());
  served.f.destroyer.failing = true;
  REQUIRE(b.lock(lock::Mode::exclusive).ok());
  REQUIRE(served.f.destroyer.fenced.empty());
  served.f.destroyer.failing = false;
  served.f.world.run_for(5 * kSecond);
  REQUIRE(served.f.destroyer.fenced.size() == served.f.options.object_targets.size());
}

TEST_CASE("a client that says goodbye is not fenced", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  REQUIRE(a.lock(lock::Mode::exclusive).ok());
  REQUIRE(a.run(a.leave()));
  REQUIRE(b.lock(lock::Mode::exclusive).ok());
  REQUIRE(served.f.destroyer.fenced.empty());
}

TEST_CASE("a malformed body ends its session alone (S60)", "[mds]") {
  Served served;
  Client a(served.f, served.network, "a", 1);
  Client b(served.f, served.network, "b", 2);
  const std::vector<std::uint64_t> noise(8, 0xffff'ffff'ffff'ffff);
  rpc::Request raw;
  raw.method = static_cast<std::uint16_t>(MetaMethod::make);
  raw.modifies = true;
  raw.body = Bytes(noise.data(), noise.size() * 8);
  REQUIRE_FALSE(a.run(a.session->call(raw)).ok());
  served.f.world.run_for(kSecond);
  REQUIRE(a.new_epochs > 0);
  REQUIRE(b.make("f").ok());
  REQUIRE(b.new_epochs == 0);
}

}  // namespace rideau::mds
