// SPDX-License-Identifier: Apache-2.0
// One end of a link: over a dealer socket of its own where it was connected, over the listener's router socket where it
// was accepted. link.cpp has its life and what goes out, link_receive.cpp what comes in.
#pragma once

#include "frame.hpp"
#include "limits.hpp"
#include "rideau/driver/callback.hpp"
#include "rideau/driver/regions.hpp"
#include "rideau/transport.hpp"
#include "socket.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace rideau::zeromq {

class ZmqListener;
class ZmqTransport;

class ZmqLink final : public Link, public SocketOwner {
 public:
  // Accepted: `peer` names it on the listener's socket.
  ZmqLink(ZmqTransport& transport, ZmqListener& listener, std::string peer);
  // To be connected: events come after `done` was completed with ok.
  ZmqLink(ZmqTransport& transport, LinkEvents& events, Link** out, Completion& done);
  ZmqLink(const ZmqLink&) = delete;
  ZmqLink& operator=(const ZmqLink&) = delete;
  ~ZmqLink() = default;

  Submitted send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                 Completion& done) noexcept override;
  void give_back(MessageLoan loan) noexcept override;
  Status lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
              RegionKey* key) noexcept override;
  Submitted reclaim(Region& region, Completion& done) noexcept override;
  Submitted pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override;
  Submitted push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override;
  void close() noexcept override;
  void release() noexcept override;

  Status connect(const std::string& endpoint);
  void accept(const Hello& hello) noexcept;  // takes what the peer can take
  void begin(LinkEvents* events) noexcept;   // null: nobody wants the link
  void take(const zmq::message_t& frame, bool extra) noexcept;
  void probe() noexcept;
  void cancel(Completion& pending) noexcept;
  void end(Status why) noexcept { fail(why, true); }
  bool quiet() const noexcept;

 private:
  enum class State : std::uint8_t { connecting, open, dying, dead };
  enum class Kind : std::uint8_t { message, push, answer };

  // What waits for room at the peer. Bulk goes piece by piece.
  struct Outgoing {
    Kind kind = Kind::message;
    const IoVec* head = nullptr;
    std::uint32_t head_parts = 0;
    std::uint32_t head_bytes = 0;
    driver::PartCursor body{};
    std::uint64_t left = 0;  // of the body
    std::uint64_t size = 0;
    BulkHead bulk{};
    driver::LentRegion* region = nullptr;  // of an answer
    std::uint64_t tag = 0;
    Completion* done = nullptr;
    bool begun = false;
  };
  // A pull of ours that waits for its answer. The slot stays taken after a cancel, until the peer has ended the answer.
  struct PullSlot {
    driver::PartCursor local{};
    std::uint64_t size = 0;
    std::uint64_t received = 0;
    std::uint32_t generation = 0;
    Completion* done = nullptr;
    bool taken = false;
  };
  // A head that is lent to the host, in aligned memory.
  struct Loan {
    std::uint64_t cost = 0;
    std::unique_ptr<std::uint64_t[]> words;
  };
  // What happened to the connection, told by ZeroMQ.
  class Monitor final : public SocketOwner {
   public:
    explicit Monitor(ZmqLink& link) noexcept;
    ZmqLink& link;
    Socket socket;

   private:
    void on_readable() noexcept override;
    void on_quiet() noexcept override { link.on_quiet(); }
  };

  Socket& socket() noexcept;
  std::uint64_t frame_cost() const noexcept;  // of our own window
  Hello own_hello() const noexcept;
  bool put(zmq::message_t frame) noexcept;
  void pump() noexcept;
  bool send_next() noexcept;
  std::uint32_t next_piece(const Outgoing& next) const noexcept;
  void give_credit(std::uint64_t cost) noexcept;
  void fail(Status why, bool tell) noexcept;
  void malformed(const char* reason) noexcept;
  void end_pending() noexcept;
  void end_connect(Status status) noexcept;
  void complete(Completion*& done, Status status, std::uint64_t value) noexcept;
  void connection_lost(const std::string& how) noexcept;
  PullSlot* find_pull(std::uint64_t tag) noexcept;
  void free_pull(std::uint64_t tag) noexcept;

  void take_welcome(const FrameView& frame) noexcept;
  void take_message(const FrameView& frame, std::uint64_t cost) noexcept;
  void take_push(const FrameView& frame) noexcept;
  void take_pull(const FrameView& frame) noexcept;
  void take_pull_data(const FrameView& frame) noexcept;
  void take_pull_end(const FrameView& frame) noexcept;

  void on_readable() noexcept override;
  void on_quiet() noexcept override { check_gone(); }
  void on_dead() noexcept;
  void on_deadline() noexcept;
  void check_gone() noexcept;

  ZmqTransport& transport_;
  ZmqListener* listener_ = nullptr;
  const std::string peer_;
  std::string endpoint_;
  std::unique_ptr<Socket> own_socket_;
  std::unique_ptr<Monitor> monitor_;
  LinkEvents* events_ = nullptr;
  Link** out_ = nullptr;
  Completion* connecting_ = nullptr;
  State state_ = State::open;
  bool released_ = false;
  bool pumping_ = false;
  Status why_{};
  std::uint32_t head_bytes_max_;
  std::uint32_t eager_bytes_max_;

  std::deque<Outgoing> queue_;
  std::uint64_t window_ = 0;       // of the peer
  std::uint64_t peer_cost_ = 0;    // of a frame in it
  std::uint64_t outstanding_ = 0;  // of it that is taken
  std::uint64_t held_ = 0;         // of our own window
  std::uint64_t uncredited_ = 0;   // of that, free again and not told yet
  std::uint32_t answers_ = 0;

  driver::RegionTable regions_{kRegionsMax};
  std::deque<PullSlot> pulls_;
  std::vector<std::uint32_t> free_pulls_;
  std::uint32_t loans_ = 0;
  driver::Callback<ZmqLink, &ZmqLink::on_dead> dead_{*this};
  driver::Callback<ZmqLink, &ZmqLink::on_deadline> deadline_{*this};
};

}  // namespace rideau::zeromq
