// SPDX-License-Identifier: Apache-2.0
// Goal: a client that was evicted changes nothing any more, whatever of it is still on its way, and hears of what it
// lost; and nobody is evicted because a clock jumps.
#include "tests/sim/cases/case.hpp"

#include <cerrno>

namespace rideau::sim {
namespace {

Task<> open_file(SimKernel& kernel, fs::InodeId inode, FileId* file) {
  const Result<FileId> opened = co_await kernel.open(inode, fs::kOpenRead | fs::kOpenWrite);
  CHECK(opened.ok());
  *file = opened.ok() ? *opened : 0;
}

Task<> write_and_sync(SimKernel& kernel, FileId file, std::string bytes) {
  co_await write_at(kernel, file, 0, std::move(bytes));
  const Status synced = co_await kernel.sync(file);
  CHECK(synced.ok());
}

Task<> sync_errno(SimKernel& kernel, FileId file, int* error) {
  const Status synced = co_await kernel.sync(file);
  *error = errno_of(synced);
}

Task<> close_whatever(SimKernel& kernel, FileId file) { static_cast<void>(co_await kernel.close(file)); }

struct Shared {
  fs::InodeId inode = fs::kNoInode;
  FileId of[2] = {};
};

void share(Case& sim, Shared& file, std::size_t size) {
  sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "f", &file.of[0], &file.inode));
  sim.run(0, write_and_sync(sim.kernel(0), file.of[0], std::string(size, 'o')));
  sim.run(1, open_file(sim.kernel(1), file.inode, &file.of[1]));
}

}  // namespace

TEST_CASE("S47: an evicted client drops what it had not written, says so, and reads what others wrote", "[S47]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    const std::uint64_t evicted = hits("client_evicted");
    constexpr std::size_t kSize = 100'000;
    Case sim(seed);
    Shared file;
    share(sim, file, kSize);
    sim.run(0, write_at(sim.kernel(0), file.of[0], 0, std::string(kSize, 'x')));
    // From the whole cluster: what is dirty stays with the client.
    for (std::size_t i = 0; i < sim.cluster.server_count(); ++i) sim.part(sim.node_of(0), i);
    sim.run(1, write_and_sync(sim.kernel(1), file.of[1], std::string(kSize, 'n')));
    CHECK(hits("client_evicted") > evicted);
    for (std::size_t i = 0; i < sim.cluster.server_count(); ++i) sim.join(sim.node_of(0), i);
    int error = 0;
    sim.run(0, sync_errno(sim.kernel(0), file.of[0], &error));
    CHECK(error == EIO);
    std::string found;
    for (std::size_t client = 0; client < 3; ++client) {
      sim.run(client, read_all(sim.kernel(client), file.inode, &found));
      CHECK((found == std::string(kSize, 'n')));
    }
    sim.run(0, close_whatever(sim.kernel(0), file.of[0]));
    sim.run(1, close_whatever(sim.kernel(1), file.of[1]));
    sim.end(false, true);
  }
}

TEST_CASE("S53: bulk of an evicted client that is still on its way lands nowhere", "[S53]") {
  const std::uint64_t fenced = hits("session_fenced");
  for (std::uint64_t seed = 1; seed <= 2 * kSeedsOfCase; ++seed) {
    constexpr std::size_t kSize = 300'000;
    Case sim(seed);
    Shared file;
    share(sim, file, kSize);
    sim.run(0, write_at(sim.kernel(0), file.of[0], 0, std::string(kSize, 'x')));
    sim.cluster.network().set_bulk_delay(40 * kSecond);
    int error = 0;
    const Case::Running syncing = sim.begin(0, sync_errno(sim.kernel(0), file.of[0], &error));
    sim.world.run_for(2 * kMillisecond);  // its writes have reached the object servers, which fetch the bytes
    sim.part(sim.node_of(0), Case::kMds);
    sim.cluster.network().set_bulk_delay(0);
    sim.run(1, write_and_sync(sim.kernel(1), file.of[1], std::string(kSize, 'n')));
    sim.world.run_for(50 * kSecond);
    sim.join(sim.node_of(0), Case::kMds);
    sim.wait(syncing);
    // Those that were sent as part of the message may have been there before the eviction.
    CHECK((error == 0 || error == EIO));
    std::string found;
    for (std::size_t client = 1; client < 3; ++client) {
      sim.run(client, read_all(sim.kernel(client), file.inode, &found));
      CHECK((found == std::string(kSize, 'n')));
    }
    sim.run(0, close_whatever(sim.kernel(0), file.of[0]));
    sim.run(1, close_whatever(sim.kernel(1), file.of[1]));
    sim.end(false, true);
  }
  CHECK(hits("session_fenced") > fenced);
}

TEST_CASE("S55: a clock that jumps, either way, costs nobody anything", "[S55]") {
  constexpr std::int64_t kDay = 86'400 * static_cast<std::int64_t>(kSecond);
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    const std::uint64_t before = hits("client_evicted") + hits("lease_ran_out") + hits("client_lost_its_session");
    Case sim(seed);
    Shared file;
    share(sim, file, 50'000);
    for (std::size_t node = 0; node < sim.cluster.node_count(); ++node) {
      for (const std::int64_t by : {kDay, -2 * kDay, kDay}) {
        sim.run(0, write_at(sim.kernel(0), file.of[0], 0, std::string(50'000, 'x')));
        sim.cluster.node(node)->set_wall(by);
        sim.world.run_for(10 * kSecond);
        sim.run(1, write_and_sync(sim.kernel(1), file.of[1], std::string(50'000, 'n')));
      }
    }
    std::string found;
    sim.run(2, read_all(sim.kernel(2), file.inode, &found));
    CHECK((found == std::string(50'000, 'n')));
    CHECK(hits("client_evicted") + hits("lease_ran_out") + hits("client_lost_its_session") == before);
    sim.run(0, close_whatever(sim.kernel(0), file.of[0]));
    sim.run(1, close_whatever(sim.kernel(1), file.of[1]));
    sim.end();
  }
}

}  // namespace rideau::sim
