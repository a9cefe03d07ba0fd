// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_runtime.hpp"

#include "framework/base/assert.hpp"
#include "framework/base/checksum.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstring>

namespace rideau::sim {
namespace {

constexpr std::int64_t kWallStart = 1'800'000'000ll * static_cast<std::int64_t>(kSecond);

}  // namespace

const char* event_name(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::sleep:
      return "sleep";
    case EventKind::completion:
      return "completion";
    case EventKind::job:
      return "job";
    case EventKind::network:
      return "network";
    case EventKind::action:
      return "action";
  }
  return "?";
}

SimWorld::SimWorld(std::uint64_t seed) : hash_(seed), random_(seed) {}

SimWorld::Event& SimWorld::add(std::uint64_t time_ns, NodeId node, EventKind kind) {
  const Key key{time_ns < now_ns_ ? now_ns_ : time_ns, random_.next(), next_order_++};
  Event& event = queue_[key];
  event.key = key;
  event.node = node;
  event.kind = kind;
  return event;
}

void SimWorld::at(std::uint64_t time_ns, NodeId node, EventKind kind, std::function<void()> action) {
  if (node != kNoNode && (nodes_[node] == nullptr || nodes_[node]->dead())) return;
  add(time_ns, node, kind).action = std::move(action);
}

void SimWorld::add_completion(std::uint64_t time_ns, NodeId node, EventKind kind, Completion& done) {
  RIDEAU_ASSERT(done.host_slot[1] == nullptr);
  Event& event = add(time_ns, node, kind);
  event.completion = &done;
  done.host_slot[1] = &event;
}

bool SimWorld::remove(Completion& done) noexcept {
  const auto* event = static_cast<Event*>(done.host_slot[1]);
  if (event == nullptr) return false;
  done.host_slot[1] = nullptr;
  const Key key = event->key;
  queue_.erase(key);
  return true;
}

void SimWorld::drop_events_of(NodeId node) noexcept {
  // An action may own things whose end touches the queue: they go after the loop.
  std::vector<std::function<void()>> dropped;
  for (auto at = queue_.begin(); at != queue_.end();) {
    if (at->second.node != node) {
      ++at;
      continue;
    }
    if (at->second.completion != nullptr) at->second.completion->host_slot[1] = nullptr;
    dropped.push_back(std::move(at->second.action));
    at = queue_.erase(at);
  }
}

// To the moment at which the node goes on, in the order in which they are due now: what is ready there resumes in the
// order in which it became ready, and what a link carries arrives in the order in which it was sent.
void SimWorld::put_off_events_of_sleepers() {
  while (!queue_.empty()) {
    const auto first = queue_.begin();
    const NodeId node = first->second.node;
    if (node == kNoNode || nodes_[node] == nullptr) return;
    const std::uint64_t until = nodes_[node]->paused_until_ns_;
    if (until <= first->first.time_ns) return;
    auto moved = queue_.extract(first);
    moved.key() = Key{until, 0, next_put_off_++};
    moved.mapped().key = moved.key();
    queue_.insert(std::move(moved));
  }
}

bool SimWorld::step() {
  if (queue_.empty()) return false;
  const auto first = queue_.begin();
  const Event event = std::move(first->second);
  queue_.erase(first);
  now_ns_ = event.key.time_ns;
  current_ = event.node;
  ++events_run_;
  const std::uint64_t account[3] = {now_ns_, event.node, static_cast<std::uint64_t>(event.kind)};
  mix(Bytes(static_cast<const void*>(account), sizeof account));
  if (event.completion != nullptr) {
    event.completion->host_slot[1] = nullptr;
    event.completion->resume(event.completion);
  } else {
    event.action();
  }
  current_ = kNoNode;
  return true;
}

SimWorld::End SimWorld::run_until(const std::function<bool()>& done, std::uint64_t time_ns_max) {
  while (!done()) {
    put_off_events_of_sleepers();
    if (queue_.empty()) return End::stuck;
    if (queue_.begin()->first.time_ns > time_ns_max) return End::late;
    step();
  }
  return End::done;
}

void SimWorld::run_for(std::uint64_t ns) {
  const std::uint64_t end = now_ns_ + ns;
  for (put_off_events_of_sleepers(); !queue_.empty() && queue_.begin()->first.time_ns <= end;
       put_off_events_of_sleepers()) {
    step();
  }
  now_ns_ = end;
}

void SimWorld::mix(Bytes bytes) noexcept { hash_ = hash64(bytes, hash_); }

