// SPDX-License-Identifier: Apache-2.0
// Goal: the index suite finds bugs. Each is planted into a store that is right otherwise, and the rule that guards
// against it must fail.
#include "framework/runtime/task_group.hpp"
#include "sdk/testkit/index_suite.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace rideau {
namespace {

enum class Bug {
  none,
  ignores_checks,
  ignores_last_check,
  drops_last_edit,
  drops_empty_values,
  seek_skips_exact,
  next_skips_zero_bytes,
  snapshot_moves_on,
  durable_is_not,
  sequence_starts_at_zero,
  accepts_long_keys,
  accepts_empty_keys,
  stop_loses_eventual,
  allows_second_start,
  fails_batch_loudly,
  reserve_for_everybody,
  erase_needs_space,
};

class BuggySnapshot final : public Snapshot {
 public:
  BuggySnapshot(Snapshot* real, IndexStore& store, Bug bug) : real_(real), store_(store), bug_(bug) {}
  Status get(Bytes key, Bytes* value) noexcept override {
    if (bug_ == Bug::snapshot_moves_on) renew();
    return real_->get(key, value);
  }
  Status seek(Bytes key, Bytes* found, Bytes* value) noexcept override {
    if (bug_ == Bug::snapshot_moves_on) renew();
    const Status status = real_->seek(key, found, value);
    if (bug_ == Bug::seek_skips_exact && status.ok() && compare(key, *found) == 0) return real_->next(found, value);
    return status;
  }
  Status next(Bytes* found, Bytes* value) noexcept override {
    Status status = real_->next(found, value);
    if (bug_ == Bug::next_skips_zero_bytes && status.ok() && found->data[found->size - 1] == 0) {
      status = real_->next(found, value);
    }
    return status;
  }
  void release() noexcept override {
    real_->release();
    delete this;
  }

 private:
  void renew() noexcept {
    Snapshot* newer = nullptr;
    if (!store_.snapshot(&newer).ok()) return;
    real_->release();
    real_ = newer;
  }
  Snapshot* real_;
  IndexStore& store_;
  Bug bug_;
};

class BuggyIndex final : public IndexStore {
 public:
  BuggyIndex(IndexStore& real, Bug bug) : real_(real), bug_(bug) {}

  Submitted start(Completion& done) noexcept override {
    const Submitted submitted = real_.start(done);
    if (bug_ == Bug::allows_second_start && submitted == Submitted::finished && !done.status.ok()) done.status = kOk;
    return submitted;
  }
  Submitted stop(Completion& done) noexcept override {
    if (bug_ == Bug::stop_loses_eventual) return done.finish(kOk);
    return real_.stop(done);
  }
  void cancel(Completion& pending) noexcept override { real_.cancel(pending); }
  void destroy() noexcept override {
    real_.destroy();
    delete this;
  }
  IndexLimits limits() const noexcept override {
    IndexLimits limits = real_.limits();
    if (bug_ == Bug::accepts_long_keys) limits.key_bytes_max -= 8;
    return limits;
  }
  Status snapshot(Snapshot** out) noexcept override {
    const Status status = real_.snapshot(out);
    if (status.ok()) *out = new BuggySnapshot(*out, real_, bug_);
    return status;
  }
  Submitted commit(IndexBatch* batches, std::uint32_t count, Durability durability,
                   Completion& done) noexcept override {
    if (bug_ == Bug::durable_is_not) durability = Durability::eventual;
    if (bug_ == Bug::accepts_empty_keys && has_empty_key(batches, count)) return done.finish(kOk);
    for (std::uint32_t i = 0; i < count; ++i) spoil(batches[i]);
    const bool erases = count > 0 && batches[0].frees_space && batches[0].edit_count > 0;
    IndexSpace space;
    if (bug_ == Bug::erase_needs_space && erases && real_.space(&space).ok() &&
        space.bytes_free < space.bytes_total / 4) {
      return done.finish({Code::no_space, 0, "planted"});
    }
    return real_.commit(batches, count, durability, done);
  }
  Status space(IndexSpace* out) noexcept override { return real_.space(out); }

