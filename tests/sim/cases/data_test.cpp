// SPDX-License-Identifier: Apache-2.0
// Goal: bytes of files through kills, power cuts and rot of disks: what was acknowledged is there while a client lives,
// what was fsynced is there whatever dies, and nobody reads wrong bytes.
#include "tests/sim/cases/case.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::sim {
namespace {

Task<> sync_file(SimKernel& kernel, FileId file) {
  const Status synced = co_await kernel.sync(file);
  CHECK(synced.ok());
}

// Bytes that tell where they belong.
std::string pattern(std::uint64_t seed, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + (i / 64 + i / 4096 + seed) % 26);
  return bytes;
}

Task<> write_and_read(SimKernel& kernel, FileId file, std::uint64_t seed, int rounds, bool* ended) {
  for (int round = 0; round < rounds; ++round) {
    const std::string bytes = pattern(seed + static_cast<std::uint64_t>(round), 150'000);
    co_await write_at(kernel, file, 0, bytes);
    if (round % 3 == 0) co_await sync_file(kernel, file);
    const Result<std::string> read = co_await kernel.read(file, 0, bytes.size());
    CHECK((read.ok() && *read == bytes));
    kernel.shrink();
  }
  *ended = true;
}

Task<> read_or_error(SimKernel& kernel, fs::InodeId inode, const std::string& bytes, int* wrong, int* errors) {
  const Result<FileId> file = co_await kernel.open(inode, fs::kOpenRead);
  CHECK(file.ok());
  if (!file.ok()) co_return;
  for (std::uint64_t at = 0; at < bytes.size(); at += 4096) {
    const Result<std::string> read = co_await kernel.read(*file, at, 4096);
    if (!read.ok()) {
      CHECK(errno_of(read.status()) == EIO);
      ++*errors;
    } else if (*read != bytes.substr(at, 4096)) {
      ++*wrong;
    }
  }
  co_await close_file(kernel, *file);
}

Task<> make_in_order(SimKernel& kernel, fs::InodeId directory, int count) {
  for (int i = 0; i < count; ++i) {
    FileId file = 0;
    fs::InodeId inode = fs::kNoInode;
    co_await make_file(kernel, directory, std::to_string(1000 + i), &file, &inode);
    co_await close_file(kernel, file);
  }
}

Task<> set_size(SimKernel& kernel, fs::InodeId inode, std::uint64_t size) {
  const Status set = co_await kernel.truncate(inode, size);
  CHECK(set.ok());
}

Task<> get_size(SimKernel& kernel, fs::InodeId inode, std::uint64_t* size) {
  const Result<fs::Inode> found = co_await kernel.get_attributes(inode);
  CHECK(found.ok());
  *size = found.ok() ? found->size : 0;
}

void black_out(Case& sim) {
  for (std::size_t i = 0; i < sim.cluster.server_count(); ++i) sim.cluster.kill_server(i, true);
  for (std::size_t i = 0; i < 3; ++i) sim.cluster.kill_client(sim.node_of(i), true);
  for (std::size_t i = 0; i < sim.cluster.server_count(); ++i) sim.cluster.restart_server(i);
}

struct File {
  FileId file = 0;
  fs::InodeId inode = fs::kNoInode;
};

}  // namespace

TEST_CASE("S46: what an object server had and lost is sent again", "[S46]") {
  const std::uint64_t again = hits("bytes_sent_again");
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    File one;
    sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "f", &one.file, &one.inode));
    const std::string bytes = pattern(seed, 700'000);
    sim.run(0, write_at(sim.kernel(0), one.file, 0, bytes));
    sim.world.run_for(3 * kSecond);  // dirty bytes become too old for the client and go to the servers
    for (std::size_t server = Case::kFirstOss; server < sim.cluster.server_count(); ++server) sim.restart(server, true);
    std::string found;
    sim.run(1, read_all(sim.kernel(1), one.inode, &found));
    CHECK((found == bytes));
    sim.run(0, close_file(sim.kernel(0), one.file));
    sim.end();
  }
  CHECK(hits("bytes_sent_again") > again);
}

TEST_CASE("S51: an object server that dies in the middle of reads and writes is a delay", "[S51]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    Case sim(seed);
    File files[2];
    bool ended[2] = {};
    std::vector<Case::Running> running;
    for (std::size_t i = 0; i < 2; ++i) {
      sim.run(i, make_file(sim.kernel(i), fs::kRootInode, "f" + std::to_string(i), &files[i].file, &files[i].inode));
      running.push_back(sim.begin(i, write_and_read(sim.kernel(i), files[i].file, 10 * i + seed, 12, &ended[i])));
    }
    for (int kill = 0; kill < 6; ++kill) {
      sim.world.run_for(sim.world.random().below(30 * kMillisecond));
      sim.restart(Case::kFirstOss + sim.world.random().below(2), kill % 2 == 0, 200 * kMillisecond);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      sim.wait(running[i]);
      CHECK(ended[i]);
      sim.run(i, close_file(sim.kernel(i), files[i].file));
    }
    sim.end();
  }
}

