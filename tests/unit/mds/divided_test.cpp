// SPDX-License-Identifier: Apache-2.0
// Goal: a file that clients write in turn is locked in parts, and whole again when one is left; sizes are the greatest
// that any of them tells.
#include "tests/unit/mds/service_bench.hpp"

namespace rideau::mds {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr auto kExclusive = static_cast<std::uint32_t>(lock::Mode::exclusive);

struct Bench {
  explicit Bench(bool in_objects = true) {
    MakeRequest make;
    make.parent = kRootInode;
    make.name = "f";
    make.mode = S_IFREG | 0600;
    make.open = true;
    make.open_flags = kOpenWrite;
    make.handle = 1;
    make.knows_inline = !in_objects;
    const Inode made = call<MakeRequest, MakeReply>(a, MetaMethod::make, make, true).inode;
    REQUIRE(made.is_inline() != in_objects);
    file = made.id;
    open(b);
    lock(a);
    REQUIRE(lock(b) != 0);
  }
  template <class Request, class Reply>
  Reply call(Client& client, MetaMethod method, const Request& request, bool modifies = false) {
    const rpc::Reply raw = client.run(client.call(method, request, modifies));
    status = raw.status;
    Reply reply;
    if (raw.ok()) REQUIRE(decode(raw.body, &reply).ok());
    return reply;
  }
  Inode open(Client& client) {
    OpenRequest request;
    request.inode = file;
    request.flags = kOpenRead | kOpenWrite;
    request.handle = 7;
    request.knows_inline = true;
    return call<OpenRequest, OpenReply>(client, MetaMethod::open, request, true).inode;
  }
  LockWord lock(Client& client, bool knows_parts = true) {
    return call<LockRequest, LockReply>(client, MetaMethod::lock, {file, kExclusive, knows_parts}).lock;
  }
  LockExtentReply extent(Client& client, std::uint64_t begin, std::uint64_t end) {
    return call<LockExtentRequest, LockExtentReply>(client, MetaMethod::lock_extent, {file, begin, end, kExclusive});
  }
  Inode stat(Client& client) {
    return call<GetAttributesRequest, InodeReply>(client, MetaMethod::get_attributes, {file}).inode;
  }
  void give_back(Client& client, LockWord word) {
    UnlockRequest request;
    request.items.push_back({file, word >> 2});
    REQUIRE(client.run(client.call(MetaMethod::unlock, request, false)).ok());
  }
  static void knows(Client& client, InodeId inode, std::uint64_t size, bool cutting = false) {
    client.sizes[inode] = {size, size / 512, 5, 0, true, true, cutting};
  }
  Task<rpc::Reply> cut(Client& client, std::uint64_t size) {
    SetAttributesRequest request;
    request.inode = file;
    request.mask = kSetSize;
    request.size = size;
    request.handle = 1;  // a's
    rpc::Reply done = co_await client.call(MetaMethod::set_attributes, request, true);
    co_return std::move(done);
  }

  Served served;
  Client a{served.f, served.network, "a", 1};
  Client b{served.f, served.network, "b", 2};
  Client c{served.f, served.network, "c", 3};
  InodeId file = kNoInode;
  Status status{};
};

}  // namespace

TEST_CASE("a file that is written in turn is locked in parts, and who works elsewhere is left alone (S30)", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  REQUIRE(is_divided(bench.lock(bench.b)));
  const int revokes = bench.a.revokes + bench.b.revokes;
  LockExtentReply part = bench.extent(bench.a, 0, 65536);
  CHECK(part.begin == 0);
  CHECK(part.end == lock::kExtentEnd);
  part = bench.extent(bench.b, kMiB, 2 * kMiB);
  CHECK(part.begin == kMiB);
  CHECK(part.end == 2 * kMiB);
  CHECK(bench.a.extents_asked == 1);
  for (int i = 0; i < 10; ++i) {
    bench.extent(bench.a, 0, kMiB);
    bench.extent(bench.b, kMiB, 2 * kMiB);
  }
  CHECK(bench.a.extents_asked == 1);
  CHECK(bench.b.extents_asked == 0);
  CHECK(bench.a.revokes + bench.b.revokes == revokes);
}

TEST_CASE("the size of a file in parts is the greatest that anybody who writes it tells (S24)", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  bench.extent(bench.a, 0, kMiB);
  bench.extent(bench.b, kMiB, 2 * kMiB);
  Bench::knows(bench.a, bench.file, 100);
  Bench::knows(bench.b, bench.file, kMiB + 7);
  CHECK(bench.stat(bench.c).size == kMiB + 7);
  CHECK(bench.stat(bench.a).size == kMiB + 7);
  CHECK(is_divided(bench.stat(bench.a).lock));
  CHECK(bench.stat(bench.c).lock == 0);
  // What one tells with his close is no word about the others.
  CloseRequest close;
  close.items.push_back({bench.file, 7, {kMiB + 7, 8, 5, 0, true, true}, false});
  REQUIRE(bench.b.run(bench.b.call(MetaMethod::close, close, true)).ok());
  close.items[0] = {bench.file, 0, {100, 8, 5, 0, true, true}, false};
  REQUIRE(bench.a.run(bench.a.call(MetaMethod::close, close, true)).ok());
  CHECK(bench.served.f.stat(bench.file).size == kMiB + 7);
  CHECK((bench.served.f.stat(bench.file).flags & kExact) == 0);
}

