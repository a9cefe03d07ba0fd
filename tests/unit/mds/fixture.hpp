// SPDX-License-Identifier: Apache-2.0
// A metadata target on a simulated index: started, stopped, cut off, started again, its operations called directly.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/mds/mds.hpp"
#include "plugins/mds/ops/ops.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <set>
#include <string>

namespace rideau::mds {

// Remembers what it was asked to destroy; fails while told to.
class RecordingDestroyer final : public ObjectTargets {
 public:
  Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) override {
    ++calls;
    if (failing) co_return Status{Code::closed, 0, "target is away"};
    for (const ObjectId& object : objects) gone.insert({target, object.high, object.low});
    co_return kOk;
  }
  Task<Result<std::vector<ObjectId>>> list(fs::TargetId target, ObjectId after, fs::InodeId end) override {
    if (failing) co_return Status{Code::closed, 0, "target is away"};
    std::vector<ObjectId> found;
    for (const auto& [on, high, low] : present) {
      const ObjectId object{high, low};
      const bool wanted = on == target && after < object && high < end && !gone.contains({on, high, low});
      if (wanted && found.size() < kObjectsMax) found.push_back(object);
    }
    co_return found;
  }
  Task<Status> fence(fs::TargetId target, Uuid client, std::uint64_t session) override {
    if (failing) co_return Status{Code::closed, 0, "target is away"};
    fenced.insert({target, client, session});
    co_return kOk;
  }
  Task<Result<std::uint64_t>> bytes_free(fs::TargetId target) override {
    ++asked_for_space;
    if (failing) co_return Status{Code::closed, 0, "target is away"};
    const auto known = free.find(target);
    co_return known != free.end() ? known->second : 1ull << 40;
  }
  fs::ObjectChannel* channel(fs::TargetId target) override {
    const auto known = channels.find(target);
    return known != channels.end() ? known->second : nullptr;
  }
  std::uint64_t losses(fs::TargetId target) const override {
    const auto known = lost.find(target);
    return known != lost.end() ? known->second : 0;
  }
  bool is_gone(const fs::Inode& inode) const {
    for (std::uint32_t i = 0; i < inode.layout.stripe_count(); ++i) {
      const ObjectId id = fs::object_id(inode.id, inode.layout.generation, i);
      if (!gone.contains({inode.layout.targets[i], id.high, id.low})) return false;
    }
    return !inode.layout.targets.empty();
  }
  std::set<std::tuple<fs::TargetId, std::uint64_t, std::uint64_t>> gone;
  std::set<std::tuple<fs::TargetId, std::uint64_t, std::uint64_t>> present;  // as clients wrote them
  std::set<std::tuple<fs::TargetId, Uuid, std::uint64_t>> fenced;
  std::map<fs::TargetId, std::uint64_t> free;  // bytes
  std::map<fs::TargetId, fs::ObjectChannel*> channels;
  std::map<fs::TargetId, std::uint64_t> lost;
  int asked_for_space = 0;
  bool failing = false;
  int calls = 0;
};

inline fs::Caller root() { return {}; }
inline fs::Caller user(std::uint32_t uid, std::uint32_t gid, std::vector<std::uint32_t> groups = {}) {
  fs::Caller caller;
  caller.uid = uid;
  caller.gid = gid;
  caller.groups_known = true;
  caller.groups = std::move(groups);
  return caller;
}

class Fixture {
 public:
  explicit Fixture(std::uint64_t seed = 1, sim::SimIndexOptions disk_options = {}) : world(seed), disk(disk_options) {
    options.cluster = make_uuid({1, 2, 3});
    options.target = 5;
    options.object_targets = {11, 12, 13};
  }
  ~Fixture() { run.reset(); }

