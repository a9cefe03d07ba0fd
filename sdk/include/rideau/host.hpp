// SPDX-License-Identifier: Apache-2.0
// What a plugin may know of the world. Time, randomness, waiting, threads and logging come from here and from nowhere
// else; that is what lets a whole cluster be simulated from one seed.
//
// Threads: a node has one thread. The host calls a plugin on that thread alone. Of the functions below, complete(),
// log() and count() may be called from any thread (a Job, say); the others only on the node's thread.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/completion.hpp"
#include "rideau/status.hpp"

#include <cstdint>

namespace rideau {

enum class PluginKind : std::uint32_t { transport = 1, index_store = 2, object_store = 3 };

enum class Level : std::uint32_t { debug = 0, info = 1, warning = 2, error = 3 };

// What is counted of an instance for its operator. Values are part of the ABI: append, never renumber.
enum class Tally : std::uint32_t {
  system_calls = 0,  // that it made itself; not those inside a library that does not tell
  copied_bytes = 1,  // of payloads, from one buffer of the process to another
};
constexpr std::uint32_t kTallies = 2;

enum WaitEvents : std::uint32_t { kWaitReadable = 1, kWaitWritable = 2 };

// What every plugin gives out. Life: create, start, use, stop, destroy.
class Instance {
 public:
  virtual Submitted start(Completion& done) noexcept = 0;
  // Ends all that is pending (each completion still arrives, with Code::closed where it was not done), then completes.
  virtual Submitted stop(Completion& done) noexcept = 0;
  // Asks that a pending call of this instance ends early. Its completion still arrives, exactly once.
  virtual void cancel(Completion& pending) noexcept = 0;
  // After stop() completed, or instead of start(). Frees memory and descriptors, has no other effect outside:
  // a simulated power cut calls destroy() without stop().
  virtual void destroy() noexcept = 0;

 protected:
  ~Instance() = default;
};

class Host {
 public:
  // Monotonic, in nanoseconds, from an arbitrary start.
  virtual std::uint64_t now_ns() noexcept = 0;
  virtual void random(MutableBytes out) noexcept = 0;

  // Completes with ok when `ns` have passed, or with cancelled.
  virtual Submitted sleep(std::uint64_t ns, Completion& done) noexcept = 0;
  // One shot: completes when the descriptor is ready, value = WaitEvents that hold. At most one pending wait for each
  // descriptor and event. The descriptor must be non-blocking. Unsupported in the simulator.
  virtual Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept = 0;
  // Before close() of a descriptor that wait_fd was used with. Pending waits on it complete with closed.
  virtual void forget_fd(int fd) noexcept = 0;
  // Ends a pending sleep or wait_fd of this host early, with cancelled. Its completion still arrives later.
  virtual void cancel(Completion& pending) noexcept = 0;

  // Delivers the completion of a pending call: stores the result now and resumes the waiter later.
  virtual void complete(Completion& pending, Status status, std::uint64_t value) noexcept = 0;

  // Runs a blocking job on a thread of the host. `job` stays lent until `done` was completed.
  virtual void run_blocking(Job& job, Completion& done) noexcept = 0;

  // Another instance that the configuration wires to this one under `role`, for example the index that a store keeps
  // its map in. Valid until destroy() of the caller; started before, stopped after it.
  virtual Status open(Text role, PluginKind kind, Instance** out) noexcept = 0;

  virtual void log(Level level, Text message) noexcept = 0;
  // Adds to what `rideau stats` shows of this instance; cheap beside a system call.
  virtual void count(Tally what, std::uint64_t amount) noexcept = 0;

 protected:
  ~Host() = default;
};

}  // namespace rideau