TEST_CASE("what is told of a file in parts before a cut is not told after it", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  bench.extent(bench.a, 0, kMiB);
  Bench::knows(bench.a, bench.file, kMiB);
  // The file is cut when its writer has answered, and his answer is slow.
  bench.a.before_glimpse = [&]() -> Task<> {
    if (bench.a.glimpses != 1) co_return;
    const rpc::Reply done = co_await bench.cut(bench.a, 7);
    CHECK(done.ok());
    Bench::knows(bench.a, bench.file, 7);
  };
  CHECK(bench.stat(bench.c).size == 7);
  CHECK(bench.a.glimpses == 2);
}

TEST_CASE("who cuts a file in parts is asked until he knows what is left of it", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  bench.extent(bench.a, 0, kMiB);
  Bench::knows(bench.a, bench.file, kMiB, true);
  bench.a.before_glimpse = [&]() -> Task<> {
    if (bench.a.glimpses == 3) Bench::knows(bench.a, bench.file, 7);
    co_return;
  };
  CHECK(bench.stat(bench.b).size == 7);
  CHECK(bench.a.glimpses == 4);
}

TEST_CASE("who keeps a cut waiting with his share is told of before, and can give it back", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  bench.extent(bench.a, 0, kMiB);
  const LockWord share = bench.lock(bench.b);
  REQUIRE(is_divided(share));
  Bench::knows(bench.a, bench.file, kMiB, true);
  bench.b.on_revoke = Client::OnRevoke::keep;
  std::optional<rpc::Reply> cut;
  bench.a.tasks->spawn(Client::store(bench.cut(bench.a, 7), cut));
  bench.served.f.world.run_for(kSecond);
  REQUIRE_FALSE(cut.has_value());
  CHECK(bench.stat(bench.b).size == kMiB);
  bench.give_back(bench.b, share);
  bench.served.f.world.run_for(kSecond);
  REQUIRE(cut.has_value());
  CHECK(cut->ok());
}

TEST_CASE("a file in parts is whole again when one is left, or one comes who knows no parts", "[mds]") {
  Bench bench;
  const LockWord share = bench.lock(bench.a);
  REQUIRE(is_divided(share));
  bench.extent(bench.a, 0, kMiB);
  bench.extent(bench.b, kMiB, 2 * kMiB);
  bench.give_back(bench.a, share);
  bench.extent(bench.a, 0, kMiB);
  CHECK(bench.status.code == Code::busy);
  CHECK(is_divided(bench.stat(bench.b).lock));  // the other one may be back in a moment
  bench.served.f.world.run_for(kSecond);
  const LockWord whole = bench.stat(bench.b).lock;
  CHECK((whole & 3) == kExclusive);
  bench.extent(bench.b, 0, kMiB);
  CHECK(bench.status.code == Code::busy);

  REQUIRE(is_divided(bench.lock(bench.a)));
  REQUIRE(is_divided(bench.lock(bench.b)));
  const int revokes = bench.a.revokes + bench.b.revokes;
  CHECK((bench.lock(bench.c, false) & 3) == kExclusive);
  CHECK(bench.a.revokes + bench.b.revokes == revokes + 2);
}

TEST_CASE("a file whose bytes are beside its inode is not locked in parts, until it has moved out", "[mds]") {
  Bench bench(false);
  for (int i = 0; i < 4; ++i) {
    CHECK((bench.lock(bench.a) & 3) == kExclusive);
    CHECK((bench.lock(bench.b) & 3) == kExclusive);
  }
  CloseRequest moved;
  moved.items.push_back({bench.file, 0, {kMiB, 8, 5, 0, true, false}, false, {false, {}, true}});
  REQUIRE(bench.b.run(bench.b.call(MetaMethod::close, moved, true)).ok());
  bench.lock(bench.a);
  CHECK(is_divided(bench.lock(bench.b)));
}

TEST_CASE("who does not give a part back is evicted, and others get it", "[mds]") {
  Bench bench;
  REQUIRE(is_divided(bench.lock(bench.a)));
  bench.extent(bench.a, 0, kMiB);
  bench.a.on_revoke = Client::OnRevoke::keep;
  const LockExtentReply part = bench.extent(bench.b, 0, kMiB);
  CHECK(bench.status.ok());
  CHECK(part.end == lock::kExtentEnd);
  REQUIRE(bench.served.f.mds().evictions().size() == 1);
}

}  // namespace rideau::mds
