// SPDX-License-Identifier: Apache-2.0
// The time after a restart in which clients claim again what the target had in memory, and make lost changes again.
// Nothing else is served meanwhile. It ends when every client that had a session has claimed or is given up: by then
// what it had is known or means nothing any more.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/runtime/sync.hpp"
#include "plugins/mds/sessions.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rideau::mds {

class Recovery {
 public:
  // `share_ms`: for how long a client that does not come back is waited for.
  Recovery(Runtime& runtime, std::uint32_t share_ms);
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // Waits for these sessions from now on.
  void begin(const std::vector<std::uint64_t>& sessions);
  // Everybody goes on.
  void end();
  bool is_open() const noexcept { return open_; }

  // Whether this session has still to claim, or to be given up.
  bool awaits(std::uint64_t session) const { return awaited_.contains(session); }
  std::size_t awaited() const noexcept { return awaited_.size(); }
  // It has claimed everything, or it is given up and nothing rests on what it had.
  void settled(std::uint64_t session, bool claimed);
  // Those who have not come within their share of the window, or have not finished within the whole of it; each once.
  std::vector<std::uint64_t> late(const SessionTable& sessions);
  // Ends when something changed or somebody may be late.
  Task<> wait();
  // A call that has to wait until the end; false: its session ends before.
  Task<bool> until_over(const Session& session);
  void wake() { changed_.wake_all(); }
  // The target stops before it is over: nobody is given up, and the next start begins anew.
  void stop() {
    stopped_ = true;
    changed_.wake_all();
  }
  bool stopped() const noexcept { return stopped_; }

  std::uint64_t elapsed_ms() const noexcept;
  std::size_t came() const noexcept { return came_; }
  std::size_t given_up() const noexcept { return given_up_; }
  // For people; empty when it is over.
  std::string describe() const;

 private:
  struct Awaited {
    bool told_late = false;
  };
  Runtime& runtime_;
  const std::uint64_t share_ns_;
  const std::uint64_t whole_ns_;
  bool open_ = false;
  bool stopped_ = false;
  std::uint64_t began_ns_ = 0;
  std::map<std::uint64_t, Awaited> awaited_;
  std::size_t came_ = 0;
  std::size_t given_up_ = 0;
  WaitQueue changed_;
  Alarm due_;
};

}  // namespace rideau::mds
