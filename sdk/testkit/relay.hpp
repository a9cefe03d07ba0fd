// SPDX-License-Identifier: Apache-2.0
// Relay: stands between the two ends of a link that passes over connections of TCP (or Unix sockets), and does to the
// bytes what networks and bad peers do. It knows nothing of what they mean.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "sdk/testkit/dice.hpp"

#include <cstdint>
#include <list>
#include <string>
#include <vector>

namespace rideau::relay {

enum class Way : std::uint8_t { there = 0, back = 1 };  // from who connects; to it

struct Fault {
  enum class Kind : std::uint8_t {
    none,
    cut,        // both sockets of the connection close when `at` bytes have passed
    stop,       // from then on nothing is read that way, until resume()
    drip,       // a few bytes at a time, both ways
    uneven,     // only the connection of number `at` is fast, from 0
    duplicate,  // bytes [at, at + size) pass twice
    leave_out,  // or never
    change,     // or with one bit changed each
  };
  Kind kind = Kind::none;
  Way way = Way::there;
  std::uint64_t at = 0;
  std::uint64_t size = 0;
};

class Relay {
 public:
  Relay(Runtime& runtime, std::uint64_t seed) : runtime_(runtime), dice_(seed), tasks_(runtime) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Listens at `place`, and passes on to `target` what connects there. errno, or 0.
  int open(const std::string& place, const std::string& target);
  const std::string& place() const noexcept { return place_; }
  // Holds for connections from now on, whose bytes are counted from 0, all those of one way together.
  void plan(Fault fault);
  // Ends a stop, also one that has not begun.
  void resume() noexcept {
    stopped_ = false;
    resumed_ = true;
  }
  // Of bytes that were passed on, or swallowed by the fault.
  std::uint64_t passed(Way way) const noexcept { return passed_[static_cast<std::size_t>(way)]; }
  bool happened() const noexcept { return happened_; }  // the fault
  std::uint64_t quiet_since_ns() const noexcept { return quiet_since_ns_; }
  // Ends all connections, and what serves them.
  Task<> close();

 private:
  struct Connection {
    int fds[2] = {-1, -1};
    int ways = 2;  // that are still served
    std::uint64_t plan = 0;
    std::uint64_t number = 0;  // in its plan
  };

  Task<> accept_all();
  Task<> carry(Connection& connection, Way way);
  Task<bool> forward(Connection& connection, Way way, std::vector<std::uint8_t> bytes, std::vector<int>& files);
  std::vector<std::uint8_t> spoil(Connection& connection, Way way, const std::vector<std::uint8_t>& bytes);
  void drop(Connection& connection);
  bool concerns(const Connection& connection, Way way) const noexcept;

  Runtime& runtime_;
  Dice dice_;
  TaskGroup tasks_;
  int listener_ = -1;
  std::string place_;
  std::string target_;
  std::list<Connection> connections_;
  Fault fault_;
  std::uint64_t plans_ = 0;
  std::uint64_t accepted_ = 0;  // since the plan
  bool stopped_ = false;
  bool resumed_ = false;
  bool happened_ = false;
  std::uint64_t passed_[2] = {};
  std::vector<std::uint8_t> range_;  // of a duplicate
  std::uint64_t quiet_since_ns_ = 0;
};

}  // namespace rideau::relay
