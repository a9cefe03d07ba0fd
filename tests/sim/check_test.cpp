// SPDX-License-Identifier: Apache-2.0
// The checkers of the simulator, on histories made by hand: right ones pass, and each planted mistake is found.
#include "tests/sim/check_bytes.hpp"
#include "tests/sim/check_names.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

#include <sys/stat.h>

namespace rideau::sim {
namespace {

constexpr fs::InodeId kDirectory = 10;

ModelNames begin() {
  ModelNames model;
  model.add_directory(kDirectory);
  return model;
}

NameOp op(NameCall call, Tick invoked, Tick returned, const std::string& name, int error, fs::InodeId result = 0) {
  NameOp one;
  one.call = call;
  one.who = "p";
  one.invoked = invoked;
  one.returned = returned;
  one.directory = kDirectory;
  one.name = name;
  one.error = error;
  one.result = result;
  one.type = call == NameCall::make_directory ? S_IFDIR : S_IFREG;
  return one;
}

bool linearizable(std::vector<NameOp> ops) { return check_names(std::move(ops), begin()).linearizable; }

DataOp data(DataCall call, Tick invoked, Tick returned, std::uint64_t offset, std::uint64_t size, std::uint64_t stamp) {
  DataOp one;
  one.call = call;
  one.who = "p";
  one.invoked = invoked;
  one.returned = returned;
  one.offset = offset;
  one.size = size;
  one.stamp = stamp;
  if (call == DataCall::read) {
    for (std::uint64_t i = 0; i < size; ++i) {
      one.bytes += stamp == 0 ? '\0' : static_cast<char>(stamp_byte(stamp, offset + i));
    }
  }
  return one;
}

}  // namespace

TEST_CASE("names: one create of two that race wins, never both, and a later lookup must see it") {
  const NameOp winner = op(NameCall::create, 1, 10, "a", 0, 20);
  REQUIRE(linearizable({winner, op(NameCall::create, 2, 9, "a", EEXIST)}));
  REQUIRE_FALSE(linearizable({winner, op(NameCall::create, 2, 9, "a", 0, 21)}));
  REQUIRE(linearizable({winner, op(NameCall::lookup, 5, 6, "a", ENOENT)}));
  REQUIRE(linearizable({winner, op(NameCall::lookup, 5, 6, "a", 0, 20)}));
  REQUIRE_FALSE(linearizable({winner, op(NameCall::lookup, 11, 12, "a", ENOENT)}));
  // Seen by one and afterwards not by another: each fits alone, not together.
  REQUIRE_FALSE(
      linearizable({winner, op(NameCall::lookup, 3, 4, "a", 0, 20), op(NameCall::lookup, 5, 6, "a", ENOENT)}));
}

TEST_CASE("names: rename, unlink, rmdir, link counts and lists") {
  const std::vector<NameOp> made = {op(NameCall::create, 1, 2, "a", 0, 20),
                                    op(NameCall::make_directory, 3, 4, "d", 0, 30)};
  auto with = [&made](std::vector<NameOp> more) {
    more.insert(more.begin(), made.begin(), made.end());
    return linearizable(std::move(more));
  };
  NameOp rename = op(NameCall::rename, 5, 6, "a", 0);
  rename.other_directory = 30;
  rename.other_name = "b";
  REQUIRE(with({rename, op(NameCall::lookup, 7, 8, "a", ENOENT)}));
  REQUIRE_FALSE(with({rename, op(NameCall::lookup, 7, 8, "a", 0, 20)}));
  REQUIRE(with({rename, op(NameCall::remove_directory, 7, 8, "d", ENOTEMPTY)}));
  REQUIRE_FALSE(with({rename, op(NameCall::remove_directory, 7, 8, "d", 0)}));
  REQUIRE(with({op(NameCall::unlink, 7, 8, "d", EISDIR)}));
  NameOp link = op(NameCall::link, 5, 6, "c", 0, 20);
  link.inode = 20;
  link.link_count = 2;
  NameOp attributes = op(NameCall::attributes, 7, 8, "", 0, 20);
  attributes.inode = 20;
  attributes.link_count = 2;
  REQUIRE(with({link, attributes}));
  attributes.link_count = 1;
  REQUIRE_FALSE(with({link, attributes}));
  NameOp list = op(NameCall::list, 5, 6, "", 0);
  list.entries = {{"a", 20}, {"d", 30}};
  REQUIRE(with({list}));
  list.entries = {{"a", 20}};
  REQUIRE_FALSE(with({list}));
  NameOp into_itself = op(NameCall::rename, 5, 6, "d", EINVAL);
  into_itself.other_directory = 30;
  into_itself.other_name = "x";
  REQUIRE(with({into_itself}));
  into_itself.error = 0;
  REQUIRE_FALSE(with({into_itself}));
}

TEST_CASE("bytes: a read shows what had been written before it, or beside it, and nothing else") {
  const DataOp first = data(DataCall::write, 1, 2, 0, 100, 1);
  const DataOp second = data(DataCall::write, 5, 8, 50, 100, 2);
  REQUIRE(check_bytes({first, data(DataCall::read, 3, 4, 0, 100, 1)}).empty());
  REQUIRE_FALSE(check_bytes({first, data(DataCall::read, 3, 4, 0, 0, 1)}).empty() == false);
  REQUIRE_FALSE(check_bytes({first, data(DataCall::read, 3, 4, 0, 100, 0)}).empty());
  REQUIRE_FALSE(check_bytes({first, data(DataCall::read, 3, 4, 0, 101, 1)}).empty());
  // Beside the second write either may be seen, after it only the new bytes.
  REQUIRE(check_bytes({first, second, data(DataCall::read, 6, 7, 50, 50, 1)}).empty());
  REQUIRE(check_bytes({first, second, data(DataCall::read, 6, 7, 50, 50, 2)}).empty());
  REQUIRE_FALSE(check_bytes({first, second, data(DataCall::read, 9, 10, 50, 50, 1)}).empty());
  REQUIRE(check_bytes({first, second, data(DataCall::size, 9, 10, 0, 150, 0)}).empty());
  REQUIRE_FALSE(check_bytes({first, second, data(DataCall::size, 9, 10, 0, 100, 0)}).empty());
  REQUIRE_FALSE(
      check_bytes({first, data(DataCall::truncate, 3, 4, 0, 10, 0), data(DataCall::read, 5, 6, 0, 100, 1)}).empty());
}

TEST_CASE("bytes: of several writers each byte shows one that was not followed by another") {
  const auto by = [](DataOp one, const char* who) {
    one.who = who;
    return one;
  };
  const DataOp first = by(data(DataCall::write, 1, 2, 0, 100, 1), "p");
  const DataOp second = by(data(DataCall::write, 5, 8, 50, 100, 2), "q");
  const auto read = [](Tick from, std::uint64_t offset, std::uint64_t size, std::uint64_t stamp) {
    return data(DataCall::read, from, from + 1, offset, size, stamp);
  };
  REQUIRE(check_shared_bytes({first, second, read(6, 50, 50, 1)}).empty());
  REQUIRE(check_shared_bytes({first, second, read(6, 50, 50, 2)}).empty());
  REQUIRE(check_shared_bytes({first, second, read(9, 0, 50, 1)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, read(9, 50, 50, 1)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, read(3, 0, 100, 0)}).empty());
  // Beside each other either may be the last one.
  const DataOp beside = by(data(DataCall::write, 6, 9, 50, 100, 3), "p");
  REQUIRE(check_shared_bytes({first, second, beside, read(10, 50, 100, 2)}).empty());
  REQUIRE(check_shared_bytes({first, second, beside, read(10, 50, 100, 3)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, beside, read(10, 50, 50, 1)}).empty());
  // Sizes, and a cut.
  const DataOp cut = by(data(DataCall::truncate, 11, 12, 0, 10, 0), "q");
  REQUIRE(check_shared_bytes({first, second, data(DataCall::size, 9, 10, 0, 150, 0)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, data(DataCall::size, 9, 10, 0, 100, 0)}).empty());
  REQUIRE(check_shared_bytes({first, second, cut, data(DataCall::size, 13, 14, 0, 10, 0)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, cut, data(DataCall::size, 13, 14, 0, 150, 0)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, cut, read(13, 0, 100, 1)}).empty());
  const DataOp grown = by(data(DataCall::write, 15, 16, 200, 10, 4), "p");
  REQUIRE(check_shared_bytes({first, second, cut, grown, read(17, 10, 190, 0)}).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, cut, grown, read(17, 10, 90, 1)}).empty());
  // What is lost with its client may be gone, or there.
  const std::vector<Loss> loss = {{9, "q", true, 0}};
  REQUIRE(check_shared_bytes({first, second, read(10, 50, 50, 1)}, loss).empty());
  REQUIRE(check_shared_bytes({first, second, read(10, 50, 50, 2)}, loss).empty());
  REQUIRE_FALSE(check_shared_bytes({first, second, read(10, 0, 50, 0)}, loss).empty());
}

