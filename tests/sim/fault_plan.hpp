// SPDX-License-Identifier: Apache-2.0
// FaultPlan: what breaks during a run, when, and for how long. It follows from the seed alone and not from what the run
// does, so that a fault can be left out and the others stay what they were: that is how a failure is made smaller.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::sim {

// The words of `--faults`.
#define RIDEAU_SIM_FAULTS(X)                                                         \
  X(links)      /* a link breaks, at a moment or with a message */                   \
  X(partitions) /* messages do not arrive, one way or both, and then do */           \
  X(delays)     /* messages take long */                                             \
  X(bulk)       /* bulk takes long and comes behind what was sent later */           \
  X(pauses)     /* a node sleeps */                                                  \
  X(kills)      /* a server's process dies and is started again */                   \
  X(power)      /* a server's machine loses what it had not flushed */               \
  X(machines)   /* a server and a client die with the machine that they share */     \
  X(slow)       /* a server's disks are slow */                                      \
  X(full)       /* a server's disks are full */                                      \
  X(errors)     /* reads, writes, flushes or commits of a server's disk fail */      \
  X(rot)        /* a bit flips in what an object server stored */                    \
  X(clocks)     /* the calendar of a node jumps */                                   \
  X(clients)    /* a client dies */                                                  \
  X(blackouts)  /* everything loses its power at once, and only servers come back */ \
  X(strays)     /* a client sleeps for long, and wakes up cut off from the metadata server */

#define RIDEAU_SIM_ENUMERATOR(name) name,
enum class FaultKind : std::uint8_t { RIDEAU_SIM_FAULTS(RIDEAU_SIM_ENUMERATOR) count };
#undef RIDEAU_SIM_ENUMERATOR

// A set of kinds.
class FaultKinds {
 public:
  static FaultKinds all() noexcept;
  // What `--faults` alone means: those under which nothing fails that should not.
  static FaultKinds usual() noexcept;
  void add(FaultKind kind) noexcept { bits_ |= bit(kind); }
  void remove(FaultKind kind) noexcept { bits_ &= ~bit(kind); }
  bool has(FaultKind kind) const noexcept { return (bits_ & bit(kind)) != 0; }
  bool none() const noexcept { return bits_ == 0; }
  friend bool operator==(const FaultKinds&, const FaultKinds&) = default;

 private:
  static constexpr std::uint32_t bit(FaultKind kind) noexcept { return 1u << static_cast<std::uint32_t>(kind); }
  std::uint32_t bits_ = 0;
};

const char* fault_name(FaultKind kind) noexcept;
// "links,kills"; false: a word is none.
bool parse_faults(std::string_view text, FaultKinds* to);
std::string to_text(const FaultKinds& kinds);

struct Fault {
  FaultKind kind = FaultKind::links;
  std::uint64_t begin_ns = 0;  // after the begin of the workload
  std::uint64_t end_ns = 0;    // when it heals by itself
  std::uint64_t dice[3] = {};  // which nodes, and how
};

constexpr std::uint64_t kStrayAwakeNs = 4'000'000'000;  // of a stray: the end of it, awake and cut off

struct FaultPlan {
  std::vector<Fault> faults;
  std::uint64_t think_ns_max = 0;  // how slowly processes go on, so that they are still there when something breaks
};

FaultPlan make_fault_plan(std::uint64_t seed, const FaultKinds& kinds);
std::string to_text(const Fault& fault);

}  // namespace rideau::sim