TEST_CASE("S56: the power of one server goes and the clients live: nothing acknowledged is lost", "[S56]") {
  for (std::uint64_t seed = 1; seed <= kSeedsOfCase; ++seed) {
    for (std::size_t server = 0; server < 3; ++server) {
      Case sim(seed);
      File one;
      fs::InodeId directory = fs::kNoInode;
      sim.run(0, make_directory(sim.kernel(0), "d", &directory));
      sim.run(0, make_in_order(sim.kernel(0), directory, 30));
      sim.run(0, make_file(sim.kernel(0), directory, "f", &one.file, &one.inode));
      const std::string bytes = pattern(seed, 400'000);
      sim.run(0, write_at(sim.kernel(0), one.file, 0, bytes));
      sim.world.run_for(sim.world.random().below(3 * kSecond));
      sim.restart(server, true);
      std::string found;
      sim.run(1, read_all(sim.kernel(1), one.inode, &found));
      CHECK((found == bytes));
      std::vector<std::string> names;
      sim.run(1, list_names(sim.kernel(1), directory, &names));
      CHECK(names.size() == 31);
      sim.run(0, close_file(sim.kernel(0), one.file));
      sim.end();
    }
  }
}

TEST_CASE(
    "S56: the power of everything goes at once: what was fsynced is there, names are a prefix, bytes are old or new",
    "[S56]") {
  constexpr std::size_t kUnit = 512;  // what the simulated stores never tear
  for (std::uint64_t seed = 1; seed <= 4 * kSeedsOfCase; ++seed) {
    ClusterOptions options;
    options.blocks = seed % 2 == 0;
    Case sim(seed, options);
    File synced;
    File later;
    fs::InodeId directory = fs::kNoInode;
    sim.run(0, make_directory(sim.kernel(0), "d", &directory));
    sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "synced", &synced.file, &synced.inode));
    sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "later", &later.file, &later.inode));
    const std::string old_bytes = pattern(seed, 200'000);
    const std::string new_bytes = pattern(seed + 13, 200'000);
    sim.run(0, write_at(sim.kernel(0), synced.file, 0, old_bytes));
    sim.run(0, sync_file(sim.kernel(0), synced.file));
    sim.run(0, write_at(sim.kernel(0), later.file, 0, old_bytes));
    sim.run(0, sync_file(sim.kernel(0), later.file));
    sim.run(0, write_at(sim.kernel(0), later.file, 0, new_bytes));
    sim.run(0, make_in_order(sim.kernel(0), directory, 40));
    sim.world.run_for(sim.world.random().below(2 * kSecond));
    black_out(sim);
    const std::size_t fresh = sim.add_client();
    std::string found;
    sim.run(fresh, read_all(sim.kernel(fresh), synced.inode, &found));
    CHECK((found == old_bytes));
    sim.run(fresh, read_all(sim.kernel(fresh), later.inode, &found));
    REQUIRE(found.size() == old_bytes.size());
    for (std::size_t at = 0; at < found.size(); at += kUnit) {
      const std::string unit = found.substr(at, kUnit);
      const bool known = unit == old_bytes.substr(at, kUnit) || unit == new_bytes.substr(at, kUnit) ||
                         unit == std::string(unit.size(), '\0');
      CHECK(known);
    }
    std::vector<std::string> names;
    sim.run(fresh, list_names(sim.kernel(fresh), directory, &names));
    for (std::size_t i = 0; i < names.size(); ++i) CHECK(names[i] == std::to_string(1000 + i));
    sim.end();
  }
}

TEST_CASE("S56: a file that was cut is no smaller than that, whichever of its objects knew it", "[S56]") {
  for (std::uint64_t seed = 1; seed <= 4 * kSeedsOfCase; ++seed) {
    Case sim(seed);
    constexpr std::uint64_t kFirst = 500;  // in one object, less than is left of the file
    constexpr std::uint64_t kFar = 120'000;
    constexpr std::uint64_t kLeft = 1'600;
    File one;
    sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "f", &one.file, &one.inode));
    sim.run(0, write_at(sim.kernel(0), one.file, 0, pattern(seed, kFirst)));
    sim.run(0, write_at(sim.kernel(0), one.file, kFar, pattern(seed, kFirst)));
    sim.run(0, sync_file(sim.kernel(0), one.file));
    sim.run(0, close_file(sim.kernel(0), one.file));
    sim.run(0, set_size(sim.kernel(0), one.inode, kLeft));
    sim.world.run_for(sim.world.random().below(100 * kMillisecond));
    black_out(sim);
    const std::size_t fresh = sim.add_client();
    std::uint64_t size = 0;
    sim.run(fresh, get_size(sim.kernel(fresh), one.inode, &size));
    CHECK((size >= kLeft && size <= kFar + kFirst));
    sim.end();
  }
}

TEST_CASE("S57: flipped bits of a disk are errors, and never wrong bytes", "[S57]") {
  int errors = 0;
  for (std::uint64_t seed = 1; seed <= 2 * kSeedsOfCase; ++seed) {
    ClusterOptions options;
    options.blocks = seed % 2 == 0;
    Case sim(seed, options);
    File one;
    sim.run(0, make_file(sim.kernel(0), fs::kRootInode, "f", &one.file, &one.inode));
    const std::string bytes = pattern(seed, 100'000);
    sim.run(0, write_at(sim.kernel(0), one.file, 0, bytes));
    sim.run(0, sync_file(sim.kernel(0), one.file));
    sim.run(0, close_file(sim.kernel(0), one.file));
    bool flipped = false;
    for (std::size_t server = Case::kFirstOss; server < sim.cluster.server_count(); ++server) {
      Cluster::Disk& disk = sim.cluster.disk(server);
      flipped |= options.blocks ? disk.device.flip_bit(seed) : disk.objects.flip_bit(seed);
    }
    CHECK(flipped);
    int wrong = 0;
    int refused = 0;
    const std::size_t fresh = sim.add_client();
    sim.run(fresh, read_or_error(sim.kernel(fresh), one.inode, bytes, &wrong, &refused));
    CHECK(wrong == 0);
    CHECK(refused > 0);
    errors += refused;
    sim.end(false, true);
  }
  CHECK(errors > 0);
}

}  // namespace rideau::sim
