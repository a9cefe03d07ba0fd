// SPDX-License-Identifier: Apache-2.0
// A short conversation over one link, to be disturbed: messages both ways, a region of each kind, a pull, a push, and
// what must hold however it ends. The near end never waits for the far one without looking whether the link is over.
// Private to the transport suite.
#pragma once

#include "sdk/testkit/transport_suite_tools.hpp"

#include <functional>

namespace rideau::transport_suite {

class Exchange {
 public:
  // What is held to be true of the bytes.
  enum class Bytes {
    right,  // what arrives is what was sent
    any,    // the network may have changed them: nothing else may be harmed
  };

  Exchange(Stage& stage, Bytes bytes, std::size_t bulk_bytes = 300);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Connects and talks until all is done (true), an end hears that the link is over, or `enough` says so.
  Task<bool> talk(std::string address, std::function<bool()> enough = nullptr);
  // After a talk in which all was done: a message there and one back once more.
  Task<bool> more();
  // Brings it to its end, and checks. `ends_by_itself`: nobody here has to close the link for that.
  Task<> settle(bool ends_by_itself);
  // The far instance is gone, with all that it had.
  void far_died();

 private:
  struct Place {
    Buffer memory;  // with bytes around that nobody may touch
    IoVec part{};
    Buffer expected;
    Region* region = nullptr;
    RegionKey key{};
  };

  void send(Peer& from, Calls& calls, std::size_t head_bytes, std::size_t eager_bytes, std::deque<Received>& sent);
  void send(Peer& from, Calls& calls, Buffer head, Buffer eager, std::deque<Received>& sent);
  bool lend();
  bool over() const;
  bool find_far();
  template <class Predicate>
  bool all_accepted(Predicate holds) const;
  Task<Status> connect(const std::string& address);
  Task<bool> until(std::function<bool()> condition);
  void make_place(Place& place);
  void check_around(const Place& place, const char* what);
  void check_received(const Peer& peer, const std::deque<Received>& sent);
  void check_calls(const Calls& calls);
  Task<> take_back(Place& place);

  Stage& stage_;
  const Bytes bytes_;
  const std::size_t bulk_bytes_;
  const std::size_t accepted_before_;  // links that the far instance had accepted when it began
  std::function<bool()> enough_;
  Peer* near_;
  Peer* far_ = nullptr;  // known by the first message that came
  bool connected_ = false;
  bool far_dead_ = false;
  Calls near_calls_;
  Calls far_calls_;
  std::deque<Buffer> buffers_;
  std::deque<IoVec> parts_;
  std::deque<Received> near_sent_;
  std::deque<Received> far_sent_;
  Place for_pull_;  // of the far end
  Place for_push_;  // the same
  Place pulled_;    // of the near end
  Buffer pushed_;
  Calls::Call* pull_ = nullptr;
  Calls::Call* push_ = nullptr;
};

}  // namespace rideau::transport_suite
