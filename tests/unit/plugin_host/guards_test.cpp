// SPDX-License-Identifier: Apache-2.0
// Goal: each rule of the contract that a guard checks is planted broken once, and the guard ends the process with the
// plugin, the instance, the call and the rule; an instance that keeps the rules passes.
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "tests/unit/plugin_host/dies.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace rideau;

namespace {

enum class Fault {
  none,
  completes_twice,
  completes_after_finished,
  finishes_and_completes,
  passes_on_and_completes,
  resumes_itself,
  arrives_at_once,
  stop_leaves_pending,
  same_sequence,
  accepts_too_large,
  accepts_after_stop,
  keys_descend,
  seeks_before,
  changes_value,
  bad_log_level,
};

Fault fault = Fault::none;

class Store final : public IndexStore {
 public:
  explicit Store(Host& host) : host_(host) {}

  Submitted start(Completion& done) noexcept override { return done.finish(kOk); }
  Submitted stop(Completion& done) noexcept override {
    if (pending_ != nullptr && fault != Fault::stop_leaves_pending) host_.complete(*pending_, {Code::closed}, 0);
    return done.finish(kOk);
  }
  void cancel(Completion&) noexcept override {}
  void destroy() noexcept override { delete this; }
  IndexLimits limits() const noexcept override { return {8, 8, 64}; }

  Status snapshot(Snapshot** out) noexcept override {
    *out = new View(*this);
    return kOk;
  }

  Submitted commit(IndexBatch* batches, std::uint32_t count, Durability, Completion& done) noexcept override {
    for (std::uint32_t i = 0; i < count; ++i) {
      batches[i].status = kOk;
      batches[i].sequence = fault == Fault::same_sequence ? 1 : ++sequence_;
      const bool large = batches[i].edit_count > 0 && batches[i].edits[0].key.size > 8;
      if (large && fault != Fault::accepts_too_large) return done.finish({Code::too_large});
    }
    switch (fault) {
      case Fault::completes_twice:
        host_.complete(done, kOk, sequence_);
        host_.complete(done, kOk, sequence_);
        return Submitted::pending;
      case Fault::completes_after_finished:
        if (pending_ != nullptr) host_.complete(*pending_, kOk, sequence_);
        pending_ = &done;
        return done.finish(kOk, sequence_);
      case Fault::finishes_and_completes:
        host_.complete(done, kOk, sequence_);
        return done.finish(kOk, sequence_);
      case Fault::passes_on_and_completes:
        static_cast<void>(host_.sleep(1000, done));
        host_.complete(done, kOk, sequence_);
        return Submitted::pending;
      case Fault::resumes_itself:
        if (pending_ != nullptr) pending_->resume(pending_);
        pending_ = &done;
        return Submitted::pending;
      case Fault::arrives_at_once:
        done.resume(&done);
        return Submitted::pending;
      case Fault::bad_log_level:
        host_.log(static_cast<Level>(9), "x");
        break;
      default:
        break;
    }
    const bool at_once = batches[0].edit_count == 0 || fault == Fault::accepts_too_large;
    if (at_once) return done.finish(kOk, fault == Fault::same_sequence ? 1 : sequence_);
    pending_ = &done;
    return Submitted::pending;  // until stop
  }
  Status space(IndexSpace* out) noexcept override {
    *out = {};
    return fault == Fault::accepts_after_stop || sequence_ == 0 ? kOk : Status{Code::closed};
  }

 private:
  struct View final : Snapshot {
    explicit View(Store& owner) : store(owner) {}
    Status get(Bytes, Bytes* out) noexcept override {
      *out = Bytes(std::string_view(store.value_));
      return kOk;
    }
    Status seek(Bytes, Bytes* found, Bytes* out) noexcept override {
      *found = Bytes(std::string_view(fault == Fault::seeks_before ? "A" : "k"));
      return get({}, out);
    }
    Status next(Bytes* found, Bytes* out) noexcept override {
      *found = Bytes(std::string_view(fault == Fault::keys_descend ? "a" : "z"));
      return get({}, out);
    }
    void release() noexcept override { delete this; }
    Store& store;
  };

 public:
  std::string value_ = "value";

 private:
  Host& host_;
  Completion* pending_ = nullptr;
  std::uint64_t sequence_ = 0;
};

Store* last_made = nullptr;

Status create(Host& host, const ConfigValue*, Instance** out) noexcept {
  last_made = new Store(host);
  *out = last_made;
  return kOk;
}

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::index_store, .name = "faulty", .version = "1", .summary = "for tests", .create = create};

struct World {
  RealRuntime runtime;
  NullLogger logger;
  PluginInstance instance{runtime, logger, kDescriptor, {.name = "mds0.index", .guarded = true}};
  IndexStore& store() { return instance.index_store(); }
};

// One commit as its caller makes it; the edit makes it pend until stop.
struct Commit : Completion {
  explicit Commit(std::string_view name = {}) : key(name) {
    resume = [](Completion* done) noexcept { static_cast<Commit*>(done)->arrived = true; };
    edit.key = Bytes(std::string_view(key));
    batch.edits = &edit;
    batch.edit_count = key.empty() ? 0 : 1;
  }
  void submit(IndexStore& store) { how = store.commit(&batch, 1, Durability::durable, *this); }
  std::string key;
  Edit edit;
  IndexBatch batch;
  Submitted how = Submitted::finished;
  bool arrived = false;
};

