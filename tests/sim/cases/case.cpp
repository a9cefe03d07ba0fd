// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cases/case.hpp"

#include <algorithm>
#include <utility>

namespace rideau::sim {
namespace {

Task<> note_end(Task<> task, Case::Running ended) {
  co_await std::move(task);
  *ended = true;
}

}  // namespace

std::uint64_t hits(std::string_view mark) {
  const HookNames names = mark_names();
  for (std::size_t i = 0; i < names.count; ++i) {
    if (mark == names.first[i].name) return mark_count(i);
  }
  FAIL("no such mark: " << mark);
  return 0;
}

Case::Case(std::uint64_t seed, ClusterOptions options) : world(seed), cluster(world, options) {
  INFO("seed " << seed);
  REQUIRE(cluster.start() == "");
}

void Case::run(std::size_t client, Task<> task) {
  REQUIRE(cluster.run(mount(client), std::move(task), "a case") == "");
}

Case::Running Case::begin(std::size_t client, Task<> task) {
  auto running = std::make_shared<bool>(false);
  mount(client).tasks->spawn(note_end(std::move(task), running));
  return running;
}

void Case::wait(const Running& running, std::uint64_t ns_max) {
  const SimWorld::End end = world.run_until([&] { return *running; }, world.now_ns() + ns_max);
  INFO(cluster.describe());
  REQUIRE(end == SimWorld::End::done);
}

void Case::run_until_hit(std::string_view mark, std::uint64_t ns_max) {
  const std::uint64_t before = hits(mark);
  const SimWorld::End end = world.run_until([&] { return hits(mark) > before; }, world.now_ns() + ns_max);
  INFO("mark " << mark);
  REQUIRE(end == SimWorld::End::done);
}

void Case::restart(std::size_t server, bool power_cut, std::uint64_t down_ns) {
  cluster.kill_server(server, power_cut);
  world.run_for(down_ns);
  cluster.restart_server(server);
}

void Case::part(std::size_t a, std::size_t b) {
  cluster.network().block(cluster.node(a)->id(), cluster.node(b)->id());
  cluster.network().block(cluster.node(b)->id(), cluster.node(a)->id());
}

void Case::join(std::size_t a, std::size_t b) {
  cluster.network().unblock(cluster.node(a)->id(), cluster.node(b)->id());
  cluster.network().unblock(cluster.node(b)->id(), cluster.node(a)->id());
}

std::size_t Case::add_client() {
  std::string problem;
  REQUIRE(cluster.add_client(&problem) != nullptr);
  return cluster.mounts().size() - 1;
}

void Case::end(bool emptied, bool may_have_lost) {
  REQUIRE(cluster.start_problem() == "");
  REQUIRE(cluster.stop(emptied, may_have_lost) == "");
}

Task<> make_directory(SimKernel& kernel, std::string name, fs::InodeId* out) {
  const Result<fs::Inode> made = co_await kernel.make(fs::kRootInode, name, S_IFDIR | 0755, "");
  CHECK(made.ok());
  *out = made.ok() ? made->id : fs::kNoInode;
}

Task<> make_file(SimKernel& kernel, fs::InodeId directory, std::string name, FileId* file, fs::InodeId* inode) {
  const Result<SimKernel::Created> made = co_await kernel.create(directory, name, true);
  CHECK(made.ok());
  *file = made.ok() ? made->file : 0;
  *inode = made.ok() ? made->inode.id : fs::kNoInode;
}

Task<> close_file(SimKernel& kernel, FileId file) {
  if (file == 0) co_return;
  const Status closed = co_await kernel.close(file);
  CHECK(closed.ok());
}

Task<> write_at(SimKernel& kernel, FileId file, std::uint64_t offset, std::string bytes) {
  const std::size_t size = bytes.size();
  const Result<std::uint64_t> written = co_await kernel.write(file, offset, std::move(bytes));
  CHECK((written.ok() && *written == size));
}

Task<> read_all(SimKernel& kernel, fs::InodeId inode, std::string* bytes) {
  constexpr std::uint64_t kMost = 4 << 20;
  const Result<FileId> file = co_await kernel.open(inode, fs::kOpenRead);
  CHECK(file.ok());
  if (!file.ok()) co_return;
  const Result<std::string> read = co_await kernel.read(*file, 0, kMost);
  CHECK(read.ok());
  if (read.ok()) *bytes = *read;
  co_await close_file(kernel, *file);
}

Task<> list_names(SimKernel& kernel, fs::InodeId directory, std::vector<std::string>* names) {
  const Result<SimKernel::Listing> listing = co_await kernel.list(directory);
  CHECK(listing.ok());
  names->clear();
  if (!listing.ok()) co_return;
  for (const fs::DirectoryEntry& entry : listing->entries) names->push_back(entry.name);
  std::sort(names->begin(), names->end());
}

}  // namespace rideau::sim
