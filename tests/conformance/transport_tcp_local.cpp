// SPDX-License-Identifier: Apache-2.0
// Goal: memory that both ends of a tcp link within one machine see. What is lent is reached in place; what was taken
// back reaches nobody, also when it was held at that moment; nothing that a peer says of it is believed.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_tcp.hpp"
#include "transports/tcp/shown_memory.hpp"
#include "transports/tcp/socket.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rideau {
namespace {

using transport_suite::Pair;
using transport_suite::Stage;

constexpr std::size_t kBytes = 64 << 10;

struct Bench {
  explicit Bench(const TcpFactory::Settings& settings = {})
      : host(runtime), factory(host, settings), report(stdout), stage(runtime, factory, report, 1) {}
  void run(Task<> (*body)(Bench&)) {
    runtime.run(around(body));
    report.finish();
    CHECK(report.exit_status() == 0);
  }
  Task<> around(Task<> (*body)(Bench&)) {
    report.rule("tcp.local");
    const bool open = co_await stage.open();
    REQUIRE(open);
    pair = co_await stage.connect();
    REQUIRE(pair.near != nullptr);
    // The greetings have been read when a message has come each way.
    const bool works = co_await stage.works(pair);
    CHECK(works);
    co_await body(*this);
    co_await stage.finish(pair);
    co_await stage.close();
  }
  Task<> lend(std::uint8_t* memory, std::uint32_t access) {
    part = {memory, kBytes};
    const Status lent = pair.near->link->lend(&part, 1, access, &region, &key);
    CHECK(lent.ok());
    const bool told = co_await stage.tell(*pair.near, key);
    CHECK(told);
  }
  Task<> reclaim() {
    const Outcome done = co_await submit([&](Completion& c) { return pair.near->link->reclaim(*region, c); });
    CHECK(done.ok());
  }
  Status reach(std::uint64_t offset, std::uint64_t size, Access access, Reach* out) {
    return pair.far->link->reach(key, offset, size, access, out);
  }

