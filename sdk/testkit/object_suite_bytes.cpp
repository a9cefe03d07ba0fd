// SPDX-License-Identifier: Apache-2.0
// Rules of the object suite: what is read after what was written, one call at a time, and the limits of calls.
#include "sdk/testkit/object_suite_tools.hpp"

#include <algorithm>

namespace rideau::object_suite {
namespace {

const ObjectId kFirst{1, 0};
const ObjectId kSecond{1, 1};
const ObjectId kAbsent{0x1234'5678'9abc'def0, 7};

Task<> check_write_read(Suite& suite) {
  Report& report = suite.report;
  Dice dice(suite.seed + 1);
  ModelObjects model;
  report.rule("object.bytes.write-then-read");
  const std::uint64_t offsets[] = {0, 1, 4095, 4096, 4097, 65536, 70001, 12};
  for (const std::uint64_t offset : offsets) {
    std::string bytes = dice.nonzero_bytes(1 + dice.below(9000));
    model.write(kFirst, offset, bytes);
    const Status done = co_await suite.write(kFirst, offset, bytes);
    report.ok(done, "write");
    co_await suite.expect(kFirst, model.objects().at(kFirst), "after a write");
  }

  report.rule("object.bytes.unwritten-reads-as-zero");
  co_await suite.write(kSecond, 300'000, dice.nonzero_bytes(10));
  std::string sparse;
  const Status read = co_await suite.read(kSecond, 100, 299'900, &sparse);
  report.ok(read, "read of a hole");
  report.check(sparse == std::string(299'900, '\0'), "a hole reads as zeros");

  report.rule("object.bytes.short-read-at-end");
  std::string bytes;
  report.ok(co_await suite.read(kSecond, 300'005, 100, &bytes), "read over the end");
  report.equal(bytes.size(), 5, "bytes before the end");
  report.ok(co_await suite.read(kSecond, 300'010, 100, &bytes), "read at the end");
  report.equal(bytes.size(), 0, "bytes at the end");
  report.ok(co_await suite.read(kSecond, 1ull << 40, 100, &bytes), "read far behind the end");
  report.equal(bytes.size(), 0, "bytes far behind the end");
  report.ok(co_await suite.read(kSecond, UINT64_MAX - 5, 100, &bytes), "read at the last offset");
  report.equal(bytes.size(), 0, "bytes at the last offset");

  report.rule("object.bytes.no-size");
  report.ok(co_await suite.read(kSecond, 5, 0, &bytes), "read of no bytes");
  report.equal((co_await suite.read(kAbsent, 0, 0, &bytes)).code, Code::not_found, "read of no bytes of no object");
  report.ok(co_await suite.write(kSecond, 1'000'000, std::string()), "write of no bytes");
  ObjectStat found;
  report.ok(co_await suite.stat(kSecond, &found), "stat");
  report.equal(found.size, 300'010, "a write of no bytes changes no size");
  const ObjectId empty{1, 2};
  report.ok(co_await suite.write(empty, 77, std::string()), "write of no bytes to no object");
  co_await suite.expect(empty, std::string(), "a write of no bytes makes an empty object");
}

Task<> check_scattered(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.bytes.scattered-parts");
  Dice dice(suite.seed + 2);
  const std::size_t pieces[] = {1, 7, 512, 1000, 4096};
  ModelObjects model;
  for (const std::size_t piece : pieces) {
    const std::size_t parts_max = suite.store().limits().parts_max;
    const std::size_t size = std::min(piece * std::min<std::size_t>(parts_max, 200), std::size_t{50'000});
    const std::uint64_t offset = dice.below(20'000);
    const std::string bytes = dice.nonzero_bytes(size);
    Call& write = suite.call();
    write.write(suite.store(), kFirst, offset, bytes, piece);
    co_await suite.wait(write);
    report.ok(write.status(), "write of many parts");
    model.write(kFirst, offset, bytes);
    Call& read = suite.call();
    read.read(suite.store(), kFirst, offset, size, piece);
    co_await suite.wait(read);
    report.ok(read.status(), "read of many parts");
    report.check(read.read_bytes() == bytes, "many parts hold what was written");
    suite.forget_calls();
  }
  // Parts of no size stand between others.
  std::string buffer = dice.nonzero_bytes(30);
  std::vector<IoVec> parts{{buffer.data(), 0}, {buffer.data(), 10}, {nullptr, 0}, {buffer.data() + 10, 20}};
  Call& write = suite.call();
  write.transfer(suite.store(), true, kSecond, 0, parts);
  co_await suite.wait(write);
  report.ok(write.status(), "write with empty parts");
  report.equal(write.value(), 30, "bytes written with empty parts");
  suite.forget_calls();
  co_await suite.expect(kSecond, buffer, "written with empty parts");
}

Task<> check_truncate(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.truncate.sets-the-size");
  Dice dice(suite.seed + 3);
  ModelObjects model;
  const std::string bytes = dice.nonzero_bytes(20'000);
  co_await suite.write(kFirst, 0, bytes);
  model.write(kFirst, 0, bytes);
  const std::uint64_t sizes[] = {15'000, 15'001, 4096, 4097, 100'000, 1, 0, 5000, 20'000};
  for (const std::uint64_t size : sizes) {
    report.ok(co_await suite.truncate(kFirst, size), "truncate");
    model.truncate(kFirst, size);
    co_await suite.expect(kFirst, model.objects().at(kFirst), "after truncate");
  }
  report.ok(co_await suite.truncate(kAbsent, 12'345), "truncate of no object");
  co_await suite.expect(kAbsent, std::string(12'345, '\0'), "truncate makes the object");
}

Task<> check_punch(Suite& suite) {
  Report& report = suite.report;
  if (!suite.punches()) {
    report.unsupported("object.punch.reads-as-zero", "punch is not declared");
    co_return;
  }
  report.rule("object.punch.reads-as-zero");
  Dice dice(suite.seed + 4);
  ModelObjects model;
  const std::string bytes = dice.nonzero_bytes(50'000);
  co_await suite.write(kFirst, 0, bytes);
  model.write(kFirst, 0, bytes);
  struct Range {
    std::uint64_t offset;
    std::uint64_t size;
  };
  const Range ranges[] = {{100, 50},
                          {4096, 4096},
                          {8000, 9000},
                          {49'990, 10},
                          {49'000, 100'000},
                          {60'000, 5},
                          {20'000, 0},
                          {40'000, UINT64_MAX - 40'000},
                          {UINT64_MAX, UINT64_MAX}};
  for (const Range range : ranges) {
    report.ok(co_await suite.punch(kFirst, range.offset, range.size), "punch");
    model.punch(kFirst, range.offset, range.size);
    co_await suite.expect(kFirst, model.objects().at(kFirst), "after punch");
  }
  report.equal((co_await suite.punch(kAbsent, 0, 10)).code, Code::not_found, "punch of no object");
  co_await suite.expect_absent(kAbsent, "punch makes no object");
}

Task<> check_remove(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.absent.not-found");
  co_await suite.expect_absent(kAbsent, "never written");

  report.rule("object.remove.idempotent");
  Dice dice(suite.seed + 5);
  report.ok(co_await suite.remove(kAbsent), "remove of no object");
  co_await suite.write(kFirst, 0, dice.nonzero_bytes(5000));
  co_await suite.write(kSecond, 0, dice.nonzero_bytes(5000));
  report.ok(co_await suite.remove(kFirst), "remove");
  co_await suite.expect_absent(kFirst, "removed");
  report.ok(co_await suite.remove(kFirst), "second remove");
  ObjectStat found;
  report.ok(co_await suite.stat(kSecond, &found), "stat of the neighbour");
  report.equal(found.size, 5000, "size of the neighbour");

  report.rule("object.remove.then-write-is-new");
  const std::string bytes = dice.nonzero_bytes(100);
  report.ok(co_await suite.write(kFirst, 1000, bytes), "write after remove");
  co_await suite.expect(kFirst, std::string(1000, '\0') + bytes, "written after remove");
}

// The largest read and write, and one byte more.
Task<> check_io_bytes(Suite& suite) {
  Report& report = suite.report;
  const ObjectLimits limits = suite.store().limits();
  if (limits.io_bytes_max > (64u << 20)) {
    report.unsupported("object.limits.io-bytes", "io_bytes_max is too large to try");
    co_return;
  }
  report.rule("object.limits.io-bytes");
  // All parts share one piece of memory, which the store may not mind: it only reads or fills it.
  std::string buffer(std::size_t{limits.io_bytes_max} + 1, 'x');
  for (const bool writes : {true, false}) {
    std::vector<IoVec> most{{buffer.data(), limits.io_bytes_max}};
    Call& fits = suite.call();
    fits.transfer(suite.store(), writes, kFirst, 3, most);
    co_await suite.wait(fits);
    report.ok(fits.status(), "io_bytes_max");
    report.equal(fits.value(), limits.io_bytes_max, "io_bytes_max");
    std::vector<IoVec> more{{buffer.data(), 1}, {buffer.data(), limits.io_bytes_max}};
    Call& over = suite.call();
    over.transfer(suite.store(), writes, kFirst, 0, more);
    co_await suite.wait(over);
    report.equal(over.status().code, Code::too_large, "io_bytes_max + 1");
  }
  suite.forget_calls();
}

Task<> check_parts(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.limits.parts");
  const ObjectLimits limits = suite.store().limits();
  const std::size_t parts_max = std::min<std::size_t>(limits.parts_max, limits.io_bytes_max);
  if (parts_max != limits.parts_max || parts_max > (1u << 20)) {
    report.unsupported("object.limits.parts", "parts_max is too large to try");
    co_return;
  }
  std::string buffer(parts_max + 1, 'y');
  for (const bool writes : {true, false}) {
    std::vector<IoVec> parts = cut_buffer(buffer, 1);
    Call& over = suite.call();
    over.transfer(suite.store(), writes, kSecond, 0, parts);
    co_await suite.wait(over);
    report.equal(over.status().code, Code::too_large, "parts_max + 1");
    parts.pop_back();
    Call& fits = suite.call();
    fits.transfer(suite.store(), writes, kSecond, 0, parts);
    co_await suite.wait(fits);
    report.ok(fits.status(), "parts_max");
    report.equal(fits.value(), parts_max, "bytes of parts_max parts");
  }
  suite.forget_calls();
}

Task<> check_object_bytes(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.limits.object-bytes");
  const std::uint64_t most = suite.store().limits().object_bytes_max;
  const ObjectId id{2, 0};
  report.ok(co_await suite.truncate(id, most), "truncate to object_bytes_max");
  ObjectStat found;
  report.ok(co_await suite.stat(id, &found), "stat");
  report.equal(found.size, most, "size");
  std::string bytes;
  report.ok(co_await suite.read(id, most - 3, 10, &bytes), "read of the last bytes");
  report.check(bytes == std::string(3, '\0'), "the last bytes");
  report.ok(co_await suite.write(id, most - 2, std::string("zz")), "write of the last bytes");
  report.ok(co_await suite.read(id, most - 3, 10, &bytes), "read of the last bytes");
  report.check(bytes == std::string("\0zz", 3), "the last bytes after the write");
  report.equal((co_await suite.write(id, most - 1, std::string("ab"))).code, Code::too_large, "write over the limit");
  report.equal((co_await suite.write(id, most, std::string("a"))).code, Code::too_large, "write at the limit");
  report.equal((co_await suite.write(id, UINT64_MAX, std::string("ab"))).code, Code::too_large, "write far over it");
  report.ok(co_await suite.read(id, most - 3, 10, &bytes), "read of the last bytes");
  report.check(bytes == std::string("\0zz", 3), "refused writes change nothing");
  if (most != UINT64_MAX) {
    report.equal((co_await suite.truncate(id, most + 1)).code, Code::too_large, "truncate over the limit");
    report.equal((co_await suite.truncate(id, UINT64_MAX)).code, Code::too_large, "truncate to the largest number");
  }
  const ObjectId other{2, 1};
  report.equal((co_await suite.write(other, most, std::string("a"))).code, Code::too_large, "write at the limit");
  co_await suite.expect_absent(other, "a refused write makes no object");
  report.ok(co_await suite.remove(id), "remove");
}

}  // namespace

Task<> check_bytes(Suite& suite) {
  using Part = Task<> (*)(Suite&);
  const Part parts[] = {check_write_read, check_scattered, check_truncate, check_punch, check_remove};
  for (const Part part : parts) {
    suite.report.rule("object.life.start-of-an-empty-store");
    const bool opened = co_await suite.open(true);
    if (!opened) co_return;
    co_await part(suite);
    co_await suite.close();
  }
}

Task<> check_limits(Suite& suite) {
  suite.report.rule("object.limits.declared");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  const ObjectLimits limits = suite.store().limits();
  const bool sane = limits.object_bytes_max > 0 && limits.io_bytes_max > 0 && limits.parts_max > 0 &&
                    limits.alignment > 0 && limits.atomic_bytes > 0;
  suite.report.check(sane, "no limit is zero");
  co_await check_io_bytes(suite);
  co_await check_parts(suite);
  co_await check_object_bytes(suite);
  co_await suite.close();
}

}  // namespace rideau::object_suite
