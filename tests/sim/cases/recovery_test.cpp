// SPDX-License-Identifier: Apache-2.0
// Goal: a metadata server that dies, at the worst moments, comes back with everything that it had answered, in the
// order in which it had been done, and waits for nobody longer than it says.
#include "framework/base/limits.hpp"
#include "tests/sim/cases/case.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

namespace rideau::sim {
namespace {

constexpr std::uint64_t kRecoveryNs = limits::kRecoveryMs * kMillisecond;

Task<> make_and_close(SimKernel& kernel, fs::InodeId directory, std::string name, fs::InodeId* inode) {
  FileId file = 0;
  co_await make_file(kernel, directory, std::move(name), &file, inode);
  co_await close_file(kernel, file);
}

Task<> make_files(SimKernel& kernel, fs::InodeId directory, std::string prefix, int count, std::set<fs::InodeId>* all) {
  for (int i = 0; i < count; ++i) {
    fs::InodeId inode = fs::kNoInode;
    co_await make_and_close(kernel, directory, prefix + std::to_string(i), &inode);
    CHECK(all->insert(inode).second);
  }
}

Task<> expect_name(SimKernel& kernel, fs::InodeId directory, std::string name, fs::InodeId inode) {
  const Result<fs::Inode> found = co_await kernel.lookup(directory, name);
  CHECK((found.ok() && found->id == inode));
}

Task<> make_without_name(SimKernel& kernel, fs::InodeId directory, FileId* file, fs::InodeId* inode) {
  co_await make_file(kernel, directory, "gone", file, inode);
  const Status removed = co_await kernel.remove(directory, "gone", false);
  CHECK(removed.ok());
}

Task<> use_and_close(SimKernel& kernel, FileId file) {
  const std::string bytes(100'000, 'x');
  co_await write_at(kernel, file, 0, bytes);
  const Result<std::string> read = co_await kernel.read(file, 0, bytes.size());
  CHECK((read.ok() && *read == bytes));
  co_await close_file(kernel, file);
}

// Who died may have taken his unlink with him.
Task<> remove_directory(SimKernel& kernel, fs::InodeId directory, std::string name) {
  std::vector<std::string> names;
  co_await list_names(kernel, directory, &names);
  for (const std::string& left : names) {
    const Status removed = co_await kernel.remove(directory, left, false);
    CHECK(removed.ok());
  }
  const Status removed = co_await kernel.remove(fs::kRootInode, name, true);
  CHECK(removed.ok());
}

// Changes each of which needs the one before it.
Task<> make_chain(SimKernel& kernel, std::vector<fs::InodeId>* chain) {
  fs::InodeId parent = fs::kRootInode;
  for (int i = 0; i < 20; ++i) {
    const Result<fs::Inode> made = co_await kernel.make(parent, "first", S_IFDIR | 0755, "");
    CHECK(made.ok());
    if (!made.ok()) co_return;
    const Status renamed = co_await kernel.rename(parent, "first", parent, "second", 0);
    CHECK(renamed.ok());
    chain->push_back(made->id);
    parent = made->id;
  }
}

Task<> follow_chain(SimKernel& kernel, const std::vector<fs::InodeId>& chain) {
  fs::InodeId parent = fs::kRootInode;
  for (const fs::InodeId inode : chain) {
    co_await expect_name(kernel, parent, "second", inode);
    std::vector<std::string> names;
    co_await list_names(kernel, parent, &names);
    CHECK(std::count(names.begin(), names.end(), "first") == 0);
    parent = inode;
  }
}

Task<> remove_name(SimKernel& kernel, fs::InodeId directory, std::string name) {
  const Status removed = co_await kernel.remove(directory, name, false);
  CHECK(removed.ok());
}

Task<> expect_gone(SimKernel& kernel, fs::InodeId inode, fs::InodeId directory, std::string name) {
  if (inode != fs::kNoInode) {
    const Result<fs::Inode> found = co_await kernel.get_attributes(inode);
    CHECK(errno_of(found.status()) == ESTALE);
  }
  if (name.empty()) co_return;
  const Result<fs::Inode> found = co_await kernel.lookup(directory, name);
  CHECK(errno_of(found.status()) == ENOENT);
}

Task<> rename_name(SimKernel& kernel, fs::InodeId directory, std::string from, std::string to) {
  const Status moved = co_await kernel.rename(directory, from, directory, to, 0);
  CHECK(moved.ok());
}

Task<> link_errno(SimKernel& kernel, fs::InodeId inode, fs::InodeId directory, std::string name, int* error) {
  const Result<fs::Inode> linked = co_await kernel.link(inode, directory, name);
  *error = linked.ok() ? 0 : errno_of(linked.status());
}

Task<> count_links(SimKernel& kernel, fs::InodeId inode, std::uint64_t* links) {
  const Result<fs::Inode> found = co_await kernel.get_attributes(inode);
  CHECK(found.ok());
  *links = found.ok() ? found->link_count : 0;
}

}  // namespace

TEST_CASE("S42: a file that is open and has no name outlives a crash, and nothing of it stays after its close",
          "[S42]") {
  const std::uint64_t claimed = hits("open_claimed");
  const std::uint64_t purged = hits("orphan_purged");
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    for (const bool committed : {false, true}) {
      for (const bool owner_lives : {true, false}) {
        Case sim(seed);
        fs::InodeId directory = fs::kNoInode;
        sim.run(0, make_directory(sim.kernel(0), "d", &directory));
        sim.world.run_for(2 * kSecond);
        FileId file = 0;
        fs::InodeId inode = fs::kNoInode;
        sim.run(0, make_without_name(sim.kernel(0), directory, &file, &inode));
        if (committed) sim.world.run_for(2 * kSecond);
        if (!owner_lives) sim.cluster.kill_client(sim.node_of(0), true);
        sim.restart(Case::kMds, true);
        if (owner_lives) {
          sim.run_until_hit("recovery_ended");
          sim.run(0, use_and_close(sim.kernel(0), file));
        }
        sim.run(1, remove_directory(sim.kernel(1), directory, "d"));
        sim.end(true);
      }
    }
  }
  CHECK(hits("open_claimed") > claimed);
  CHECK(hits("orphan_purged") > purged);
}

TEST_CASE("S43: replay runs in the order of the changes, also with a gap where a client is missing", "[S43]") {
  const std::uint64_t again = hits("lost_change_made_again");
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId others = fs::kNoInode;
    sim.run(1, make_directory(sim.kernel(1), "others", &others));
    sim.world.run_for(2 * kSecond);
    std::vector<fs::InodeId> chain;
    std::set<fs::InodeId> lost;
    const Case::Running beside = sim.begin(1, make_files(sim.kernel(1), others, "f", 20, &lost));
    sim.run(0, make_chain(sim.kernel(0), &chain));
    sim.wait(beside);
    sim.cluster.kill_client(sim.node_of(1), true);
    const std::uint64_t began = sim.world.now_ns();
    sim.restart(Case::kMds, true);
    sim.run(0, follow_chain(sim.kernel(0), chain));
    CHECK(sim.world.now_ns() - began < kRecoveryNs + 2 * kSecond);
    sim.run(2, follow_chain(sim.kernel(2), chain));
    sim.end();
  }
  CHECK(hits("lost_change_made_again") > again);
}

