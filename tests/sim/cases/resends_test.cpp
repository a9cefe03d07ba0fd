// SPDX-License-Identifier: Apache-2.0
// Goal: requests and replies that are lost, at any message of any call, and slots that are used again, do every change
// once.
#include "tests/sim/cases/case.hpp"

#include <sys/xattr.h>

#include <algorithm>

namespace rideau::sim {
namespace {

// Each would fail, or show, if it were done twice.
struct Changes {
  SimKernel& kernel;
  client::FileSystem& files;
  fs::InodeId directory;

  std::string name(const char* what, std::uint64_t number) const { return what + std::to_string(number); }

  Task<> prepare(std::uint64_t number, fs::InodeId* inode) {
    FileId file = 0;
    co_await make_file(kernel, directory, name("old", number), &file, inode);
    co_await close_file(kernel, file);
  }
  Task<> create(std::uint64_t number) {
    FileId file = 0;
    fs::InodeId inode = fs::kNoInode;
    co_await make_file(kernel, directory, name("new", number), &file, &inode);
    co_await close_file(kernel, file);
  }
  Task<> rename(std::uint64_t number) {
    const Status moved = co_await kernel.rename(directory, name("old", number), directory, name("moved", number), 0);
    CHECK(moved.ok());
  }
  Task<> link(fs::InodeId inode, std::uint64_t number) {
    const Result<fs::Inode> linked = co_await kernel.link(inode, directory, name("link", number));
    CHECK((linked.ok() && linked->link_count == 2));
  }
  Task<> unlink(std::uint64_t number) {
    const Status removed = co_await kernel.remove(directory, name("old", number), false);
    CHECK(removed.ok());
  }
  Task<> set_size(fs::InodeId inode) {
    const Status cut = co_await kernel.truncate(inode, 5'000);
    CHECK(cut.ok());
    const Result<fs::Inode> seen = co_await kernel.get_attributes(inode);
    CHECK((seen.ok() && seen->size == 5'000));
  }
  Task<> set_attribute(fs::InodeId inode) {
    const fs::Caller root{};
    const Status set = co_await files.set_attribute(root, inode, "user.once", "1", XATTR_CREATE);
    CHECK(set.ok());
  }
  // Nothing of the first owner may be left for the second to wait for.
  Task<> lock(fs::InodeId inode) {
    const fs::Caller root{};
    const Result<client::OpenFile> open = co_await files.open(root, inode, fs::kOpenRead | fs::kOpenWrite);
    CHECK(open.ok());
    if (!open.ok()) co_return;
    client::AdvisoryLock wanted;
    wanted.handle = open->handle;
    wanted.owner = 7;
    wanted.mode = lock::Mode::exclusive;
    const Status taken = co_await files.set_lock(wanted, nullptr);
    CHECK(taken.ok());
    wanted.mode = lock::Mode::none;
    const Status given = co_await files.set_lock(wanted, nullptr);
    CHECK(given.ok());
    wanted.mode = lock::Mode::exclusive;
    wanted.owner = 8;
    const Status free = co_await files.set_lock(wanted, nullptr);
    CHECK(free.ok());
    const Status released = co_await files.release(open->handle);
    CHECK(released.ok());
  }
  Task<> append(fs::InodeId inode) {
    const Result<FileId> file = co_await kernel.open(inode, fs::kOpenWrite | fs::kOpenAppend);
    CHECK(file.ok());
    if (!file.ok()) co_return;
    for (int i = 0; i < 3; ++i) {
      co_await write_at(kernel, *file, 0, std::string(4'000, static_cast<char>('a' + i)));
      const Status synced = co_await kernel.sync(*file);
      CHECK(synced.ok());
    }
    co_await close_file(kernel, *file);
    std::string bytes;
    co_await read_all(kernel, inode, &bytes);
    CHECK(bytes == std::string(4'000, 'a') + std::string(4'000, 'b') + std::string(4'000, 'c'));
  }
};

enum class Change { create, rename, link, unlink, set_size, set_attribute, lock, append, count };

Task<> change(Changes changes, Change which, fs::InodeId inode, std::uint64_t number) {
  switch (which) {
    case Change::create:
      return changes.create(number);
    case Change::rename:
      return changes.rename(number);
    case Change::link:
      return changes.link(inode, number);
    case Change::unlink:
      return changes.unlink(number);
    case Change::set_size:
      return changes.set_size(inode);
    case Change::set_attribute:
      return changes.set_attribute(inode);
    case Change::lock:
      return changes.lock(inode);
    case Change::append:
    case Change::count:
      break;
  }
  return changes.append(inode);
}

Task<> create_one(client::FileSystem& files, fs::InodeId directory, std::string name, bool* made) {
  const fs::Caller root{};
  const Result<client::OpenFile> open =
      co_await files.create(root, directory, name, 0644, fs::kOpenWrite | fs::kOpenExclusive);
  *made = open.ok();
  if (!open.ok()) co_return;
  const Status released = co_await files.release(open->handle);
  CHECK(released.ok());
}

}  // namespace

TEST_CASE("S40: whichever message of a change is lost, it happens once", "[S40]") {
  const std::uint64_t again = hits("call_sent_again");
  const std::uint64_t from_slot = hits("answer_from_slot");
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    const Changes changes{sim.kernel(0), sim.files(0), directory};
    std::uint64_t number = 0;
    for (int which = 0; which < static_cast<int>(Change::count); ++which) {
      for (std::uint64_t message = 0; message < 12; ++message) {
        fs::InodeId inode = fs::kNoInode;
        sim.run(0, Changes(changes).prepare(++number, &inode));
        sim.cluster.network().cut_at_message(message);
        sim.run(0, change(changes, static_cast<Change>(which), inode, number));
        sim.cluster.network().forget_cuts();
      }
    }
    sim.end();
  }
  CHECK(hits("call_sent_again") > again + 50);
  CHECK(hits("answer_from_slot") > from_slot + 10);
}

TEST_CASE("S41: many changes in flight over links that break: each happens once, and slots are used again", "[S41]") {
  const std::uint64_t from_slot = hits("answer_from_slot");
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    constexpr std::size_t kFiles = 300;  // more than a session has slots
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    for (std::uint64_t i = 0; i < 10; ++i) sim.cluster.network().cut_at_message(7 + 60 * i);
    bool made[kFiles] = {};
    std::vector<Case::Running> running;
    for (std::size_t i = 0; i < kFiles; ++i) {
      running.push_back(sim.begin(0, create_one(sim.files(0), directory, std::to_string(i), &made[i])));
    }
    for (const Case::Running& one : running) sim.wait(one);
    sim.cluster.network().forget_cuts();
    CHECK(std::count(std::begin(made), std::end(made), true) == kFiles);
    std::vector<std::string> names;
    sim.run(1, list_names(sim.kernel(1), directory, &names));
    CHECK(names.size() == kFiles);
    sim.end();
  }
  CHECK(hits("answer_from_slot") > from_slot);
}

TEST_CASE("S48: a call that comes again after its commit is answered, and not done again", "[S48]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    const std::uint64_t from_slot = hits("answer_from_slot");
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    const NodeId mds = sim.cluster.node(Case::kMds)->id();
    const NodeId client = sim.cluster.node(sim.node_of(0))->id();
    sim.cluster.network().block(mds, client);
    bool made = false;
    const Case::Running running = sim.begin(0, create_one(sim.files(0), directory, "once", &made));
    sim.world.run_for(2 * kSecond);
    CHECK(!*running);
    const SimIndexDisk& index = sim.cluster.disk(Case::kMds).index;
    CHECK(index.batches_durable() == index.batches_applied());
    sim.cluster.network().unblock(mds, client);
    sim.cluster.network().cut(mds, client);
    sim.wait(running);
    CHECK(made);
    CHECK(hits("answer_from_slot") > from_slot);
    sim.end();
  }
}

}  // namespace rideau::sim