  RealRuntime runtime;
  TestHost host;
  TcpFactory factory;
  Report report;
  Stage stage;
  Pair pair;
  IoVec part{};
  Region* region = nullptr;
  RegionKey key{};
};

std::uint8_t* bytes_of(const Reach& reach) { return static_cast<std::uint8_t*>(reach.parts[0].base); }

Task<> reach_in_place(Bench& bench) {
  std::uint8_t* memory = bench.factory.memory().source->take(kBytes);
  std::memset(memory, 7, kBytes);
  co_await bench.lend(memory, kAccessPull | kAccessPush);
  CHECK(bench.pair.near->link->shows(*bench.region));
  Reach reach;
  REQUIRE(bench.reach(100, 1000, kAccessPush, &reach).ok());
  REQUIRE(reach.part_count == 1);
  CHECK(reach.parts[0].size == 1000);
  CHECK(bytes_of(reach) != memory + 100);  // another mapping of the same pages
  CHECK(bytes_of(reach)[999] == 7);
  std::memset(bytes_of(reach), 9, 1000);
  CHECK((memory[99] == 7 && memory[100] == 9 && memory[1099] == 9 && memory[1100] == 7));
  bench.pair.far->link->let_go(reach);
  co_await bench.reclaim();
  std::uint64_t offset = 0;
  CHECK(bench.factory.memory().shared->find(memory, kBytes, &offset));  // nobody held it: it can be shown again
  bench.factory.memory().source->put(memory, kBytes);
}

Task<> refuse(Bench& bench) {
  std::uint8_t* memory = bench.factory.memory().source->take(kBytes);
  co_await bench.lend(memory, kAccessPull);
  Reach reach;
  CHECK(bench.reach(0, kBytes, kAccessPush, &reach).code == Code::unsupported);
  CHECK(bench.reach(1, kBytes, kAccessPull, &reach).code == Code::unsupported);
  CHECK(bench.reach(~0ull, 8, kAccessPull, &reach).code == Code::unsupported);
  co_await bench.reclaim();
  CHECK(bench.reach(0, kBytes, kAccessPull, &reach).code == Code::unsupported);
  co_await bench.lend(memory, kAccessPull);
  const RegionKey now = bench.key;
  bench.key.bytes[8] ^= 1;  // the token
  CHECK(bench.reach(0, kBytes, kAccessPull, &reach).code == Code::unsupported);
  bench.key = now;
  co_await bench.reclaim();
  bench.factory.memory().source->put(memory, kBytes);
  // Memory from elsewhere is not shown, and moved all the same.
  std::vector<std::uint8_t> elsewhere(kBytes, 3);
  co_await bench.lend(elsewhere.data(), kAccessPull);
  CHECK(!bench.pair.near->link->shows(*bench.region));
  CHECK(bench.reach(0, kBytes, kAccessPull, &reach).code == Code::unsupported);
  std::vector<std::uint8_t> got(kBytes);
  const IoVec into{got.data(), got.size()};
  const Outcome pulled =
      co_await submit([&](Completion& c) { return bench.pair.far->link->pull(bench.key, 0, &into, 1, c); });
  CHECK(pulled.ok());
  CHECK(got == elsewhere);
  co_await bench.reclaim();
}

Task<> cut_off_holder(Bench& bench) {
  std::uint8_t* memory = bench.factory.memory().source->take(kBytes);
  std::uint8_t* beside = bench.factory.memory().source->take(kBytes);
  std::memset(memory, 7, kBytes);
  co_await bench.lend(memory, kAccessPush);
  Reach reach;
  REQUIRE(bench.reach(0, kBytes, kAccessPush, &reach).ok());
  bytes_of(reach)[0] = 8;
  co_await bench.reclaim();
  CHECK(memory[0] == 8);
  std::memset(bytes_of(reach), 9, kBytes);  // late
  CHECK((memory[0] == 8 && memory[1] == 7 && memory[kBytes - 1] == 7));
  bench.pair.far->link->let_go(reach);
  std::uint64_t offset = 0;
  SharedMemory& shared = *bench.factory.memory().shared;
  CHECK(!shared.find(memory, kBytes, &offset));
  CHECK(shared.find(beside, kBytes, &offset));
  // It serves on as private memory, and the one beside it is shown.
  co_await bench.lend(memory, kAccessPush);
  CHECK(!bench.pair.near->link->shows(*bench.region));
  co_await bench.reclaim();
  co_await bench.lend(beside, kAccessPush);
  CHECK(bench.pair.near->link->shows(*bench.region));
  co_await bench.reclaim();
  bench.factory.memory().source->put(memory, kBytes);
  bench.factory.memory().source->put(beside, kBytes);
  CHECK(bench.factory.memory().source->take(kBytes) != memory);  // never given out again
}

// Two regions share pages; one is taken back while it is held.
Task<> cut_neighbour(Bench& bench) {
  std::uint8_t* memory = bench.factory.memory().source->take(kBytes);
  Link& near = *bench.pair.near->link;
  const IoVec front{memory, 1000};
  const IoVec back{memory + 1000, 1000};
  Region* regions[2] = {};
  RegionKey keys[2];
  CHECK(near.lend(&front, 1, kAccessPush, &regions[0], &keys[0]).ok());
  CHECK(near.lend(&back, 1, kAccessPull, &regions[1], &keys[1]).ok());
  Reach reach;
  REQUIRE(bench.pair.far->link->reach(keys[0], 0, 1000, kAccessPush, &reach).ok());
  const Outcome first = co_await submit([&](Completion& c) { return near.reclaim(*regions[0], c); });
  CHECK(first.ok());
  CHECK(!near.shows(*regions[1]));
  bench.pair.far->link->let_go(reach);
  const Outcome second = co_await submit([&](Completion& c) { return near.reclaim(*regions[1], c); });
  CHECK(second.ok());
  const bool works = co_await bench.stage.works(bench.pair);
  CHECK(works);
}

Task<> plain(Bench& bench) {
  RealSharedMemory offered;
  CHECK(!bench.stage.near().offer(offered));
  std::uint8_t* memory = offered.take(kBytes);
  co_await bench.lend(memory, kAccessPull);
  CHECK(!bench.pair.near->link->shows(*bench.region));
  Reach reach;
  CHECK(bench.reach(0, kBytes, kAccessPull, &reach).code == Code::unsupported);
  co_await bench.reclaim();
}

int open_file(std::uint64_t bytes, bool sealed) {
  const int file = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(::ftruncate(file, static_cast<off_t>(bytes)) == 0);
  if (sealed) REQUIRE(::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  return file;
}

}  // namespace

TEST_CASE("a region in offered memory is reached in place") { Bench().run(reach_in_place); }
TEST_CASE("what is not lent so is not reached") { Bench().run(refuse); }
TEST_CASE("who still holds what was taken back is cut off") { Bench().run(cut_off_holder); }
TEST_CASE("a region that shares pages with what is cut off is moved from then on") { Bench().run(cut_neighbour); }
TEST_CASE("without `local` nothing is shown") { Bench({{"local", 0}}).run(plain); }

TEST_CASE("files that could shrink, or are none of ours, are not mapped") {
  constexpr std::uint64_t kTable = sizeof(tcp::ShownRecord) * 4096;
  const int good_memory = open_file(1 << 20, true);
  const int good_table = open_file(kTable, true);
  CHECK(tcp::PeerMemory::map(good_memory, good_table) != nullptr);
  for (const int bad : {open_file(1 << 20, false), open_file(0, true), ::dup(0), -1}) {
    CHECK(tcp::PeerMemory::map(bad, good_table) == nullptr);
    if (bad >= 0) ::close(bad);
  }
  for (const int bad : {open_file(kTable, false), open_file(kTable - 4096, true)}) {
    CHECK(tcp::PeerMemory::map(good_memory, bad) == nullptr);
    ::close(bad);
  }
  ::close(good_memory);
  ::close(good_table);
}

TEST_CASE("a table that lies is not followed") {
  constexpr std::uint64_t kMemory = 1 << 20;
  const int file = open_file(kMemory, true);
  void* mapped = nullptr;
  const int table = tcp::make_file("table", sizeof(tcp::ShownRecord) * 4096, &mapped);
  const auto peer = tcp::PeerMemory::map(file, table);
  REQUIRE(peer != nullptr);
  tcp::ShownRecord& record = static_cast<tcp::ShownRecord*>(mapped)[5];
  tcp::BulkHead bulk;
  bulk.slot = 5;
  bulk.generation = 3;
  bulk.token = 77;
  bulk.size = 4096;
  const auto tell = [&](std::uint64_t parts, std::uint64_t offset, std::uint64_t size) {
    record.token = 77;
    record.access = kAccessPull;
    record.part_count = parts;
    record.places[0] = offset;
    record.places[1] = size;
    record.state = (3ull << 32) | (1ull << 31);
  };
  tell(1, 0, 4096);
  tcp::Hold* hold = peer->hold(bulk, kAccessPull);
  REQUIRE(hold != nullptr);
  peer->let_go(hold);
  tell(1, kMemory - 4096, 4096);
  hold = peer->hold(bulk, kAccessPull);
  REQUIRE(hold != nullptr);
  peer->let_go(hold);
  const std::uint64_t lies[][3] = {{1, kMemory - 4095, 4096},
                                   {1, kMemory, 4096},
                                   {1, ~0ull, 4096},
                                   {1, 0, ~0ull},
                                   {1, ~0ull - 4095, 4096},
                                   {0, 0, 4096},
                                   {73, 0, 4096},
                                   {1ull << 40, 0, 1ull << 62},
                                   {1, 0, 4095}};
  for (const auto& lie : lies) {
    INFO(lie[0] << " parts, at " << lie[1] << ", of " << lie[2]);
    tell(lie[0], lie[1], lie[2]);
    CHECK(peer->hold(bulk, kAccessPull) == nullptr);
    CHECK(record.state == ((3ull << 32) | (1ull << 31)));  // and nothing is held
  }
  tell(1, 0, 4096);
  CHECK(peer->hold(bulk, kAccessPush) == nullptr);
  bulk.slot = 4096;
  CHECK(peer->hold(bulk, kAccessPull) == nullptr);
  ::munmap(mapped, sizeof(tcp::ShownRecord) * 4096);
  ::close(file);
  ::close(table);
}

}  // namespace rideau
