// SPDX-License-Identifier: Apache-2.0
// Goal: who asks about a file that somebody writes is told how large it is by now, and the writer keeps its lock (S24);
// where the writer does not know, or nobody has the file open for writing, the lock is asked back as ever.
#include "tests/unit/mds/service_bench.hpp"

namespace rideau::mds {
namespace {

struct Bench {
  Bench() {
    const rpc::Reply raw = writer.make("f", 1);
    MakeReply made;
    REQUIRE(decode(raw.body, &made).ok());
    REQUIRE((made.inode.lock & 3) == static_cast<LockWord>(lock::Mode::exclusive));
    file = made.inode.id;
  }
  static Task<rpc::Reply> ask(Client& client, InodeId inode) {
    GetAttributesRequest request;
    request.inode = inode;
    co_return co_await client.call(MetaMethod::get_attributes, request, false);  // which is lent the request
  }
  static Inode told(const rpc::Reply& raw) {
    InodeReply reply;
    REQUIRE(raw.ok());
    REQUIRE(decode(raw.body, &reply).ok());
    return reply.inode;
  }
  Inode stat(Client& client) { return told(client.run(ask(client, file))); }
  void wrote(std::uint64_t size) { writer.sizes[file] = {size, size / 512, writer.node.wall_ns(), 0, true}; }

  Served served;
  Client writer{served.f, served.network, "writer", 1};
  Client other{served.f, served.network, "other", 2};
  InodeId file = kNoInode;
};

}  // namespace

TEST_CASE("the size of a file that is written is asked of its writer, who keeps his lock (S24)", "[mds]") {
  Bench bench;
  for (std::uint64_t size = 4096; size < 10 * 4096; size += 4096) {
    bench.wrote(size);
    const Inode seen = bench.stat(bench.other);
    CHECK(seen.size == size);
    CHECK(seen.blocks == size / 512);
    CHECK((seen.flags & kExact) != 0);  // nothing else has to be asked
    CHECK(seen.lock == 0);              // and nothing of it may be kept
  }
  LookupRequest by_name;
  by_name.parent = kRootInode;
  by_name.name = "f";
  bench.wrote(77);
  CHECK(Bench::told(bench.other.run(bench.other.call(MetaMethod::lookup, by_name, false))).size == 77);
  CHECK(bench.writer.revokes == 0);
  CHECK(bench.writer.glimpses == 10);
  // The record waits for what the writer tells when it has written.
  CHECK((bench.served.f.stat(bench.file).flags & kExact) == 0);
  CHECK(bench.served.f.stat(bench.file).size == 0);
}

TEST_CASE("times that were set explicitly are not overridden by a glimpse of before (S11)", "[mds]") {
  Bench bench;
  SetAttributesRequest times;
  times.inode = bench.file;
  times.mask = kSetMtime;
  times.mtime_ns = 5;
  REQUIRE(bench.writer.run(bench.writer.call(MetaMethod::set_attributes, times, true)).ok());
  bench.wrote(10);
  CHECK(bench.stat(bench.other).mtime_ns == 5);
  bench.writer.sizes[bench.file].time_generation = bench.served.f.stat(bench.file).time_generation;
  CHECK(bench.stat(bench.other).mtime_ns == bench.writer.sizes[bench.file].mtime_ns);
}

TEST_CASE("a writer who does not know is asked for the lock", "[mds]") {
  Bench bench;
  const Inode seen = bench.stat(bench.other);
  CHECK((seen.lock & 3) == static_cast<LockWord>(lock::Mode::shared));
  CHECK(bench.writer.revokes == 1);
  CHECK(bench.writer.glimpses == 1);
}

TEST_CASE("a lock under which nobody writes is asked back at once", "[mds]") {
  Bench bench;
  bench.wrote(10);
  CloseRequest close;
  close.items.push_back({bench.file, 1, {10, 1, 1, 0, true}});
  REQUIRE(bench.writer.run(bench.writer.call(MetaMethod::close, close, true)).ok());
  const Inode seen = bench.stat(bench.other);
  CHECK(seen.size == 10);
  CHECK((seen.lock & 3) == static_cast<LockWord>(lock::Mode::shared));
  CHECK(bench.writer.revokes == 1);
  CHECK(bench.writer.glimpses == 0);
}

TEST_CASE("a question is answered with what was so after it came", "[mds]") {
  Bench bench;
  Client third(bench.served.f, bench.served.network, "third", 3);
  WaitQueue on_its_way(bench.writer.node);
  bench.wrote(100);
  bench.writer.before_glimpse = [&]() -> Task<> {
    if (bench.writer.glimpses == 1) co_await on_its_way.wait();
  };
  std::optional<rpc::Reply> early;
  bench.other.tasks->spawn(Client::store(Bench::ask(bench.other, bench.file), early));
  bench.served.f.world.run_for(kSecond);
  REQUIRE(bench.writer.glimpses == 1);
  bench.wrote(200);
  std::optional<rpc::Reply> late;
  third.tasks->spawn(Client::store(Bench::ask(third, bench.file), late));
  bench.served.f.world.run_for(kSecond);
  on_its_way.wake_all();
  bench.served.f.world.run_for(kSecond);
  REQUIRE(early.has_value());
  REQUIRE(late.has_value());
  CHECK(Bench::told(*early).size == 100);
  CHECK(Bench::told(*late).size == 200);
  CHECK(bench.writer.glimpses == 2);
}

TEST_CASE("a glimpse of before a change of the inode is not mixed with what came after it", "[mds]") {
  Bench bench;
  bench.wrote(100);
  // The writer cuts the file when it has answered, and its answer is slow.
  bench.writer.before_glimpse = [&]() -> Task<> {
    if (bench.writer.glimpses != 1) co_return;
    SetAttributesRequest cut;
    cut.inode = bench.file;
    cut.mask = kSetSize;
    cut.size = 7;
    cut.handle = 1;
    const rpc::Reply done = co_await bench.writer.call(MetaMethod::set_attributes, cut, true);
    CHECK(done.ok());
    bench.wrote(7);
  };
  CHECK(bench.stat(bench.other).size == 7);
  CHECK(bench.writer.glimpses == 2);
  CHECK(bench.writer.revokes == 0);
}

TEST_CASE("a writer who answers no glimpse is evicted", "[mds]") {
  Bench bench;
  bench.writer.on_revoke = Client::OnRevoke::silent;
  const std::uint64_t before = bench.served.f.world.now_ns();
  CHECK(bench.stat(bench.other).size == 0);
  const std::uint64_t waited_ms = (bench.served.f.world.now_ns() - before) / kMillisecond;
  CHECK(waited_ms >= limits::kCallbackMs / 2);
  CHECK(waited_ms <= limits::kCallbackMs + 10'000);
  REQUIRE(bench.served.f.mds().evictions().size() == 1);
  CHECK(bench.served.f.mds().evictions().front().find("no answer to a question") != std::string::npos);
}

}  // namespace rideau::mds
