// SPDX-License-Identifier: Apache-2.0
// Goal: what the random test cannot name: errors come back once, space that runs out, losses of a target, bounds of the
// cache, and the count of requests of sequential work.
#include "tests/unit/client/data_bench.hpp"

namespace rideau::client {
namespace {

std::vector<std::uint8_t> filled(std::uint64_t size, std::uint8_t value) {
  return std::vector<std::uint8_t>(size, value);
}

Task<> write_and_lose(DataBench& bench, FileData& file) {
  const Result<std::uint64_t> first = co_await write_bytes(file, 0, filled(100, 1));  // earns the grant
  RIDEAU_HOLDS(first.ok());
  bench.targets[0]->space = 0;
  const Result<std::uint64_t> second = co_await write_bytes(file, 200, filled(100, 2));
  RIDEAU_HOLDS(second.ok());  // acknowledged early
  RIDEAU_HOLDS(file.dirty());
  const Status flushed = co_await file.flush();
  RIDEAU_HOLDS(flushed.code == Code::no_space);
  RIDEAU_HOLDS(!file.dirty());
  RIDEAU_HOLDS(file.take_error().code == Code::no_space);
  RIDEAU_HOLDS(file.take_error().ok());
  // The next write is told itself.
  const Result<std::uint64_t> third = co_await write_bytes(file, 400, filled(100, 3));
  RIDEAU_HOLDS(third.status().code == Code::no_space);
  RIDEAU_HOLDS(file.take_error().ok());
  // What could not be written reads as the target has it.
  const std::vector<std::uint8_t> got = co_await read_bytes(file, 0, 300, 300);
  std::vector<std::uint8_t> expected = filled(100, 1);
  expected.resize(300);
  RIDEAU_HOLDS(got == expected);
}

// A target that ended the session while bytes were on their way to it.
Task<> lose_the_session(DataBench& bench, FileData& file, Status why) {
  Result<std::uint64_t> done = co_await write_bytes(file, 0, filled(100, 1));  // earns the grant
  RIDEAU_HOLDS(done.ok());
  done = co_await write_bytes(file, 200, filled(100, 2));
  RIDEAU_HOLDS(done.ok());
  RIDEAU_HOLDS(file.dirty());
  bench.targets[0]->write_failure = why;
  const Status synced = co_await file.sync();
  bench.targets[0]->write_failure = kOk;
  // Not as a call that may begin anew: the next sync would find nothing to do.
  RIDEAU_HOLDS(errno_of(synced) == EIO);
  RIDEAU_HOLDS(!rpc::is_outcome_unknown(synced) && !rpc::is_never_sent(synced));
  const Status kept = file.take_error();
  RIDEAU_HOLDS(errno_of(kept) == EIO);
  RIDEAU_HOLDS(!rpc::is_outcome_unknown(kept) && !rpc::is_never_sent(kept));
}

Task<> write_past_a_full_target(DataBench& bench, FileData& file) {
  bench.targets[1]->space = 64 * 1024;
  for (const auto& target : bench.targets) target->grant_max = 0;
  // Stripes of 64 KiB on three targets. The second one takes one of 1, 4, 7 and no more, whichever comes first: what is
  // safe ends at stripe 1 or at stripe 4.
  const Result<std::uint64_t> done = co_await write_bytes(file, 0, filled(512 * 1024, 5));
  RIDEAU_HOLDS(done.ok());
  RIDEAU_HOLDS(*done == 64 * 1024 || *done == 4 * 64 * 1024);
  const std::vector<std::uint8_t> safe = co_await read_bytes(file, 0, *done, *done);
  RIDEAU_HOLDS(safe == filled(*done, 5));
  const std::vector<std::uint8_t> next = co_await read_bytes(file, *done, 64 * 1024, *done + 64 * 1024);
  RIDEAU_HOLDS(next == filled(64 * 1024, 0));
}

Task<> lose_a_target(DataBench& bench, FileData& lost, FileData& kept) {
  Result<std::uint64_t> done = co_await write_bytes(lost, 0, filled(10, 1));
  done = co_await write_bytes(lost, 10, filled(10, 1));
  RIDEAU_HOLDS(lost.dirty());
  done = co_await write_bytes(kept, 64 * 1024, filled(10, 1));
  Status synced = co_await kept.sync();
  RIDEAU_HOLDS(synced.ok());
  bench.plane->on_new_epoch(1, false);
  RIDEAU_HOLDS(lost.dirty());  // what was not sent yet is not lost, nor what the cache has
  RIDEAU_HOLDS(lost.take_error().ok());
  RIDEAU_HOLDS(kept.take_error().ok());
  // The grant went with the session: what is dirty is sent without one, and the next write goes straight to the target.
  bench.targets[0]->granted = 0;
  const std::uint64_t writes = bench.targets[0]->writes;
  done = co_await write_bytes(lost, 8192, filled(10, 2));  // in another page: grants count pages
  RIDEAU_HOLDS(done.ok());
  RIDEAU_HOLDS(bench.targets[0]->writes == writes + 2);
  std::vector<std::uint8_t> expected = filled(20, 1);
  expected.resize(8192);
  expected.resize(8202, 2);
  const std::vector<std::uint8_t> got = co_await read_bytes(lost, 0, 8202, 8202);
  RIDEAU_HOLDS(got == expected);
  // Written, acknowledged, never made durable: it stays here until it is, and is sent again where it was lost.
  const Status flushed = co_await lost.flush();
  RIDEAU_HOLDS(flushed.ok());
  lost.drop();
  bench.plane->on_new_epoch(1, true);
  RIDEAU_HOLDS(!lost.dirty());
  bench.targets[0]->lose_what_is_not_durable();
  bench.plane->on_new_epoch(1, false);
  RIDEAU_HOLDS(lost.dirty());
  const Status synced_again = co_await lost.sync();
  RIDEAU_HOLDS(synced_again.ok());
  RIDEAU_HOLDS(bench.plane->figures().unstable_bytes == 0);
  lost.drop();
  const std::vector<std::uint8_t> again = co_await read_bytes(lost, 0, 8202, 8202);
  RIDEAU_HOLDS(again == expected);
  RIDEAU_HOLDS(lost.take_error().ok());
}

Task<> sequential(DataBench& bench, FileData& file, std::uint64_t size) {
  constexpr std::uint64_t kRequest = 128 * 1024;
  for (std::uint64_t at = 0; at < size; at += kRequest) {
    const Result<std::uint64_t> done =
        co_await write_bytes(file, at, filled(kRequest, static_cast<std::uint8_t>(at / kRequest)));
    RIDEAU_HOLDS(done.ok());
    RIDEAU_HOLDS(bench.plane->dirty_bytes() <= 64 << 20);
  }
  const Status synced = co_await file.sync();
  RIDEAU_HOLDS(synced.ok());
  file.drop();
  for (std::uint64_t at = 0; at < size; at += kRequest) {
    const std::vector<std::uint8_t> got = co_await read_bytes(file, at, kRequest, size);
    RIDEAU_HOLDS(got == filled(kRequest, static_cast<std::uint8_t>(at / kRequest)));
  }
}

Task<> fail_reads(DataBench& bench, FileData& file) {
  bench.targets[0]->read_failure = {Code::corrupt, 0, "read"};
  Status failure{};
  std::vector<std::uint8_t> got = co_await read_bytes(file, 0, 100, 100, &failure);
  RIDEAU_HOLDS(errno_of(failure) == EIO);
  const Status synced = co_await file.sync();
  RIDEAU_HOLDS(errno_of(synced) == EIO);
  bench.targets[0]->read_failure = kOk;
  got = co_await read_bytes(file, 0, 100, 100, &failure);
  RIDEAU_HOLDS(failure.ok());
  RIDEAU_HOLDS(got == filled(100, 0));
}

Task<> age(DataBench& bench, FileData& file) {
  Result<std::uint64_t> done = co_await write_bytes(file, 0, filled(10, 1));
  done = co_await write_bytes(file, 0, filled(10, 2));
  RIDEAU_HOLDS(file.dirty());
  co_await sleep_for(bench.node, 4 * kSecond);
  RIDEAU_HOLDS(file.dirty());
  co_await sleep_for(bench.node, 2 * kSecond);
  RIDEAU_HOLDS(!file.dirty());
  RIDEAU_HOLDS(bench.targets[0]->objects.begin()->second == filled(10, 2));
}

Task<> old_versions(DataBench& bench, FileData& file) {
  const Result<std::uint64_t> done = co_await write_bytes(file, 0, filled(5000, 1));
  RIDEAU_HOLDS(done.ok());
  // Another client, whose clock is an hour ahead, has cut this object before.
  const std::uint64_t ahead = static_cast<std::uint64_t>(bench.node.wall_ns()) + 3600 * kSecond;
  bench.targets[0]->versions[fs::object_id(9, 0, 0)] = ahead;
  const Status cut = co_await file.truncate(5000, 100);
  RIDEAU_HOLDS(cut.ok());
  RIDEAU_HOLDS(bench.targets[0]->objects.begin()->second.size() == 100);
  const std::uint64_t version = bench.targets[0]->versions.begin()->second;
  RIDEAU_HOLDS(version > ahead);
  // Another client that goes on from the same version comes to another number, which is not taken for this change.
  RIDEAU_HOLDS(version % 65'536 == 0x1234);
}

// A growth that was told as failed and happened: what comes after it does not meet what it left.
Task<> grow_and_fail(DataBench& bench, FileData& file) {
  const Result<std::uint64_t> done = co_await write_bytes(file, 0, filled(100, 1));
  RIDEAU_HOLDS(done.ok());
  FakeTarget& target = *bench.targets[0];
  for (const std::uint64_t next : {50, 9000}) {
    target.cut_failure = {Code::io_error, EIO, "truncate"};
    Status status = co_await file.truncate(100, 5000);
    RIDEAU_HOLDS(errno_of(status) == EIO);
    const std::uint64_t size = 100;
    co_await file.cut_failed(5000, size);  // fails too, so it is not known either
    target.objects.begin()->second.assign(5000, 0xee);
    target.cut_failure = kOk;
    status = co_await file.truncate(100, next);
    RIDEAU_HOLDS(status.ok());
    const std::vector<std::uint8_t>& object = target.objects.begin()->second;
    RIDEAU_HOLDS(object.size() == next);
    RIDEAU_HOLDS(std::count(object.begin(), object.end(), 0xee) == static_cast<long>(std::min(next, size)));
    status = co_await file.truncate(next, 100);
    RIDEAU_HOLDS(status.ok());
  }
}

}  // namespace

Task<> keep_lent_blocks(DataBench& bench, FileData& file) {
  std::uint64_t size = 3 * kBlockBytes + 100;
  Buffers lent;
  Result<std::uint64_t> done = co_await write_lent(*bench.plane, file, 0, filled(size, 1), &lent);
  RIDEAU_HOLDS(done.ok());
  RIDEAU_HOLDS(*done == size);
  RIDEAU_HOLDS(bench.plane->figures().copied_bytes == 100);
  // Who writes into a block that somebody else still has gets a copy of it.
  done = co_await write_bytes(file, 10, filled(20, 2));
  RIDEAU_HOLDS(*lent[0]->at(10) == 1);
  // The second block is no block of a file that lies elsewhere.
  const std::uint64_t before = bench.plane->figures().copied_bytes;
  Buffers again;
  done = co_await write_lent(*bench.plane, file, 4 * kBlockBytes + 1, filled(2 * kBlockBytes, 3), &again);
  RIDEAU_HOLDS(bench.plane->figures().copied_bytes - before == 2 * kBlockBytes);
  lent.clear();
  again.clear();
  size = 6 * kBlockBytes + 1;
  std::vector<std::uint8_t> expected = filled(size, 0);
  std::fill_n(expected.begin(), 3 * kBlockBytes + 100, std::uint8_t{1});
  std::fill_n(expected.begin() + 10, 20, std::uint8_t{2});
  std::fill_n(expected.begin() + 4 * kBlockBytes + 1, 2 * kBlockBytes, std::uint8_t{3});
  std::vector<std::uint8_t> got = co_await read_bytes(file, 0, size, size);
  RIDEAU_HOLDS(got == expected);
  const Status synced = co_await file.sync();
  RIDEAU_HOLDS(synced.ok());
  file.drop();
  RIDEAU_HOLDS(bench.plane->figures().cache_bytes == 0);
  got = co_await read_bytes(file, 0, size, size);
  RIDEAU_HOLDS(got == expected);
}

TEST_CASE("whole blocks of a write are kept in the buffers in which they came") {
  DataBench bench(1, DataOptions{});
  const auto file = bench.plane->file(1, bench.layout(3, 64 << 10));
  bench.run(keep_lent_blocks(bench, *file));
}

TEST_CASE("the error of an acknowledged write comes back once; a full target refuses later ones") {
  DataBench bench(1, {}, 1);
  const auto file = bench.plane->file(5, bench.layout(1));
  bench.run(write_and_lose(bench, *file));
}

TEST_CASE("bytes that were lost with a session are an error of the sync, not a reason to begin it anew") {
  for (const Status why : {rpc::kOutcomeUnknown, rpc::kNeverSent}) {
    DataBench bench(1, {}, 1);
    const auto file = bench.plane->file(5, bench.layout(1));
    bench.run(lose_the_session(bench, *file, why));
  }
}

TEST_CASE("a write that meets a full target says how many bytes are safe") {
  DataBench bench(2);
  const auto file = bench.plane->file(5, bench.layout(3));
  bench.run(write_past_a_full_target(bench, *file));
}

TEST_CASE("a target that lost our session: what it lost is sent again, with new grants") {
  DataBench bench(3, {}, 2);
  const auto lost = bench.plane->file(5, bench.layout(1));
  const auto kept = bench.plane->file(6, bench.layout(2));
  bench.run(lose_a_target(bench, *lost, *kept));
}

TEST_CASE("sequential work goes in large requests, several at once") {
  DataBench bench(4, {}, 2);
  constexpr std::uint64_t kSize = 48ull << 20;
  const auto file = bench.plane->file(5, bench.layout(2, 1 << 20));
  bench.run(sequential(bench, *file, kSize));
  for (const auto& target : bench.targets) {
    // 24 MiB each: 24 requests of 1 MiB, and a few for the first pages and the unaligned ends.
    CHECK(target->writes <= 24 + 10);
    CHECK(target->bytes_written_max == 1 << 20);
    CHECK(target->reads <= 24 + 10);
    CHECK(target->writes_in_flight_max >= 2);
  }
}

TEST_CASE("reads that fail tell it, and the next one asks again") {
  DataBench bench(5, {}, 1);
  const auto file = bench.plane->file(5, bench.layout(1));
  bench.run(fail_reads(bench, *file));
}

TEST_CASE("dirty bytes are written when they are old") {
  DataBench bench(6, {}, 1);
  const auto file = bench.plane->file(5, bench.layout(1));
  bench.run(age(bench, *file));
}

TEST_CASE("a truncate behind a clock that was ahead still happens") {
  DataOptions options;
  options.client = 0x1234;
  DataBench bench(7, options, 1);
  const auto file = bench.plane->file(9, bench.layout(1));
  bench.run(old_versions(bench, *file));
}

TEST_CASE("what a failed growth left at a target is not there for what comes after it") {
  DataBench bench(9, {}, 1);
  const auto file = bench.plane->file(5, bench.layout(1));
  bench.run(grow_and_fail(bench, *file));
}

TEST_CASE("a file without users and without cached bytes is forgotten; a dirty one is kept") {
  DataBench bench(8, {}, 1);
  bench.plane->file(5, bench.layout(1));
  CHECK(bench.plane->find(5) == nullptr);
  {
    const auto file = bench.plane->file(6, bench.layout(1));
    struct Steps {
      static Task<> dirty(FileData& data) {
        Result<std::uint64_t> done = co_await write_bytes(data, 0, filled(10, 1));
        done = co_await write_bytes(data, 10, filled(10, 1));
        RIDEAU_HOLDS(data.dirty());
      }
    };
    bench.run(Steps::dirty(*file));
  }
  CHECK(bench.plane->find(6) != nullptr);
  struct Steps {
    static Task<> flush(DataPlane& plane) {
      const Status flushed = co_await plane.flush_all();
      RIDEAU_HOLDS(flushed.ok());
      plane.drop_all();
      RIDEAU_HOLDS(plane.find(6) != nullptr);  // its target may lose it
      const Status synced = co_await plane.sync_targets();
      RIDEAU_HOLDS(synced.ok());
    }
  };
  bench.run(Steps::flush(*bench.plane));
  bench.plane->drop_all();
  CHECK(bench.plane->find(6) == nullptr);
  CHECK(bench.plane->dirty_bytes() == 0);
}

TEST_CASE("of a file without a name nothing is cached once nobody here uses it and its target keeps it") {
  DataBench bench(8, {}, 1);
  struct Steps {
    static Task<> write(FileData& data) {
      const Result<std::uint64_t> done = co_await write_bytes(data, 0, filled(100'000, 1));
      RIDEAU_HOLDS(done.ok());
    }
    static Task<> flush(DataPlane& plane) {
      const Status flushed = co_await plane.flush_all();
      RIDEAU_HOLDS(flushed.ok());
    }
    static Task<> sync(DataPlane& plane) {
      const Status synced = co_await plane.sync_targets();
      RIDEAU_HOLDS(synced.ok());
    }
  };
  auto used = bench.plane->file(6, bench.layout(1));
  auto closed = bench.plane->file(7, bench.layout(1));
  bench.run(Steps::write(*used));
  bench.run(Steps::write(*closed));
  bench.plane->lost_last_name(6);
  bench.plane->lost_last_name(7);
  closed = nullptr;
  bench.run(Steps::flush(*bench.plane));
  CHECK(bench.plane->find(7) != nullptr);  // another client may have it open, and its target may lose it
  bench.run(Steps::sync(*bench.plane));
  CHECK(bench.plane->find(7) == nullptr);
  CHECK(bench.plane->find(6) != nullptr);
  CHECK(bench.plane->figures().cache_bytes >= 100'000);
  used = nullptr;
  CHECK(bench.plane->find(6) == nullptr);
  CHECK(bench.plane->figures().cache_bytes == 0);
}

}  // namespace rideau::client