TEST_CASE("names: a call without an answer was carried out, or was not, once and at any time") {
  NameOp lost = op(NameCall::create, 1, 0, "a", EIO);
  lost.unknown = true;
  REQUIRE(linearizable({lost, op(NameCall::lookup, 5, 6, "a", ENOENT)}));
  // Its number shows with the first look.
  REQUIRE(linearizable({lost, op(NameCall::lookup, 5, 6, "a", 0, 20), op(NameCall::lookup, 7, 8, "a", 0, 20)}));
  REQUIRE(linearizable({lost, op(NameCall::lookup, 5, 6, "a", ENOENT), op(NameCall::lookup, 7, 8, "a", 0, 20)}));
  REQUIRE_FALSE(linearizable({lost, op(NameCall::lookup, 5, 6, "a", 0, 20), op(NameCall::lookup, 7, 8, "a", 0, 21)}));
  REQUIRE_FALSE(linearizable({lost, op(NameCall::lookup, 5, 6, "a", 0, 20), op(NameCall::lookup, 7, 8, "a", ENOENT)}));
  NameOp gone = op(NameCall::unlink, 9, 10, "a", EIO);
  gone.unknown = true;
  const NameOp there = op(NameCall::lookup, 5, 6, "a", 0, 20);
  REQUIRE(linearizable({lost, there, gone, op(NameCall::lookup, 11, 12, "a", ENOENT)}));
  REQUIRE(linearizable({lost, there, gone, op(NameCall::lookup, 11, 12, "a", 0, 20)}));
}

