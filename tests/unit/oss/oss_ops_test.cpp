// SPDX-License-Identifier: Apache-2.0
// Goal: the operations of an object target do what their requests say: in order where they overlap, once where a
// version says so, never on a destroyed object, never promising more space than there is.
#include "plugins/fs/object_parts.hpp"
#include "tests/unit/oss/oss_bench.hpp"

#include <cerrno>

namespace rideau::oss {
namespace {

// A target without the calls around it.
struct Ops {
  explicit Ops(OssBench& bench)
      : life(bench.live()),
        index(life->index.index_store(), bench.options.destroyed_max),
        target{life->node,
               life->log,
               life->objects.object_store(),
               index,
               {},
               Grants(bench.options.grants),
               Fences(life->node, life->log, index)} {
    life->run(open(bench));
  }
  ~Ops() {
    life->node.kill();
    life->tasks.reset();
  }
  Task<> open(OssBench& bench) {
    std::string why;
    Status status = co_await index.open(bench.options.cluster, bench.options.target, {}, &why);
    if (status.code == Code::not_found) {
      status = co_await index.format(bench.options.cluster, bench.options.target, &why);
      RIDEAU_HOLDS(status.ok());
      status = co_await index.open(bench.options.cluster, bench.options.target, {}, &why);
    }
    RIDEAU_HOLDS(status.ok());
  }
  std::unique_ptr<OssLife> life;
  OssIndex index;
  Target target;
};

class Room final : public ReadRoom {
 public:
  Task<rpc::ServerCall::Room> take(std::uint64_t size) override {
    bytes.assign(size, 0xee);
    // Two parts, as where the caller's memory lies in pieces.
    parts[0] = {bytes.data(), size / 3};
    parts[1] = {bytes.data() + size / 3, size - size / 3};
    co_return rpc::ServerCall::Room{parts, 2};
  }
  std::vector<std::uint8_t> bytes;
  IoVec parts[2] = {};
};

Task<Result<fs::ObjectWriteReply>> put(Target& target, ObjectId id, std::uint64_t offset, std::string bytes,
                                       std::uint64_t wanted = 0, std::uint64_t used = 0, std::uint64_t session = 1) {
  const IoVec parts[2] = {{bytes.data(), bytes.size() / 2},
                          {bytes.data() + bytes.size() / 2, bytes.size() - bytes.size() / 2}};
  const fs::ObjectWriteRequest request{id, offset, wanted, used};
  co_return co_await write(target, session, request, parts, 2);
}

Task<std::string> get(Target& target, ObjectId id, std::uint64_t offset, std::uint64_t size, Status* status = nullptr,
                      std::uint64_t* object_size = nullptr, std::uint64_t size_max = ~0ull) {
  Room room;
  const fs::ObjectReadRequest request{id, offset, size};
  const Result<ReadDone> done = co_await read(target, request, size_max, room);
  if (status != nullptr) *status = done.status();
  if (!done.ok()) co_return "";
  if (object_size != nullptr) *object_size = done->reply.object_size;
  co_return std::string(room.bytes.begin(), room.bytes.begin() + static_cast<long>(done->bytes));
}

constexpr ObjectId kObject{42, 1};

Task<> read_and_write(Ops& ops) {
  Target& target = ops.target;
  std::uint64_t size = 99;
  std::string got = co_await get(target, kObject, 0, 10, nullptr, &size);
  RIDEAU_HOLDS(got.empty() && size == 0);
  Result<fs::ObjectWriteReply> done = co_await put(target, kObject, 100, "hello world");
  RIDEAU_HOLDS(done.ok());
  RIDEAU_HOLDS(done->bytes_used > 0);
  got = co_await get(target, kObject, 98, 100, nullptr, &size);
  RIDEAU_HOLDS(got == std::string(2, '\0') + "hello world");
  RIDEAU_HOLDS(size == 111);
  got = co_await get(target, kObject, 100, 100, nullptr, nullptr, 5);  // the room of the call bounds it
  RIDEAU_HOLDS(got == "hello");
  got = co_await get(target, kObject, 111, 100);
  RIDEAU_HOLDS(got.empty());
  // Larger than one call of the store takes.
  const std::string large(9 << 20, 'x');
  done = co_await put(target, kObject, 3, large);
  RIDEAU_HOLDS(done.ok());
  got = co_await get(target, kObject, 3, large.size());
  RIDEAU_HOLDS(got == large);
  fs::ObjectStatRequest stats;
  stats.objects = {kObject, {42, 2}};
  const Result<fs::ObjectStatReply> stat = co_await oss::stat(target, stats);
  RIDEAU_HOLDS(stat.ok());
  RIDEAU_HOLDS(stat->items[0].size == large.size() + 3);
  RIDEAU_HOLDS(stat->items[1].size == 0 && stat->items[1].bytes_used == 0);
  done = co_await put(target, kObject, target.store.limits().object_bytes_max, "x");
  RIDEAU_HOLDS(errno_of(done.status()) == EFBIG);
}

Task<> versions(Ops& ops) {
  Target& target = ops.target;
  const CallIdentity call{5, {}, 2, 1, 3};
  fs::ObjectVersionReply reply;
  static_cast<void>(co_await put(target, kObject, 0, "0123456789"));
  fs::ObjectTruncateRequest request{kObject, 5, 100};
  Status status = co_await truncate(target, request, call, &reply);
  RIDEAU_HOLDS(status.ok() && reply.version == 100);
  static_cast<void>(co_await put(target, kObject, 0, "abcdefghij"));
  status = co_await truncate(target, request, call, &reply);  // again: done already, nothing is cut
  RIDEAU_HOLDS(status.ok() && reply.version == 100);
  std::string got = co_await get(target, kObject, 0, 100);
  RIDEAU_HOLDS(got == "abcdefghij");
  request.version = 99;
  status = co_await truncate(target, request, call, &reply);
  RIDEAU_HOLDS(status.code == Code::check_failed && reply.version == 100);
  fs::ObjectPunchRequest hole{kObject, 2, 3, 100};
  status = co_await punch(target, hole, call, &reply);  // of the truncate: seen already
  RIDEAU_HOLDS(status.ok());
  got = co_await get(target, kObject, 0, 100);
  RIDEAU_HOLDS(got == "abcdefghij");
  hole.version = 101;
  status = co_await punch(target, hole, call, &reply);
  RIDEAU_HOLDS(status.ok() && reply.version == 101);
  got = co_await get(target, kObject, 0, 100);
  RIDEAU_HOLDS(got == std::string("ab") + std::string(3, '\0') + "fghij");
  // Cutting what is not there to nothing makes nothing.
  const fs::ObjectTruncateRequest nothing{{43, 0}, 0, 1};
  status = co_await truncate(target, nothing, call, &reply);
  RIDEAU_HOLDS(status.ok());
  Result<fs::ObjectStatFileSystemReply> space = stat_file_system(target);
  RIDEAU_HOLDS(space.ok() && space->objects == 1);
  status = co_await ops.index.end_session(5);
  RIDEAU_HOLDS(status.ok());
}

Task<> destroyed(Ops& ops, bool first) {
  Target& target = ops.target;
  fs::ObjectDestroyRequest request;
  request.objects = {kObject, {42, 2}};
  if (first) {
    static_cast<void>(co_await put(target, kObject, 0, "bytes"));
    const Status status = co_await destroy(target, request, {});
    RIDEAU_HOLDS(status.ok());
  }
  const Status again = co_await destroy(target, request, {});
  RIDEAU_HOLDS(again.ok());
  for (const ObjectId id : request.objects) {
    const Result<fs::ObjectWriteReply> late = co_await put(target, id, 0, "late");
    RIDEAU_HOLDS(errno_of(late.status()) == ESTALE);
    fs::ObjectVersionReply reply;
    const fs::ObjectTruncateRequest cut{id, 10, 1000};
    const Status status = co_await truncate(target, cut, {}, &reply);
    RIDEAU_HOLDS(errno_of(status) == ESTALE);
  }
  const Result<fs::ObjectStatFileSystemReply> space = stat_file_system(target);
  RIDEAU_HOLDS(space.ok() && space->objects == 0);
}

Task<> destroy_many(Ops& ops, std::uint64_t inode_begin, std::uint64_t inode_end) {
  fs::ObjectDestroyRequest request;
  for (std::uint64_t inode = inode_begin; inode < inode_end; ++inode) request.objects.push_back({inode, 0});
  const Status status = co_await destroy(ops.target, request, {});
  RIDEAU_HOLDS(status.ok());
}

Task<> space_and_grants(Ops& ops, sim::SimObjectDisk& disk) {
  Target& target = ops.target;
  const std::uint64_t total = disk.options().bytes_total;
  std::uint64_t held[3] = {};
  for (int round = 0; round < 200; ++round) {
    const auto session = static_cast<std::uint64_t>(round % 3);
    const Result<fs::ObjectWriteReply> done = co_await put(target, {1, session}, static_cast<std::uint64_t>(round) * 10,
                                                           "some bytes", 64 << 20, held[session] / 2, session);
    RIDEAU_HOLDS(done.ok());
    held[session] += done->grant - held[session] / 2;
    ObjectSpace space{};
    RIDEAU_HOLDS(target.store.space(&space).ok());
    RIDEAU_HOLDS(target.grants.outstanding() == held[0] + held[1] + held[2]);
    RIDEAU_HOLDS(target.grants.outstanding() + total / 16 <= space.bytes_free);
  }
  target.grants.forget(0);
  RIDEAU_HOLDS(target.grants.outstanding() == held[1] + held[2]);
  target.grants.use(1, ~0ull);  // a client may claim anything
  RIDEAU_HOLDS(target.grants.outstanding() == held[2]);
  disk.set_full(true);
  const Result<fs::ObjectWriteReply> done = co_await put(target, {1, 9}, 1 << 20, std::string(1 << 20, 'x'), 1 << 20);
  RIDEAU_HOLDS(errno_of(done.status()) == ENOSPC);
}

// What the store has done is answered as done, whether the index has room for the version or not.
Task<> changes_of_a_full_index(Ops& ops, sim::SimIndexDisk& disk) {
  Target& target = ops.target;
  const CallIdentity call{5, {}, 2, 1, 3};
  fs::ObjectVersionReply reply;
  static_cast<void>(co_await put(target, kObject, 0, "0123456789"));
  disk.set_full(true);
  const fs::ObjectTruncateRequest cut{kObject, 5, 100};
  Status status = co_await truncate(target, cut, call, &reply);
  RIDEAU_HOLDS(status.ok() && reply.version == 100);
  std::string got = co_await get(target, kObject, 0, 100);
  RIDEAU_HOLDS(got == "01234");
  static_cast<void>(co_await put(target, kObject, 0, "abcdefghij"));
  status = co_await truncate(target, cut, call, &reply);  // done already
  RIDEAU_HOLDS(status.ok() && reply.version == 100);
  status = co_await punch(target, {kObject, 0, 5, 99}, call, &reply);  // of before
  RIDEAU_HOLDS(status.code == Code::check_failed && reply.version == 100);
  got = co_await get(target, kObject, 0, 100);
  RIDEAU_HOLDS(got == "abcdefghij");
  // Those of many objects are remembered, the newest of them.
  constexpr std::uint64_t kMany = 5'000;
  for (std::uint64_t i = 1; i <= kMany; ++i) {
    status = co_await truncate(target, {{1'000 + i, 0}, 0, 1'000 + i}, call, &reply);
    RIDEAU_HOLDS(status.ok());
  }
  Result<std::uint64_t> version = ops.index.version({1'000 + kMany, 0});
  RIDEAU_HOLDS(version.ok() && *version == 1'000 + kMany);
  version = ops.index.version({1'001, 0});
  RIDEAU_HOLDS(version.ok() && *version == 0);
  RIDEAU_HOLDS(disk.count_with("v") == 0);
  // With room again the next one is written.
  disk.set_full(false);
  status = co_await truncate(target, {kObject, 1, 7'000}, call, &reply);
  RIDEAU_HOLDS(status.ok() && disk.count_with("v") == 1);
  version = ops.index.version(kObject);
  RIDEAU_HOLDS(version.ok() && *version == 7'000);
}

Task<> one_writer(Ops& ops, char letter, int& running) {
  for (int i = 0; i < 10; ++i) {
    const Result<fs::ObjectWriteReply> done = co_await put(ops.target, kObject, 0, std::string(100'000, letter));
    RIDEAU_HOLDS(done.ok());
    const std::string got = co_await get(ops.target, kObject, 0, 100'000);
    RIDEAU_HOLDS(got == std::string(100'000, got[0]));  // one writer's bytes, never a mixture
  }
  --running;
}

Task<> stored_bytes_after_sync(Ops& ops) {
  static_cast<void>(co_await put(ops.target, kObject, 0, std::string(50'000, 'a')));
  fs::ObjectVersionReply reply;
  const fs::ObjectTruncateRequest cut{kObject, 40'000, 500};
  Status status = co_await truncate(ops.target, cut, {}, &reply);
  RIDEAU_HOLDS(status.ok());
  fs::ObjectSyncRequest request;
  request.objects = {kObject};
  status = co_await sync(ops.target, request);
  RIDEAU_HOLDS(status.ok());
}

Task<> check_after_power_cut(Ops& ops) {
  const std::string got = co_await get(ops.target, kObject, 0, 100'000);
  RIDEAU_HOLDS(got == std::string(40'000, 'a'));
  const Result<std::uint64_t> version = ops.index.version(kObject);
  RIDEAU_HOLDS(version.ok() && *version == 500);
}

Task<> listed(Ops& ops) {
  for (std::uint64_t inode = 1; inode <= 9; ++inode) {
    for (std::uint64_t stripe = 0; stripe < 2; ++stripe) {
      static_cast<void>(co_await put(ops.target, {inode, stripe}, 0, "bytes"));
    }
  }
  std::vector<ObjectId> all;
  fs::ObjectListRequest request;
  request.count = 4;
  request.end = 8;
  for (;;) {
    const Result<fs::ObjectListReply> portion = co_await list(ops.target, request);
    RIDEAU_HOLDS(portion.ok());
    if (portion->objects.empty()) break;
    RIDEAU_HOLDS(portion->objects.size() <= 4);
    all.insert(all.end(), portion->objects.begin(), portion->objects.end());
    request.after = all.back();
  }
  RIDEAU_HOLDS(all.size() == 14);
  for (std::size_t i = 0; i < all.size(); ++i) RIDEAU_HOLDS((all[i] == ObjectId{1 + i / 2, i % 2}));
}

// Walks over everything in parts of at most `size` bytes.
Task<> verified(Ops& ops, std::uint64_t size, fs::ObjectVerifyReply& sum) {
  fs::ObjectVerifyRequest request;
  request.size = size;
  for (int part = 0; part < 10'000; ++part) {
    const Result<fs::ObjectVerifyReply> reply = co_await verify(ops.target, request);
    RIDEAU_HOLDS(reply.ok());
    RIDEAU_HOLDS(reply->bytes <= size);
    sum.bytes += reply->bytes;
    sum.objects += reply->objects;
    sum.damages.insert(sum.damages.end(), reply->damages.begin(), reply->damages.end());
    if (reply->end) co_return;
    request.object = reply->object;
    request.offset = reply->offset;
  }
  RIDEAU_HOLDS(false);
}

Task<> verified_all(Ops& ops, sim::SimObjectDisk& disk) {
  for (std::uint64_t inode = 1; inode <= 100; ++inode) {
    static_cast<void>(co_await put(ops.target, {inode, 0}, 0, "bytes"));
  }
  static_cast<void>(co_await put(ops.target, kObject, 0, std::string(700'000, 'a')));
  for (const std::uint64_t size : {1'000, 100'000, 10'000'000}) {
    fs::ObjectVerifyReply sum;
    co_await verified(ops, size, sum);
    RIDEAU_HOLDS(sum.objects == 101 && sum.bytes == 700'500 && sum.damages.empty());
  }
  RIDEAU_HOLDS(disk.flip_bit(1));
  for (const std::uint64_t size : {1'000, 100'000, 10'000'000}) {
    fs::ObjectVerifyReply sum;
    co_await verified(ops, size, sum);
    RIDEAU_HOLDS(sum.objects == 101 && sum.bytes == 700'500 && sum.damages.size() == 1);
  }
}

Task<> flipped_bit(Ops& ops, sim::SimObjectDisk& disk) {
  static_cast<void>(co_await put(ops.target, kObject, 0, std::string(50'000, 'a')));
  RIDEAU_HOLDS(disk.flip_bit(1));
  Status status{};
  const std::string got = co_await get(ops.target, kObject, 0, 50'000, &status);
  RIDEAU_HOLDS(errno_of(status) == EIO);
  RIDEAU_HOLDS(ops.life->log.contains("read of object 42.1 failed: corrupt"));
}

}  // namespace

TEST_CASE("objects come with their first write; what is not there is not sent") {
  OssBench bench(1);
  Ops ops(bench);
  ops.life->run(read_and_write(ops));
  CHECK(ops.target.locks.idle());
}

TEST_CASE("truncate and punch happen once") {
  OssBench bench(2);
  Ops ops(bench);
  ops.life->run(versions(ops));
  // The session's records went with it; one version is left.
  for (const auto& [key, value] : bench.index_disk->entries()) {
    CHECK(key[0] != 's');
    CHECK(key[0] != 'l');
  }
  CHECK(bench.index_disk->entries().count(version_key(kObject)) == 1);
}

TEST_CASE("an index without room fails no change that the store has made") {
  OssBench bench(13);
  Ops ops(bench);
  ops.life->run(changes_of_a_full_index(ops, *bench.index_disk));
}

TEST_CASE("objects are listed in ascending order, a portion a call, below an inode") {
  OssBench bench(3);
  Ops ops(bench);
  ops.life->run(listed(ops));
}

TEST_CASE("a destroyed object stays destroyed, after a power cut too") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    OssBench bench(seed);
    {
      Ops ops(bench);
      ops.life->run(destroyed(ops, true));
    }
    bench.index_disk->power_cut(seed);
    bench.object_disk->power_cut(seed);
    Ops ops(bench);
    ops.life->run(destroyed(ops, false));
  }
}

TEST_CASE("records of destroyed objects are bounded, and the newest are kept") {
  OssBench bench(3);
  bench.options.destroyed_max = 1'000;
  {
    Ops ops(bench);
    ops.life->run(destroy_many(ops, 100, 2'500));
    ops.life->run(destroy_many(ops, 2'000, 2'500));  // the same ones again need no more records
    CHECK_FALSE(ops.index.is_destroyed({100, 0}));
    CHECK(ops.index.is_destroyed({2'499, 0}));
    CHECK(ops.index.is_destroyed({2'000, 0}));
  }
  std::size_t records = 0;
  for (const auto& [key, value] : bench.index_disk->entries()) records += key[0] == 'd' ? 1 : 0;
  CHECK(records <= 1'000);
  CHECK(records >= 500);
  {
    Ops ops(bench);
    CHECK(ops.index.is_destroyed({2'499, 0}));
    bench.index_disk->set_full(true);  // destroying goes on with a full index
    ops.life->run(destroy_many(ops, 5'000, 5'100));
    CHECK(ops.index.is_destroyed({5'050, 0}));
  }
  // Somebody who sends bytes again after a power cut must not bring one back.
  bench.index_disk->set_full(false);
  bench.index_disk->power_cut(1);
  Ops ops(bench);
  CHECK(ops.index.is_destroyed({5'050, 0}));
}

TEST_CASE("grants never promise more than is free; a full target says so") {
  sim::SimObjectOptions small;
  small.bytes_total = 256 << 20;
  OssBench bench(4, small);
  Ops ops(bench);
  ops.life->run(space_and_grants(ops, *bench.object_disk));
}

TEST_CASE("writes that overlap come one after the other") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    OssBench bench(seed);
    Ops ops(bench);
    int running = 4;
    for (int i = 0; i < 4; ++i) ops.life->tasks->spawn(one_writer(ops, static_cast<char>('a' + i), running));
    REQUIRE(bench.world.run_until([&] { return running == 0; }, bench.world.now_ns() + 60 * kSecond) ==
            sim::SimWorld::End::done);
    CHECK(ops.target.locks.idle());
  }
}

TEST_CASE("what sync answered for survives a power cut, versions included") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    OssBench bench(seed);
    {
      Ops ops(bench);
      ops.life->run(stored_bytes_after_sync(ops));
    }
    bench.index_disk->power_cut(seed);
    bench.object_disk->power_cut(seed);
    Ops ops(bench);
    ops.life->run(check_after_power_cut(ops));
  }
}

TEST_CASE("a walk over everything reads each byte once and finds a flipped bit, whatever a part is") {
  OssBench bench(6);
  Ops ops(bench);
  ops.life->run(verified_all(ops, *bench.object_disk));
}

TEST_CASE("a flipped bit is EIO and a line in the log, never wrong bytes") {
  OssBench bench(5);
  Ops ops(bench);
  ops.life->run(flipped_bit(ops, *bench.object_disk));
}

}  // namespace rideau::oss
