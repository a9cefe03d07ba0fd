// SPDX-License-Identifier: Apache-2.0
// The inside of DataPlane: targets with their grants, the cache, the order in which dirty files are written back.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/cache_size.hpp"
#include "plugins/client/data_cache.hpp"
#include "plugins/client/data_striping.hpp"
#include "plugins/client/file_data.hpp"
#include "plugins/fs/object_channel.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace rideau::client {

constexpr std::uint64_t kSendBytes = 1 << 20;           // of one request, where so much is contiguous
constexpr std::uint32_t kSendsPerTarget = 8;            // writes in flight
constexpr std::uint64_t kAnyStamp = ~0ull;              // bytes that became dirty at any time
constexpr std::uint64_t kBackgroundBytes = 1 << 20;     // dirty bytes from which full requests go out by themselves
constexpr std::uint64_t kUnstableAgeNs = 10 * kSecond;  // after which objects are made durable

// An object with changes that its target may lose, since then.
struct UnstableObject {
  std::uint64_t since_ns = 0;
  fs::InodeId inode = fs::kNoInode;
  std::uint32_t stripe = 0;
  friend auto operator<=>(const UnstableObject&, const UnstableObject&) = default;
};

struct DataTarget {
  std::unique_ptr<fs::ObjectChannel> own;
  fs::ObjectChannel* channel = nullptr;
  std::uint64_t epoch = 0;     // counts losses of the session: grants of before mean nothing
  std::uint64_t grant = 0;     // bytes that may still become dirty
  std::uint64_t held = 0;      // of dirty bytes and bytes on their way
  std::uint64_t unbacked = 0;  // of that, without a grant: it was given by an earlier epoch
  std::uint64_t asked = 0;     // grants that requests in flight asked for
  std::uint64_t returned = 0;  // grant given up, to be told with the next write
  std::uint32_t sends = 0;
  std::set<UnstableObject> unstable;  // the oldest first
  bool stabilizing = false;           // a task makes them durable
  bool removed = false;               // it is none of the cluster any more, and no file lies there
  std::uint64_t object_bytes_max = limits::kFileBytesMax;

  // So much is no longer dirty. Returns how much of it was on a grant.
  std::uint64_t unhold(std::uint64_t bytes) noexcept {
    held -= std::min(bytes, held);
    const std::uint64_t without = std::min(bytes, unbacked);
    unbacked -= without;
    return bytes - without;
  }
  std::uint64_t grant_to_ask(std::uint64_t wanted_in_all) const noexcept {
    const std::uint64_t have = grant + held + asked;
    return have < wanted_in_all ? wanted_in_all - have : 0;
  }
};

// Several tasks at once, and the wait for all of them. They run in the plane's group; what they refer to stands in the
// frame that joins.
class Gather {
 public:
  Gather(Runtime& runtime, TaskGroup& tasks) : tasks_(tasks), state_(std::make_shared<State>(runtime)) {}
  void spawn(Task<Status> task) {
    state_->results.emplace_back();
    ++state_->running;
    tasks_.spawn(run(state_, state_->results.size() - 1, std::move(task)));
  }
  // When all have ended: the first failure, in the order in which they were spawned.
  Task<Status> join() {
    while (state_->running > 0) co_await state_->idle.wait();
    for (const Status& result : state_->results) {
      if (!result.ok()) co_return result;
    }
    co_return kOk;
  }
  const std::vector<Status>& results() const noexcept { return state_->results; }

 private:
  struct State {
    explicit State(Runtime& runtime) : idle(runtime) {}
    std::vector<Status> results;
    std::size_t running = 0;
    WaitQueue idle;
  };
  static Task<> run(std::shared_ptr<State> state, std::size_t place, Task<Status> task) {
    const Status result = co_await std::move(task);
    state->results[place] = result;
    if (--state->running == 0) state->idle.wake_all();
  }
  TaskGroup& tasks_;
  std::shared_ptr<State> state_;
};

struct DataPlane::Impl {
  Impl(Runtime& runtime, TaskGroup& tasks, DataOptions options);

  // Which dirty bytes to send: full requests alone, or everything.
  enum class Send { full, all };

  DataTarget* target(fs::TargetId id) noexcept;
  // Clock of the target and growing: versions of truncates.
  std::uint64_t next_version(const DataTarget& target) noexcept;
  void saw_version(std::uint64_t version) noexcept { last_version = std::max(last_version, version); }

  // As large as its first object that is full.
  std::uint64_t file_bytes_max(const Striping& striping) noexcept;
  void became_dirty(FileData::Impl& file);
  void all_sent(FileData::Impl& file);
  // Starts writing back the oldest files, as far as the targets take requests.
  void write_back_oldest();
  bool saturated() const noexcept;  // no target takes another request now
  // After a request ended or a gate opened.
  void kick(FileData::Impl& file);
  bool over_background() const noexcept { return dirty_total >= background_bytes; }

  // What targets may lose (data_plane_unstable.cpp). Changes that a call for durability covers when it ends well.
  struct Covered {
    fs::InodeId inode = fs::kNoInode;
    std::uint32_t layout = 0;  // its generation
    std::uint32_t stripe = 0;
    std::uint64_t change = 0;
  };
  void became_unstable(DataTarget& target, const UnstableObject& object);
  std::vector<Covered> covered_by_sync(const DataTarget& target, std::size_t objects_max);
  void became_durable(std::vector<Covered> covered);
  // Has every target that is not at it make the oldest of its objects durable.
  void stabilize();
  void start_stabilizing(DataTarget& target);
  Task<> stabilize_target(DataTarget& target);
  // One call; a failure is one of the files concerned, and their changes are given up.
  Task<Status> stabilize_oldest(DataTarget& target);
  bool over_unstable() const noexcept { return unstable_total > options.unstable_bytes_max / 2; }
  bool is_old(const DataTarget& target) const noexcept;

  void released(fs::InodeId inode);
  // Lets files go that nobody refers to and that have nothing cached.
  void sweep();

  Runtime& runtime;
  TaskGroup& tasks;
  DataOptions options;
  InlineHome* inline_home = nullptr;
  std::uint64_t background_bytes;
  DataCache cache;
  CacheSize cache_size;
  std::map<fs::TargetId, DataTarget> targets;
  struct Entry {
    std::unique_ptr<FileData> data;
    std::weak_ptr<FileData> users;
  };
  std::map<fs::InodeId, Entry> files;
  std::set<fs::InodeId> candidates;                             // for sweep()
  std::set<std::pair<std::uint64_t, fs::InodeId>> dirty_files;  // with bytes not sent yet, by the time of the first
  std::uint64_t dirty_total = 0;                                // bytes, those on their way included
  std::uint64_t unstable_total = 0;                             // bytes
  std::uint64_t last_version = 0;
  std::uint64_t copied_bytes = 0;
  WaitQueue progress;  // woken when a request to write ended
  Alarm age_alarm;
  Alarm unstable_alarm;

 private:
  void ring_unstable();
  void ring();
  void set_alarm();
};

}  // namespace rideau::client