void SimWorld::mix(std::uint64_t value) noexcept { mix(Bytes(static_cast<const void*>(&value), sizeof value)); }

void SimWorld::trace(NodeId node, const char* format, ...) {
  if (trace_ == nullptr) return;
  std::fprintf(trace_, "%11.6f %-8s ", static_cast<double>(now_ns_) / 1e9, node_name(node).c_str());
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(trace_, format, arguments);
  va_end(arguments);
  std::fputc('\n', trace_);
}

const std::string& SimWorld::node_name(NodeId node) const {
  static const std::string world = "world";
  return node == kNoNode ? world : names_[node];
}

SimRuntime::SimRuntime(SimWorld& world, std::string name, SimRuntimeOptions options)
    : world_(world), id_(static_cast<NodeId>(world.nodes_.size())), options_(options), random_(world.random().fork()) {
  world.nodes_.push_back(this);
  world.names_.push_back(std::move(name));
}

SimRuntime::~SimRuntime() {
  kill();
  world_.nodes_[id_] = nullptr;
}

void SimRuntime::kill() noexcept {
  dead_ = true;
  world_.drop_events_of(id_);
}

void SimRuntime::pause(std::uint64_t ns) noexcept {
  // A sleep does not grow: what was put off would come in another order.
  if (paused_until_ns_ > world_.now_ns()) return;
  paused_until_ns_ = world_.now_ns() + ns;
  paused_ns_ = ns;
}

Uuid SimRuntime::machine_boot() {
  Uuid boot{};
  boot.bytes[0] = options_.machine_boot;
  return boot;
}

std::uint64_t SimRuntime::now_ns() noexcept { return options_.clock_start_ns + world_.now_ns(); }

std::int64_t SimRuntime::wall_ns() noexcept {
  return kWallStart + static_cast<std::int64_t>(world_.now_ns()) + options_.wall_offset_ns;
}

void SimRuntime::random(MutableBytes out) noexcept {
  while (out.size > 0) {
    const std::uint64_t word = random_.next();
    const std::size_t count = out.size < sizeof word ? out.size : sizeof word;
    std::memcpy(out.data, &word, count);
    out.data += count;
    out.size -= count;
  }
}

Submitted SimRuntime::sleep(std::uint64_t ns, Completion& done) noexcept {
  RIDEAU_ASSERT(mine());
  if (dead_) return Submitted::pending;
  const std::uint64_t longest = ~0ull - world_.now_ns();
  done.status = kOk;
  done.value = 0;
  world_.add_completion(world_.now_ns() + (ns < longest ? ns : longest), id_, EventKind::sleep, done);
  return Submitted::pending;
}

Submitted SimRuntime::wait_fd(int, std::uint32_t, Completion& done) noexcept {
  return done.finish({Code::unsupported, ENOSYS, "wait for a descriptor in the simulator"});
}

void SimRuntime::forget_fd(int) noexcept {}

void SimRuntime::run_blocking(Job& job, Completion& done) noexcept {
  RIDEAU_ASSERT(mine());
  if (dead_) return;
  const std::uint64_t end = world_.now_ns() + world_.random().between(1 * kMicrosecond, options_.blocking_ns_max);
  world_.at(end, id_, EventKind::job, [this, &job, &done] {
    job.run(&job);
    complete(done, job.status, job.value);
  });
}

void SimRuntime::complete(Completion& done, Status status, std::uint64_t value) noexcept {
  RIDEAU_ASSERT(mine());
  done.status = status;
  done.value = value;
  if (dead_) return;
  // Mostly at once; now and then the node is busy with something else first.
  Random& random = world_.random();
  const std::uint64_t delay = random.chance(95) ? random.below(3) : random.below(50 * kMicrosecond);
  const std::uint64_t earliest = world_.now_ns() + delay;
  last_ready_ns_ = earliest > last_ready_ns_ ? earliest : last_ready_ns_ + 1;
  world_.add_completion(last_ready_ns_, id_, EventKind::completion, done);
}

void SimRuntime::cancel(Completion& pending) noexcept {
  RIDEAU_ASSERT(mine());
  const auto* event = static_cast<SimWorld::Event*>(pending.host_slot[1]);
  if (event == nullptr || event->kind != EventKind::sleep) return;
  world_.remove(pending);
  complete(pending, {Code::cancelled, 0, "cancelled"}, 0);
}

void SimRuntime::forget(Completion& pending) noexcept { world_.remove(pending); }

}  // namespace rideau::sim
