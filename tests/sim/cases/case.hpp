// SPDX-License-Identifier: Apache-2.0
// One named case of what must hold through crashes: a small cluster in the simulator to which one thing is done on
// purpose, where seeds would do it by chance. Each case is run from several seeds, which choose delays and sizes.
#pragma once

#include "tests/sim/cluster.hpp"
#include "tests/sim/hooks.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace rideau::sim {

constexpr std::uint64_t kSeedsOfCase = 50;

// How often a mark was hit in this process.
std::uint64_t hits(std::string_view mark);

class Case {
 public:
  explicit Case(std::uint64_t seed, ClusterOptions options = {});
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  SimWorld world;
  Cluster cluster;

  static constexpr std::size_t kMds = 0;
  static constexpr std::size_t kFirstOss = 1;

  Mount& mount(std::size_t client) { return cluster.mounts()[client]; }
  SimKernel& kernel(std::size_t client) { return *mount(client).kernel; }
  client::FileSystem& files(std::size_t client) { return *mount(client).file_system; }
  std::size_t node_of(std::size_t client) const noexcept { return cluster.server_count() + client; }

  // Runs a coroutine of that client to its end.
  void run(std::size_t client, Task<> task);
  // Lets it run beside what follows; wait() is for its end.
  using Running = std::shared_ptr<bool>;
  Running begin(std::size_t client, Task<> task);
  void wait(const Running& running, std::uint64_t ns_max = 60 * kSecond);
  // Runs until `mark` was hit once more.
  void run_until_hit(std::string_view mark, std::uint64_t ns_max = 60 * kSecond);
  // Kills it, and starts it again after so long.
  void restart(std::size_t server, bool power_cut, std::uint64_t down_ns = 10 * kMillisecond);
  // Nothing passes between the two nodes, either way; or all does again.
  void part(std::size_t a, std::size_t b);
  void join(std::size_t a, std::size_t b);
  // A client that has cached nothing.
  std::size_t add_client();
  // Everybody ends; then nothing may be left behind, and the file system check must find nothing. `emptied`: every file
  // was removed. `may_have_lost`: a client may say that it could not write everything.
  void end(bool emptied = false, bool may_have_lost = false);
};

// Calls that a case makes again and again; they fail the test where they fail.
Task<> make_directory(SimKernel& kernel, std::string name, fs::InodeId* out);
Task<> make_file(SimKernel& kernel, fs::InodeId directory, std::string name, FileId* file, fs::InodeId* inode);
Task<> write_at(SimKernel& kernel, FileId file, std::uint64_t offset, std::string bytes);
Task<> close_file(SimKernel& kernel, FileId file);  // 0: it was not opened, which failed the test already
Task<> read_all(SimKernel& kernel, fs::InodeId inode, std::string* bytes);
Task<> list_names(SimKernel& kernel, fs::InodeId directory, std::vector<std::string>* names);

}  // namespace rideau::sim
