// SPDX-License-Identifier: Apache-2.0
// Goal: bytes that are not what was written are refused, in a stopped store and in a running one, by reads and by
// changes of a part of their block; and what is known of sums follows stores that had none, that are without for a
// while, and whose index is another one.
#include "tests/unit/raw_file/sums_bench.hpp"

namespace rideau::raw_file {
namespace {

constexpr ObjectId kId{7, 9};

Task<> open(SumsBench& bench, bool fresh = false) {
  const bool opened = co_await bench.suite.open(fresh);
  REQUIRE(opened);
}

Task<> write_flushed(SumsBench& bench, std::string bytes) {
  bench.report.ok(co_await bench.suite.write(kId, 0, std::move(bytes)), "write");
  bench.report.ok(co_await bench.suite.flush({}), "flush");
}

Task<Code> read_code(SumsBench& bench, std::uint64_t offset, std::size_t size) {
  std::string bytes;
  const Status status = co_await bench.suite.read(kId, offset, size, &bytes);
  co_return status.code;
}

Task<> rot(SumsBench& bench, bool running) {
  co_await open(bench, true);
  const std::string bytes = Dice(3).nonzero_bytes(3 * kBlockBytes + 100);
  co_await write_flushed(bench, bytes);
  if (!running) co_await bench.suite.close();
  flip_bit(bench.factory.file_of(kId), kBlockBytes + 5);
  flip_bit(bench.factory.file_of(kId), 3 * kBlockBytes + 99);
  if (!running) co_await open(bench);
  bench.factory.take_log();
  CHECK(co_await read_code(bench, kBlockBytes + 3000, 10) == Code::corrupt);
  const std::string said = bench.factory.take_log();
  CHECK(said.find("object " + object_text(kId) + ", offset 4096, file " + bench.factory.file_of(kId)) != said.npos);
  CHECK(co_await read_code(bench, 0, 4 * kBlockBytes) == Code::corrupt);
  CHECK(co_await read_code(bench, 3 * kBlockBytes, 10) == Code::corrupt);
  CHECK(co_await read_code(bench, 0, kBlockBytes) == Code::ok);
  CHECK(co_await read_code(bench, 2 * kBlockBytes, kBlockBytes) == Code::ok);
  // A part of such a block cannot be changed: what stays of it is not what was written.
  CHECK((co_await bench.suite.write(kId, kBlockBytes + 7, std::string("new"))).code == Code::corrupt);
  CHECK((co_await bench.suite.punch(kId, kBlockBytes + 7, 20)).code == Code::corrupt);
  CHECK((co_await bench.suite.truncate(kId, kBlockBytes + 7)).code == Code::corrupt);
  CHECK((co_await bench.suite.write(kId, 3 * kBlockBytes + 100, std::string("appended"))).code == Code::corrupt);
  CHECK(co_await read_code(bench, kBlockBytes, 10) == Code::corrupt);
  // All of it can.
  const std::string fresh = Dice(4).nonzero_bytes(kBlockBytes);
  bench.report.ok(co_await bench.suite.write(kId, kBlockBytes, fresh), "write of a whole block");
  bench.report.ok(co_await bench.suite.truncate(kId, 3 * kBlockBytes), "truncate between blocks");
  std::string wanted = bytes.substr(0, 3 * kBlockBytes);
  wanted.replace(kBlockBytes, kBlockBytes, fresh);
  co_await bench.suite.expect(kId, wanted, "written anew");
  co_await bench.suite.close();
}

Task<> lost_block(SumsBench& bench) {
  co_await open(bench, true);
  co_await write_flushed(bench, Dice(5).nonzero_bytes(40'000));
  co_await bench.suite.close();
  const std::string path = bench.factory.file_of(kId);
  std::string bytes = read_file(path);
  bytes.replace(2 * kBlockBytes, kBlockBytes, kBlockBytes, '\0');
  write_file(path, bytes.substr(0, 8 * kBlockBytes));
  co_await open(bench);
  CHECK(co_await read_code(bench, 2 * kBlockBytes, 1) == Code::corrupt);
  CHECK(co_await read_code(bench, 9 * kBlockBytes, 1) == Code::corrupt);
  CHECK(co_await read_code(bench, 0, 1) == Code::ok);
  co_await bench.suite.close();
}

// What a kill left marked is summed anew, without being read by anybody.
Task<> summed_anew(SumsBench& bench) {
  co_await open(bench, true);
  co_await write_flushed(bench, Dice(6).nonzero_bytes(1 << 20));
  co_await bench.settled();
  bench.report.ok(co_await bench.suite.write(kId, 5 * kBlockBytes, std::string(kBlockBytes, '\0')), "write");
  CHECK(bench.factory.disk.count_with("Rm") == 1);
  bench.suite.kill();
  bench.factory.take_log();
  co_await open(bench);
  co_await bench.settled();
  const std::string said = bench.factory.take_log();
  CHECK(said.find("1 objects were being changed") != said.npos);
  CHECK(said.find("were summed anew") != said.npos);
  CHECK(bench.factory.disk.count_with("Rm") == 0);
  for (const std::uint64_t block : {5u, 200u}) flip_bit(bench.factory.file_of(kId), block * kBlockBytes);
  CHECK(co_await read_code(bench, 5 * kBlockBytes, 1) == Code::corrupt);
  CHECK(co_await read_code(bench, 200 * kBlockBytes, 1) == Code::corrupt);
  co_await bench.suite.close();
}

Task<> without_for_a_while(SumsBench& bench) {
  bench.factory.settings.checksums = false;
  co_await open(bench, true);
  const std::string bytes = Dice(7).nonzero_bytes(50'000);
  co_await write_flushed(bench, bytes);
  co_await bench.suite.close();
  CHECK(read_file(bench.factory.settings.path + "/format").find("version 1") != std::string::npos);
  bench.factory.settings.checksums = true;
  co_await open(bench);
  CHECK(bench.factory.take_log().find("1 objects have no checksums") != std::string::npos);
  CHECK(read_file(bench.factory.settings.path + "/format").find("version 2") != std::string::npos);
  co_await bench.suite.expect(kId, bytes, "of a store that had no checksums");
  co_await bench.suite.close();
  bench.factory.settings.checksums = false;
  co_await open(bench);
  CHECK(read_file(bench.factory.settings.path + "/format").find("version 1") != std::string::npos);
  const std::string others = Dice(8).nonzero_bytes(50'000);
  co_await write_flushed(bench, others);
  co_await bench.suite.close();
  bench.factory.settings.checksums = true;
  co_await open(bench);
  co_await bench.suite.expect(kId, others, "written without checksums");
  co_await bench.settled();
  co_await bench.suite.close();
  flip_bit(bench.factory.file_of(kId), 100);
  co_await open(bench);
  CHECK(co_await read_code(bench, 0, 1) == Code::corrupt);
  co_await bench.suite.close();
}

Task<> another_index(SumsBench& bench) {
  co_await open(bench, true);
  const std::string bytes = Dice(9).nonzero_bytes(50'000);
  co_await write_flushed(bench, bytes);
  co_await bench.suite.close();
  bench.factory.disk.clear();
  bench.factory.take_log();
  co_await open(bench);
  CHECK(bench.factory.take_log().find("the index does not have the checksums of this store") != std::string::npos);
  co_await bench.suite.expect(kId, bytes, "with an index that knows nothing");
  co_await bench.suite.close();
  // And one that has sums of another store's objects of the same names.
  std::filesystem::remove_all(bench.factory.settings.path);
  co_await open(bench);
  const std::string others = Dice(10).nonzero_bytes(50'000);
  co_await write_flushed(bench, others);
  co_await bench.suite.expect(kId, others, "another store with that index");
  co_await bench.suite.close();
}

// Nothing of what is gone stays in the index.
Task<> leaves_nothing(SumsBench& bench) {
  co_await open(bench, true);
  for (std::uint64_t i = 0; i < 600; ++i) {
    bench.suite.call().write(bench.suite.store(), ObjectId{i, 0}, 0, std::string("small"));
  }
  co_await bench.suite.wait_all();
  co_await write_flushed(bench, Dice(11).nonzero_bytes(3 << 20));
  co_await bench.settled();
  CHECK(bench.factory.disk.count_with("Rs") == 600 + 3 - 1 + 1);
  bench.report.ok(co_await bench.suite.truncate(kId, 10), "truncate");
  for (std::uint64_t i = 0; i < 600; ++i) bench.suite.call().remove(bench.suite.store(), ObjectId{i, 0});
  co_await bench.suite.wait_all();
  bench.report.ok(co_await bench.suite.flush({}), "flush");
  for (int i = 0; i < 5; ++i) co_await bench.settled();
  CHECK(bench.factory.disk.count_with("Rs") == 1);
  CHECK(bench.factory.disk.count_with("Rm") == 0);
  co_await bench.suite.close();
}

// A durable mark for the first write into a region, none for the next ones; none for what is new.
Task<> marks_are_few(SumsBench& bench) {
  co_await open(bench, true);
  co_await write_flushed(bench, Dice(12).nonzero_bytes(1 << 20));
  while (bench.factory.disk.count_with("Rs") == 0) co_await bench.settled();
  const auto applied = [&bench] { return bench.factory.disk.batches_applied(); };
  std::uint64_t before = applied();
  for (std::uint64_t i = 0; i < 50; ++i) {
    bench.report.ok(co_await bench.suite.write(kId, (1 << 20) + i * 5000, Dice(i).nonzero_bytes(5000)), "append");
  }
  CHECK(applied() == before);
  for (std::uint64_t i = 0; i < 50; ++i) {
    bench.report.ok(co_await bench.suite.write(kId, i * 5000, Dice(i).nonzero_bytes(5000)), "overwrite");
  }
  CHECK(applied() == before + 1);
  co_await bench.suite.close();
}

// Writing on costs fewer and fewer marks.
Task<> marks_grow(SumsBench& bench) {
  constexpr std::uint64_t kRegion = SumTable::kMarkedAtOnce * kSegmentBlocks * kBlockBytes;
  co_await open(bench, true);
  for (std::uint64_t i = 0; i < 32; ++i) {
    bench.report.ok(co_await bench.suite.write(kId, i * kRegion, Dice(i).nonzero_bytes(kBlockBytes)), "write");
  }
  bench.report.ok(co_await bench.suite.flush({}), "flush");
  while (bench.factory.disk.count_with("Rs") != 32) co_await bench.settled();
  const std::uint64_t before = bench.factory.disk.batches_applied();
  for (std::uint64_t i = 0; i < 32; ++i) {
    bench.report.ok(co_await bench.suite.write(kId, i * kRegion, Dice(i).nonzero_bytes(kBlockBytes)), "overwrite");
  }
  CHECK(bench.factory.disk.batches_applied() == before + 6);  // 1, 1, 2, 4, 8, 16 regions
  co_await bench.suite.close();
}

// Nor does each of many small objects cost one that are written anew one after the other.
Task<> marks_of_neighbours(SumsBench& bench) {
  co_await open(bench, true);
  for (std::uint64_t i = 0; i < 100; ++i) {
    bench.report.ok(co_await bench.suite.write({7 * i, 0}, 0, std::string("old")), "write");
  }
  bench.report.ok(co_await bench.suite.flush({}), "flush");
  while (bench.factory.disk.count_with("Rs") != 100) co_await bench.settled();
  const std::uint64_t before = bench.factory.disk.batches_applied();
  for (std::uint64_t i = 0; i < 100; ++i) {
    bench.report.ok(co_await bench.suite.truncate({7 * i, 0}, 0), "truncate");
    bench.report.ok(co_await bench.suite.write({7 * i, 0}, 0, std::string("new")), "write anew");
  }
  CHECK(bench.factory.disk.batches_applied() <= before + 8);
  bench.suite.kill();
  // What was marked for nothing, too, has its sums again.
  bench.factory.take_log();
  co_await open(bench);
  while (bench.factory.take_log().find("were summed anew") == std::string::npos) co_await bench.settled();
  for (std::uint64_t i = 0; i < 100; ++i) co_await bench.suite.expect({7 * i, 0}, std::string("new"), "after a kill");
  co_await bench.suite.close();
  CHECK(bench.factory.disk.count_with("Rm") == 0);
  CHECK(bench.factory.disk.count_with("Rs") == 100);
}

// A mark outlives the settling of its sums, for a while.
Task<> marks_rest(SumsBench& bench) {
  co_await open(bench, true);
  co_await write_flushed(bench, Dice(15).nonzero_bytes(50'000));
  while (bench.factory.disk.count_with("Rs") == 0) co_await bench.settled();
  co_await write_flushed(bench, Dice(16).nonzero_bytes(50'000));
  co_await sleep_for(bench.runtime, 2 * bench.factory.settings.settle_ns);
  CHECK(bench.factory.disk.count_with("Rm") == 1);
  while (bench.factory.disk.count_with("Rm") != 0) co_await bench.settled();
  co_await bench.suite.close();
}

Task<> full_index(SumsBench& bench) {
  co_await open(bench, true);
  const std::string bytes = Dice(13).nonzero_bytes(50'000);
  co_await write_flushed(bench, bytes);
  co_await bench.settled();
  bench.factory.disk.set_full(true);
  const std::string others = Dice(14).nonzero_bytes(50'000);
  CHECK((co_await bench.suite.write(kId, 0, others)).ok());
  co_await bench.suite.expect(kId, others, "written with a full index");
  bench.report.ok(co_await bench.suite.flush({}), "flush");
  co_await bench.settled();
  bench.suite.kill();
  bench.factory.disk.heal();
  co_await open(bench);
  co_await bench.suite.expect(kId, others, "after a kill");
  co_await bench.suite.close();
}

}  // namespace

TEST_CASE("flipped bits of a stopped store are found") {
  SumsBench bench;
  bench.run(rot(bench, false));
}

TEST_CASE("flipped bits under a running store are found") {
  SumsBench bench;
  bench.run(rot(bench, true));
}

TEST_CASE("blocks that were lost are found") {
  SumsBench bench;
  bench.run(lost_block(bench));
}

TEST_CASE("what was being changed has its sums again after a kill") {
  SumsBench bench;
  bench.run(summed_anew(bench));
}

TEST_CASE("stores without checksums get them, and give them up") {
  SumsBench bench;
  bench.run(without_for_a_while(bench));
}

TEST_CASE("sums of an index that is not the store's are not believed") {
  SumsBench bench;
  bench.run(another_index(bench));
}

TEST_CASE("what is gone leaves nothing in the index") {
  SumsBench bench;
  bench.run(leaves_nothing(bench));
}

TEST_CASE("a region is marked once, and new bytes never") {
  SumsBench bench(1, 1'000'000'000);
  bench.run(marks_are_few(bench));
}

TEST_CASE("behind what is marked as much again is") {
  SumsBench bench(1, 1'000'000'000);
  bench.run(marks_grow(bench));
}

TEST_CASE("objects that are changed one after the other share marks") {
  SumsBench bench(1, 1'000'000'000);
  bench.run(marks_of_neighbours(bench));
}

TEST_CASE("a mark stays for some rounds") {
  SumsBench bench(1, 300'000'000);
  bench.run(marks_rest(bench));
}

TEST_CASE("a full index takes sums away, but not the store") {
  SumsBench bench;
  bench.run(full_index(bench));
}

}  // namespace rideau::raw_file