 private:
  static bool has_empty_key(const IndexBatch* batches, std::uint32_t count) noexcept {
    return std::any_of(batches, batches + count, [](const IndexBatch& batch) {
      return std::any_of(batch.edits, batch.edits + batch.edit_count,
                         [](const Edit& edit) { return edit.key.size == 0; });
    });
  }
  void spoil(IndexBatch& batch) noexcept {
    switch (bug_) {
      case Bug::ignores_checks:
        batch.check_count = 0;
        break;
      case Bug::ignores_last_check:
        batch.check_count -= batch.check_count > 1 ? 1 : 0;
        break;
      case Bug::drops_last_edit:
        batch.edit_count -= batch.edit_count > 3 ? 1 : 0;
        break;
      case Bug::drops_empty_values:
        if (batch.edit_count > 0 && batch.edits[batch.edit_count - 1].value.size == 0) --batch.edit_count;
        break;
      case Bug::reserve_for_everybody:
        batch.frees_space = true;
        break;
      default:
        break;
    }
  }
  IndexStore& real_;
  Bug bug_;
};

// Changes what comes back from a commit, where the wrapper above cannot.
class BuggyHost final : public Host {
 public:
  BuggyHost(Runtime& runtime, Bug bug) : host_(runtime), bug_(bug) {}
  std::uint64_t now_ns() noexcept override { return host_.now_ns(); }
  void random(MutableBytes out) noexcept override { host_.random(out); }
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override { return host_.sleep(ns, done); }
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override {
    return host_.wait_fd(fd, events, done);
  }
  void forget_fd(int fd) noexcept override { host_.forget_fd(fd); }
  void cancel(Completion& pending) noexcept override { host_.cancel(pending); }
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override {
    if (bug_ == Bug::sequence_starts_at_zero && value > 0) --value;
    if (bug_ == Bug::fails_batch_loudly && status.ok() && value % 7 == 3) status = {Code::check_failed, 0, "planted"};
    host_.complete(pending, status, value);
  }
  void run_blocking(Job& job, Completion& done) noexcept override { host_.run_blocking(job, done); }
  Status open(Text role, PluginKind kind, Instance** out) noexcept override { return host_.open(role, kind, out); }
  void log(Level level, Text message) noexcept override { host_.log(level, message); }
  void count(Tally what, std::uint64_t amount) noexcept override { host_.count(what, amount); }

 private:
  TestHost host_;
  Bug bug_;
};

class BuggyFactory final : public IndexFactory {
 public:
  BuggyFactory(Host& host, sim::SimIndexDisk& disk, Bug bug) : host_(host), disk_(disk), bug_(bug) {}
  Result<IndexStore*> make() override {
    if (!disk_.in_use()) disk_.power_cut(++cuts_);
    return static_cast<IndexStore*>(new BuggyIndex(*sim::make_sim_index(host_, disk_), bug_));
  }
  Status clear() override {
    disk_.clear();
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return 0; }

 private:
  Host& host_;
  sim::SimIndexDisk& disk_;
  Bug bug_;
  std::uint64_t cuts_ = 0;
};

std::vector<std::string> rules_that_fail(Bug bug) {
  sim::SimIndexOptions options;
  options.bytes_total = 4 << 20;
  sim::SimIndexDisk disk(options);
  sim::SimWorld world(1);
  sim::SimRuntime runtime(world, "index");
  BuggyHost host(runtime, bug);
  BuggyFactory factory(host, disk, bug);
  Report report;
  bool ended = false;
  auto body = [](Runtime& node, IndexFactory& instances, Report& results, bool& flag) -> Task<> {
    co_await run_index_suite(node, instances, 1, results);
    flag = true;
  };
  TaskGroup group(runtime);
  group.spawn(body(runtime, factory, report, ended));
  const auto end = world.run_until([&] { return ended; }, 3600 * kSecond);
  CHECK(end == sim::SimWorld::End::done);
  std::vector<std::string> failed;
  for (const Rule& rule : report.rules()) {
    if (rule.verdict == Verdict::failed) failed.push_back(rule.name);
  }
  return failed;
}

}  // namespace

TEST_CASE("each planted bug is found by the rule that guards against it") {
  CHECK(rules_that_fail(Bug::none).empty());
  struct Planted {
    Bug bug;
    const char* rule;
  };
  const Planted planted[] = {
      {Bug::ignores_checks, "index.commit.checks"},
      {Bug::ignores_last_check, "index.commit.checks"},
      {Bug::drops_last_edit, "index.commit.edits-in-order"},
      {Bug::drops_empty_values, "index.commit.edits-in-order"},
      {Bug::seek_skips_exact, "index.snapshot.order"},
      {Bug::next_skips_zero_bytes, "index.snapshot.order"},
      {Bug::snapshot_moves_on, "index.snapshot.sees-one-state"},
      {Bug::durable_is_not, "index.reopen.after-kill"},
      {Bug::sequence_starts_at_zero, "index.commit.sequences"},
      {Bug::accepts_long_keys, "index.limits.keys"},
      {Bug::accepts_empty_keys, "index.limits.keys"},
      {Bug::stop_loses_eventual, "index.reopen.after-stop"},
      {Bug::allows_second_start, "index.start.second-is-refused"},
      {Bug::fails_batch_loudly, "index.queue.order-without-waiting"},
      {Bug::reserve_for_everybody, "index.full.reserve-is-kept"},
      {Bug::erase_needs_space, "index.full.erasing-works"},
  };
  for (const Planted& one : planted) {
    const std::vector<std::string> failed = rules_that_fail(one.bug);
    INFO("bug " << static_cast<int>(one.bug) << " was to be found by " << one.rule);
    std::string found;
    for (const std::string& rule : failed) found += rule + " ";
    INFO("found by: " << found);
    CHECK(std::count(failed.begin(), failed.end(), one.rule) == 1);
  }
}

}  // namespace rideau