TEST_CASE("bytes: what no fsync made durable may go with a target, what one did may not") {
  const DataOp first = data(DataCall::write, 1, 2, 0, 100, 1);
  const DataOp second = data(DataCall::write, 5, 6, 0, 100, 2);
  const DataOp sync = data(DataCall::sync, 3, 4, 0, 0, 0);
  const std::vector<Loss> loss = {{10, {}, false, 0}};
  const auto read = [](std::uint64_t stamp) { return data(DataCall::read, 11, 12, 0, 100, stamp); };
  REQUIRE(check_bytes({first, sync, second, read(2)}, loss).empty());
  REQUIRE(check_bytes({first, sync, second, read(1)}, loss).empty());
  REQUIRE_FALSE(check_bytes({first, sync, second, read(3)}, loss).empty());
  REQUIRE_FALSE(check_bytes({first, sync, read(0)}, loss).empty());
  REQUIRE_FALSE(check_bytes({first, sync, second, data(DataCall::read, 8, 9, 0, 100, 1)}, loss).empty());
  // An fsync that says that all is well makes it well; one that fails does not.
  DataOp later = data(DataCall::sync, 13, 14, 0, 0, 0);
  const DataOp last = data(DataCall::read, 15, 16, 0, 100, 1);
  REQUIRE_FALSE(check_bytes({first, sync, second, later, last}, loss).empty());
  later.error = EIO;
  REQUIRE(check_bytes({first, sync, second, later, last}, loss).empty());
  // Who had closed the file hears nothing.
  later.error = 0;
  REQUIRE(check_bytes({first, sync, second, data(DataCall::close, 7, 8, 0, 0, 0), later, last}, loss).empty());
  // Another client's loss is no excuse.
  REQUIRE_FALSE(check_bytes({first, sync, second, read(1)}, {{10, "q", true, 0}}).empty());
  REQUIRE(check_bytes({first, sync, second, read(1)}, {{10, "p", true, 0}}).empty());
}

}  // namespace rideau::sim
