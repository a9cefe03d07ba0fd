// SPDX-License-Identifier: Apache-2.0
// One endpoint of the fabric and the links over it: drives the completion queue from the reactor, knows the peers'
// addresses, hands received frames to their links, tries again what the fabric refused for now, and cuts everything off
// when a peer that is gone still has business with our memory.
#pragma once

#include "pending.hpp"
#include "fabric.hpp"
#include "pools.hpp"
#include "rideau/transport.hpp"
#include "transfer.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau::rdma {

class RdmaLink;
class RdmaTransport;

// An address in the address vector.
struct Peer {
  ~Peer();
  void watch(std::uint32_t its_process) noexcept;
  // Its process on this machine has ended; false also where that cannot be told.
  bool has_ended() const noexcept;

  fi_addr_t address = FI_ADDR_UNSPEC;
  std::string name;              // the bytes of it
  std::uint32_t references = 0;  // links, and frames that are being sent
  std::uint32_t process = 0;     // of a peer that reaches our memory as a process of this machine
  int process_fd = -1;           // the same, to see its end
  bool is_local = false;         // an endpoint of this process, reached through shared memory
  bool ending = false;           // it was seen to have ended
};

class Endpoint {
 public:
  // `events`: of a listener; null: links are only made from this side.
  Endpoint(RdmaTransport& transport, std::unique_ptr<Fabric> fabric, LinkEvents* events, std::string address);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  ~Endpoint();

  Status begin() noexcept;  // posts receives and drives from now on
  // Opens a link; what becomes of it is told by `done`. `process`: whose name it is, in shared memory.
  void connect(Bytes name, std::uint32_t process, LinkEvents& events, Link** out, Completion& done);
  void stop() noexcept;  // closes every link
  bool quiet() const noexcept;
  // Ends all access through this endpoint at once, and with it all links.
  void cut(const char* why) noexcept;

  bool open() const noexcept { return fabric_ != nullptr; }
  bool stopping() const noexcept { return stopping_; }
  Fabric& fabric() noexcept { return *fabric_; }
  RdmaTransport& transport() noexcept { return transport_; }
  LinkEvents* events() const noexcept { return events_; }
  const std::string& address() const noexcept { return address_; }
  bool serves(const fi_info& info) const noexcept;
  bool deserted() const noexcept { return links_count_ == 0; }

  // For links.
  FrameBuffer* take_frame() noexcept;
  void put_frame(FrameBuffer* frame) noexcept { sends_->put(frame); }
  void repost(FrameBuffer* frame) noexcept;  // a received frame was taken in
  // 0, -FI_EAGAIN, or why it is impossible.
  std::int64_t post(FrameBuffer* frame, Peer& peer) noexcept;
  TransferOp* take_op();
  void put_op(TransferOp* op) noexcept { free_ops_.push_back(op); }
  void made_call() noexcept;
  bool can_reach(const Peer& peer) const noexcept;
  void blocked(RdmaLink& link) noexcept;
  void blocked(Transfer& transfer) noexcept;
  void forget(Transfer& transfer) noexcept;
  void forget(RdmaLink& link) noexcept;
  void remove_link(RdmaLink& link) noexcept;
  Peer* find_peer(Bytes name);  // null: no room
  void drop_peer(Peer& peer) noexcept;
  void check_gone() noexcept;  // after stop(): closes the endpoint once nothing of it is under way

 private:
  RdmaLink* add_link(Peer& peer);
  RdmaLink* find_link(const FrameHeader& header) const noexcept;
  void schedule() noexcept;
  void progress() noexcept;
  bool read_completions() noexcept;
  void handle(Op& op, std::uint64_t bytes, std::int64_t error) noexcept;
  void sent(FrameBuffer& frame, std::int64_t error) noexcept;
  void received(FrameBuffer& frame) noexcept;
  void greeted(const FrameBuffer& frame) noexcept;
  void refuse(Peer& peer, const Hello& hello, Code code) noexcept;
  void post_receive(FrameBuffer& frame) noexcept;
  void want_receives(std::uint32_t more) noexcept;
  void retry() noexcept;
  void arm_retry() noexcept;
  void close_fabric() noexcept;
  void remove_peer(Peer& peer) noexcept;
  void remove_ended_peers() noexcept;
  void on_ready() noexcept;
  void on_turn() noexcept;
  void on_pause_over() noexcept;
  void on_retry() noexcept;
  void on_tick() noexcept;

  RdmaTransport& transport_;
  std::unique_ptr<Fabric> fabric_;
  LinkEvents* events_;
  const std::string address_;
  const std::uint64_t tick_ns_;
  bool stopping_ = false;
  std::uint64_t over_since_ns_ = 0;  // after stop(): nothing is left to do
  std::uint64_t last_traffic_ns_ = 0;

  std::unique_ptr<FramePool> receives_;
  std::unique_ptr<FramePool> sends_;
  std::vector<FrameBuffer*> unposted_;
  std::uint32_t receive_count_ = 0;
  std::uint32_t sends_under_way_ = 0;
  std::vector<std::unique_ptr<TransferOp>> ops_;
  std::vector<TransferOp*> free_ops_;
  std::vector<std::unique_ptr<Peer>> peers_;

  std::vector<RdmaLink*> links_;  // by index; null: free
  std::vector<std::uint32_t> free_links_;
  std::uint32_t links_count_ = 0;
  std::vector<RdmaLink*> blocked_links_;
  std::vector<Transfer*> blocked_transfers_;
  std::uint64_t retry_ns_ = 0;

  Callback<Endpoint, &Endpoint::on_ready> ready_{*this};
  Callback<Endpoint, &Endpoint::on_turn> turn_{*this};
  Callback<Endpoint, &Endpoint::on_pause_over> pause_{*this};
  Callback<Endpoint, &Endpoint::on_retry> retry_{*this};
  Callback<Endpoint, &Endpoint::on_tick> tick_{*this};
};

}  // namespace rideau::rdma