TEST_CASE("S44: who used what another one had made loses nothing when that one dies with the server", "[S44]") {
  const std::uint64_t waited = hits("look_waited_for_commit") + hits("change_waited_for_commit");
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    fs::InodeId made = fs::kNoInode;
    fs::InodeId inside = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(0, make_and_close(sim.kernel(0), directory, "by0", &made));
    sim.run(1, expect_name(sim.kernel(1), directory, "by0", made));
    sim.run(1, make_and_close(sim.kernel(1), directory, "by1", &inside));
    sim.cluster.kill_client(sim.node_of(0), true);
    sim.restart(Case::kMds, true);
    sim.run(1, expect_name(sim.kernel(1), directory, "by0", made));
    sim.run(2, expect_name(sim.kernel(2), directory, "by1", inside));
    sim.end();
  }
  CHECK(hits("look_waited_for_commit") + hits("change_waited_for_commit") > waited);
}

TEST_CASE("S44: who was told that a file is gone never finds it again", "[S44]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    fs::InodeId inode = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(0, make_and_close(sim.kernel(0), directory, "f", &inode));
    sim.world.run_for(2 * kSecond);
    sim.run(0, remove_name(sim.kernel(0), directory, "f"));
    sim.run(1, expect_gone(sim.kernel(1), inode, directory, ""));
    sim.cluster.kill_client(sim.node_of(0), true);
    sim.restart(Case::kMds, true);
    sim.run(1, expect_gone(sim.kernel(1), fs::kNoInode, directory, "f"));
    sim.end();
  }
}