using Step = Task<> (*)(World&);

Task<> started(World& world, Step step) {
  const Status status = world.instance.create(nullptr);
  RIDEAU_ASSERT(status.ok());
  const Status start = co_await world.instance.start();
  RIDEAU_ASSERT(start.ok());
  co_await step(world);
}

std::string words(Fault planted, Step step) {
  return last_words([=] {
    fault = planted;
    World world;
    world.runtime.run(started(world, step));
  });
}

Task<> two_commits(World& world) {
  Commit first;
  first.submit(world.store());
  Commit second;
  second.submit(world.store());
  co_await sleep_for(world.runtime, 5 * kMillisecond);
  co_await world.instance.stop();
}

Task<> pending_commit(World& world) {
  Commit commit("key");
  commit.submit(world.store());
  co_await world.instance.stop();
  co_await yield_now(world.runtime);
}

Task<> large_commit(World& world) {
  Commit commit("a key over the limit");
  commit.submit(world.store());
  co_await world.instance.stop();
}

Task<> walk(World& world) {
  Snapshot* snapshot = nullptr;
  RIDEAU_ASSERT(world.store().snapshot(&snapshot).ok());
  Bytes key;
  Bytes value;
  static_cast<void>(snapshot->seek(Bytes(std::string_view("b")), &key, &value));
  static_cast<void>(snapshot->next(&key, &value));
  if (fault == Fault::changes_value) last_made->value_[0] = 'V';
  snapshot->release();
  co_await world.instance.stop();
}

Task<> after_stop(World& world) {
  co_await world.instance.stop();
  IndexSpace space;
  static_cast<void>(world.store().space(&space));
}

Task<> change_lent_bytes(World& world) {
  Commit commit("key");
  commit.submit(world.store());
  commit.key[0] = 'K';
  co_await world.instance.stop();
  co_await yield_now(world.runtime);
}

Task<> keep_snapshot(World& world) {
  Snapshot* snapshot = nullptr;
  RIDEAU_ASSERT(world.store().snapshot(&snapshot).ok());
  co_await world.instance.stop();
}

Task<> destroy_without_stop(World& world) {
  world.store().destroy();
  co_return;
}

Task<> no_resume(World& world) {
  Completion nowhere;
  IndexBatch batch;
  static_cast<void>(world.store().commit(&batch, 1, Durability::durable, nowhere));
  co_return;
}

void expect(const std::string& words, const char* culprit, const char* call, const char* rule) {
  INFO(words);
  const std::string start = std::string("rideau: plugin contract broken by the ") + culprit +
                            ": plugin \"faulty\", instance \"mds0.index\", call " + call + ": ";
  CHECK(words.find(start) != std::string::npos);
  CHECK(words.find(rule) != std::string::npos);
}

}  // namespace

TEST_CASE("an instance that keeps the rules passes") {
  for (const Step step : {two_commits, pending_commit, large_commit, walk}) {
    CHECK(words(Fault::none, step) == "it lives ");
  }
}

TEST_CASE("exactly one completion") {
  expect(words(Fault::completes_twice, two_commits), "plugin", "commit", "completed twice");
  expect(words(Fault::completes_after_finished, two_commits), "plugin", "commit", "the call was not pending");
  expect(words(Fault::finishes_and_completes, two_commits), "plugin", "commit", "answered finished, but completed");
  expect(words(Fault::passes_on_and_completes, two_commits), "plugin", "commit", "passed on to the host");
  expect(words(Fault::resumes_itself, two_commits), "plugin", "commit", "only the host resumes");
  expect(words(Fault::arrives_at_once, two_commits), "plugin", "commit", "inside the submitting call");
  expect(words(Fault::stop_leaves_pending, pending_commit), "plugin", "stop", "while commit is still pending");
}

TEST_CASE("order, limits, life and lent memory, by the plugin") {
  expect(words(Fault::same_sequence, two_commits), "plugin", "commit", "sequences do not grow");
  expect(words(Fault::accepts_too_large, large_commit), "plugin", "commit", "over its limits");
  expect(words(Fault::accepts_after_stop, after_stop), "plugin", "space", "after stop");
  expect(words(Fault::keys_descend, walk), "plugin", "Snapshot::next", "do not ascend");
  expect(words(Fault::seeks_before, walk), "plugin", "Snapshot::seek", "before the one sought");
  expect(words(Fault::changes_value, walk), "plugin", "Snapshot::release", "has changed before release");
  expect(words(Fault::bad_log_level, two_commits), "plugin", "Host::log", "level is unknown");
}

TEST_CASE("the host is held to the rules too") {
  expect(words(Fault::none, change_lent_bytes), "host", "commit", "lent bytes changed");
  expect(words(Fault::none, keep_snapshot), "host", "stop", "a snapshot was not released");
  expect(words(Fault::none, destroy_without_stop), "host", "destroy", "only after stop");
  expect(words(Fault::none, no_resume), "host", "commit", "no resume function");
}
