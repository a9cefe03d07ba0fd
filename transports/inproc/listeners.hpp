// SPDX-License-Identifier: Apache-2.0
// The places of this process where somebody listens. They are the one thing that instances of different nodes share, as
// the kernel's table of ports is for sockets: hence one table for the whole process.
#pragma once

#include "pipe.hpp"
#include "rideau/driver/callback.hpp"
#include "rideau/transport.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau::inproc {

class InprocTransport;

class Listener {
 public:
  Listener(InprocTransport& transport, LinkEvents& events) noexcept : transport_(transport), events_(events) {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  // Takes the name, "place:number"; number 0 is replaced by one that is free. exists: somebody listens there.
  Status open(std::string name);
  // The name is free again; who was not accepted yet hears that the link is closed.
  void close() noexcept;
  const std::string& name() const noexcept { return name_; }
  bool quiet() const noexcept;

 private:
  friend bool knock(const std::string& name, const std::shared_ptr<Pipe>& pipe);
  void on_arrive() noexcept;

  InprocTransport& transport_;
  LinkEvents& events_;
  std::string name_;
  bool is_open_ = false;
  std::vector<std::shared_ptr<Pipe>> arrived_;  // not accepted yet; under the mutex of the table
  bool arrive_queued_ = false;                  // likewise
  driver::Callback<Listener, &Listener::on_arrive> arrive_{*this};
};

// Passes the far end of a pipe to the listener of that name, which accepts it on its own thread. False: there is none.
bool knock(const std::string& name, const std::shared_ptr<Pipe>& pipe);

}  // namespace rideau::inproc