TEST_CASE("S44: a change that failed with its server's disk is seen by its client as by everybody", "[S44]") {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 4 * kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    fs::InodeId inode = fs::kNoInode;
    FileId file = 0;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(1, make_and_close(sim.kernel(1), directory, "other", &inode));
    sim.run(0, make_file(sim.kernel(0), directory, "f", &file, &inode));
    sim.run(0, close_file(sim.kernel(0), file));
    std::uint64_t links = 0;
    sim.run(0, count_links(sim.kernel(0), inode, &links));
    sim.world.run_for(2 * kSecond);
    // It rests on what another client did, so it is answered with the commit, which fails.
    sim.run(1, rename_name(sim.kernel(1), directory, "other", "moved"));
    sim.cluster.disk(Case::kMds).index.fail_next_commit();
    int error = 0;
    const Case::Running linking = sim.begin(0, link_errno(sim.kernel(0), inode, directory, "g", &error));
    sim.world.run_for(sim.world.random().below(20 * kMillisecond));
    sim.cluster.disk(Case::kMds).index.heal();
    sim.restart(Case::kMds, false);
    sim.wait(linking);
    CHECK((error == 0 || error == EIO));
    std::uint64_t of_others = 0;
    sim.run(0, count_links(sim.kernel(0), inode, &links));
    sim.run(1, count_links(sim.kernel(1), inode, &of_others));
    CHECK(links == of_others);
    CHECK(links == (error == 0 ? 2u : 1u));
    failed += error != 0 ? 1 : 0;
    sim.end();
  }
  CHECK(failed > 0);
}

TEST_CASE("S45: numbers of inodes never come twice, also those that a crash lost", "[S45]") {
  std::size_t lost = 0;
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.world.run_for(2 * kSecond);
    std::set<fs::InodeId> all{directory};
    for (std::size_t client = 0; client < 3; ++client) {
      sim.run(client, make_files(sim.kernel(client), directory, "by" + std::to_string(client) + ".", 30, &all));
      // What it made last is lost with it.
      if (client < 2) sim.cluster.kill_client(sim.node_of(client), true);
      sim.restart(Case::kMds, true);
    }
    const std::size_t fresh = sim.add_client();
    sim.run(fresh, make_files(sim.kernel(fresh), directory, "new", 30, &all));
    std::vector<std::string> names;
    sim.run(fresh, list_names(sim.kernel(fresh), directory, &names));
    lost += all.size() - 1 - names.size();
    sim.end();
  }
  CHECK(lost > 0);
}

TEST_CASE("S49: a recovery ends by itself; who is missing is given up, and no later one waits for him", "[S49]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    const std::uint64_t given_up = hits("client_given_up");
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    fs::InodeId inode = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(1, make_and_close(sim.kernel(1), directory, "by1", &inode));
    sim.world.run_for(2 * kSecond);
    const NodeId away = sim.cluster.node(sim.node_of(1))->id();
    // The server's process is another one each time.
    const auto restart = [&](std::uint64_t* took) {
      sim.restart(Case::kMds, false);
      const NodeId mds = sim.cluster.node(Case::kMds)->id();
      sim.cluster.network().block(away, mds);
      sim.cluster.network().block(mds, away);
      const std::uint64_t began = sim.world.now_ns();
      const std::string name = "after" + std::to_string(began);
      sim.run(0, make_and_close(sim.kernel(0), directory, name, &inode));
      *took = sim.world.now_ns() - began;
    };
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    restart(&first);
    CHECK(first > kRecoveryNs / 2);
    CHECK(first < kRecoveryNs + kSecond);
    CHECK(hits("client_given_up") == given_up + 1);
    restart(&second);
    CHECK(second < kSecond);
    const NodeId mds = sim.cluster.node(Case::kMds)->id();
    sim.cluster.network().unblock(away, mds);
    sim.cluster.network().unblock(mds, away);
    sim.world.run_for(10 * kSecond);
    sim.run(1, make_and_close(sim.kernel(1), directory, "again", &inode));
    sim.end(false, true);
  }
}

TEST_CASE("S50: a server that dies in its recovery, and an object server with it, come back", "[S50]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    fs::InodeId directory = fs::kNoInode;
    FileId file = 0;
    fs::InodeId inode = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(0, make_file(sim.kernel(0), directory, "f", &file, &inode));
    const std::string bytes(300'000, 'p');
    sim.run(0, write_at(sim.kernel(0), file, 0, bytes));
    std::set<fs::InodeId> made;
    sim.run(1, make_files(sim.kernel(1), directory, "n", 20, &made));
    for (int round = 0; round < 3; ++round) {
      sim.cluster.kill_server(Case::kMds, true);
      if (round == 1) sim.cluster.kill_server(Case::kFirstOss, true);
      sim.cluster.restart_server(Case::kMds);
      if (round == 1) sim.cluster.restart_server(Case::kFirstOss);
      if (round < 2) sim.run_until_hit("recovery_began");
    }
    std::string found;
    sim.run(2, read_all(sim.kernel(2), inode, &found));
    CHECK((found == bytes));
    std::vector<std::string> names;
    sim.run(2, list_names(sim.kernel(2), directory, &names));
    CHECK(names.size() == 21);
    sim.run(0, close_file(sim.kernel(0), file));
    sim.end();
  }
}

}  // namespace rideau::sim