  // Runs a task to its end.
  template <class T>
  T await(Task<T> task) {
    std::optional<T> result;
    run->tasks.spawn(store(std::move(task), result));
    REQUIRE(world.run_until([&] { return result.has_value(); }, world.now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
    return std::move(*result);
  }

  void boot() {
    run.reset();
    run = std::make_unique<Run>(*this);
    REQUIRE(await(start_index()).ok());
  }
  Status start() {
    boot();
    const Status formatted = await(mds().format());
    return formatted.ok() ? await(mds().start()) : formatted;
  }
  void begin() {
    REQUIRE(start().ok());
    session = &target().sessions.add(mds().next_session_id(), nullptr);
  }
  void stop() {
    REQUIRE(await(stop_all()).ok());
    run.reset();
  }
  // The node's end: nothing resumes any more; what was not durable may be lost.
  void power_cut(std::uint64_t seed) {
    run->runtime.kill();
    run->host.kill();
    run.reset();
    disk.power_cut(seed);
  }

  Mds& mds() { return *run->mds; }
  Target& target() { return run->mds->target(); }
  Status settle() { return await(target().committer.wait_durable(target().committer.last())); }

  template <class Request>
  auto look(const Request& request) {
    return apply(target(), request);
  }
  template <class Request>
  auto change(const Request& request) {
    REQUIRE(await(target().committer.admit(Need::steady)).ok());
    Transaction transaction(target());
    if constexpr (requires { apply(target(), transaction, request, *session); }) {
      auto result = apply(target(), transaction, request, *session);
      last_transaction = transaction.number();
      return result;
    } else {
      auto result = apply(target(), transaction, request);
      last_transaction = transaction.number();
      return result;
    }
  }

  // Short forms for tests.
  Result<fs::MakeReply> make(fs::InodeId parent, std::string_view name, std::uint32_t mode,
                             const fs::Caller& caller = root()) {
    fs::MakeRequest request;
    request.caller = caller;
    request.parent = parent;
    request.name = name;
    request.mode = mode;
    return change(request);
  }
  fs::InodeId made(fs::InodeId parent, std::string_view name, std::uint32_t mode, const fs::Caller& caller = root()) {
    const auto reply = make(parent, name, mode, caller);
    REQUIRE(reply.ok());
    return reply->inode.id;
  }
  fs::InodeId mkdir(fs::InodeId parent, std::string_view name, std::uint32_t mode = 0755) {
    return made(parent, name, S_IFDIR | mode);
  }
  fs::InodeId file(fs::InodeId parent, std::string_view name, std::uint32_t mode = 0644) {
    return made(parent, name, S_IFREG | mode);
  }
  // A file that somebody may have written to: it may have objects.
  fs::InodeId touched_file(fs::InodeId parent, std::string_view name) {
    const fs::InodeId inode = file(parent, name);
    REQUIRE(close(inode, 0, {0, 0, 1, 0, true}).ok());
    return inode;
  }
  Result<fs::InodeReply> lookup(fs::InodeId parent, std::string_view name, const fs::Caller& caller = root()) {
    return look(fs::LookupRequest{caller, parent, name});
  }
  fs::Inode stat(fs::InodeId inode) {
    auto reply = look(fs::GetAttributesRequest{inode});
    REQUIRE(reply.ok());
    return reply->inode;
  }
  int stat_errno(fs::InodeId inode) { return errno_of(look(fs::GetAttributesRequest{inode}).status()); }
  Result<fs::OpenReply> open(fs::InodeId inode, std::uint32_t flags, fs::HandleId handle,
                             const fs::Caller& caller = root()) {
    return change(fs::OpenRequest{caller, inode, flags, handle});
  }
  Status close(fs::InodeId inode, fs::HandleId handle, fs::SizeUpdate update = {}) {
    return change(fs::CloseRequest{{{inode, handle, update}}});
  }
  Result<fs::RemoveReply> remove(fs::InodeId parent, std::string_view name, bool directory = false,
                                 const fs::Caller& caller = root()) {
    return change(fs::RemoveRequest{caller, parent, name, directory});
  }
  Result<fs::RenameReply> rename(fs::InodeId from, std::string_view old_name, fs::InodeId to, std::string_view new_name,
                                 std::uint32_t flags = 0, const fs::Caller& caller = root()) {
    return change(fs::RenameRequest{caller, from, old_name, to, new_name, flags});
  }
  std::vector<std::string> names(fs::InodeId directory, std::uint32_t page = 1000) {
    std::vector<std::string> all;
    fs::ReadDirectoryRequest request{directory, 0, page, true};
    for (;;) {
      auto reply = look(request);
      REQUIRE(reply.ok());
      for (const auto& entry : reply->entries) {
        REQUIRE(entry.cookie > request.after);
        REQUIRE(entry.attributes.id == entry.inode);
        request.after = entry.cookie;
        all.push_back(entry.name);
      }
      if (reply->end) return all;
      REQUIRE_FALSE(reply->entries.empty());
    }
  }
  std::set<std::string> name_set(fs::InodeId directory) {
    const auto all = names(directory);
    std::set<std::string> set(all.begin(), all.end());
    REQUIRE(set.size() == all.size());
    return set;
  }

  struct Run {
    explicit Run(Fixture& fixture)
        : runtime(fixture.world, "mds"),
          host(runtime, fixture.log, "mds0.index"),
          index(sim::make_sim_index(host, fixture.disk)),
          mds(std::make_unique<Mds>(runtime, fixture.log, *index, fixture.options, fixture.destroyer)),
          tasks(runtime) {}
    ~Run() {
      runtime.kill();  // what waits is destroyed: nothing may resume it
      mds.reset();
      index->destroy();
    }
    sim::SimRuntime runtime;
    NodeHost host;
    IndexStore* index;
    std::unique_ptr<Mds> mds;
    TaskGroup tasks;
  };

  sim::SimWorld world;
  sim::SimIndexDisk disk;
  MemoryLogger log;
  RecordingDestroyer destroyer;
  Options options;
  std::unique_ptr<Run> run;
  Session* session = nullptr;
  std::uint64_t last_transaction = 0;

 private:
  template <class T>
  static Task<> store(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
  Task<Status> start_index() {
    const Outcome done = co_await submit([this](Completion& c) { return run->index->start(c); });
    co_return done.status;
  }
  Task<Status> stop_all() {
    co_await run->mds->stop();
    const Outcome done = co_await submit([this](Completion& c) { return run->index->stop(c); });
    co_return done.status;
  }
};

}  // namespace rideau::mds
