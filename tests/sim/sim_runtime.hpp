// SPDX-License-Identifier: Apache-2.0
// SimWorld and SimRuntime: the clock, the event queue and the randomness of a simulated cluster, all from one seed.
//
// A world has one queue of events, ordered by virtual time; events of the same instant take an order that the seed
// chooses. Each node has a SimRuntime on it. A running hash over every event (and over what others mix in, such as the
// bytes of messages) tells whether two runs were the same. Nothing depends on addresses.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "tests/sim/sim_random.hpp"

#include <compare>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace rideau::sim {

class SimRuntime;

using NodeId = std::uint32_t;
constexpr NodeId kNoNode = 0xffff'ffff;

enum class EventKind : std::uint8_t { sleep, completion, job, network, action };
const char* event_name(EventKind kind) noexcept;

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  std::uint64_t now_ns() const noexcept { return now_ns_; }
  Random& random() noexcept { return random_; }
  std::uint64_t hash() const noexcept { return hash_; }
  std::uint64_t events() const noexcept { return events_run_; }

  // Runs `action` at that time as a part of `node`; dropped when the node is killed before. kNoNode: of the world
  // itself.
  void at(std::uint64_t time_ns, NodeId node, EventKind kind, std::function<void()> action);

  enum class End : std::uint8_t {
    done,   // the condition holds
    stuck,  // no event is left and the condition does not hold: everybody waits for somebody
    late,   // virtual time ran out
  };
  // Runs events until `done` says so; it is asked after each event.
  End run_until(const std::function<bool()>& done, std::uint64_t time_ns_max);
  // Runs what is due within that time.
  void run_for(std::uint64_t ns);

  // Adds to the running hash. Everything that a run's behaviour shows belongs in it.
  void mix(Bytes bytes) noexcept;
  void mix(std::uint64_t value) noexcept;

  // A readable account of the run; null: none.
  void set_trace(std::FILE* out) noexcept { trace_ = out; }
  bool tracing() const noexcept { return trace_ != nullptr; }
  void trace(NodeId node, const char* format, ...) __attribute__((format(printf, 3, 4)));

  const std::string& node_name(NodeId node) const;
  // The node whose event runs now; kNoNode between events.
  NodeId current() const noexcept { return current_; }

 private:
  friend class SimRuntime;
  struct Key {
    std::uint64_t time_ns;
    std::uint64_t tie;
    std::uint64_t order;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Event {
    Key key;
    NodeId node = kNoNode;
    EventKind kind = EventKind::action;
    Completion* completion = nullptr;
    std::function<void()> action;
  };

  Event& add(std::uint64_t time_ns, NodeId node, EventKind kind);
  void add_completion(std::uint64_t time_ns, NodeId node, EventKind kind, Completion& done);
  // Takes a queued completion out; false when it is not queued.
  bool remove(Completion& done) noexcept;
  void drop_events_of(NodeId node) noexcept;
  bool step();
  void put_off_events_of_sleepers();

  std::uint64_t now_ns_ = 0;
  std::uint64_t hash_;
  std::uint64_t events_run_ = 0;
  std::uint64_t next_order_ = 0;
  std::uint64_t next_put_off_ = 0;
  Random random_;
  NodeId current_ = kNoNode;
  std::map<Key, Event> queue_;
  std::vector<SimRuntime*> nodes_;  // by id; null: gone
  std::vector<std::string> names_;
  std::FILE* trace_ = nullptr;
};

struct SimRuntimeOptions {
  std::uint64_t clock_start_ns = 0;                    // what now_ns says at the begin of the world
  std::int64_t wall_offset_ns = 0;                     // how wrong this node's calendar is
  std::uint64_t blocking_ns_max = 500 * kMicrosecond;  // how long a blocking job takes at most
  std::uint8_t machine_boot = 1;                       // how often its machine was started; below 255
};

class SimRuntime final : public Runtime {
 public:
  SimRuntime(SimWorld& world, std::string name, SimRuntimeOptions options = {});
  ~SimRuntime() override;
  SimRuntime(const SimRuntime&) = delete;
  SimRuntime& operator=(const SimRuntime&) = delete;

  // Power cut: every event of this node is dropped, nothing resumes any more, calls do nothing.
  void kill() noexcept;
  bool dead() const noexcept { return dead_; }
  // Everything of this node waits for so long, as under SIGSTOP or in a machine that sleeps; what comes meanwhile is
  // there when it goes on. While it sleeps, another one changes nothing.
  void pause(std::uint64_t ns) noexcept;
  // When the last sleep ended that was at least so long; 0: there was none.
  std::uint64_t woke_ns(std::uint64_t slept_ns_min) const noexcept {
    return paused_ns_ >= slept_ns_min ? paused_until_ns_ : 0;
  }
  // Sets its calendar, forward or back. What measures spans of time does not move.
  void set_wall(std::int64_t forward_ns) noexcept { options_.wall_offset_ns += forward_ns; }
  NodeId id() const noexcept { return id_; }
  SimWorld& world() noexcept { return world_; }

  std::uint64_t now_ns() noexcept override;
  std::int64_t wall_ns() noexcept override;
  void random(MutableBytes out) noexcept override;
  Uuid machine_boot() override;
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override;
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override;  // unsupported
  void forget_fd(int fd) noexcept override;
  void run_blocking(Job& job, Completion& done) noexcept override;
  void complete(Completion& done, Status status, std::uint64_t value) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void forget(Completion& pending) noexcept override;

 private:
  friend class SimWorld;
  bool mine() const noexcept { return world_.current() == kNoNode || world_.current() == id_; }

  SimWorld& world_;
  NodeId id_;
  SimRuntimeOptions options_;
  Random random_;
  std::uint64_t last_ready_ns_ = 0;  // completions of a node resume in the order in which they came
  std::uint64_t paused_until_ns_ = 0;
  std::uint64_t paused_ns_ = 0;
  bool dead_ = false;
};

}  // namespace rideau::sim
