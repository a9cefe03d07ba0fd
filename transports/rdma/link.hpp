// SPDX-License-Identifier: Apache-2.0
// A link between two endpoints. link.cpp has its life, link_send.cpp what goes out, link_receive.cpp what comes in,
// link_bulk.cpp lent memory and transfers.
#pragma once

#include "pending.hpp"
#include "frame.hpp"
#include "pools.hpp"
#include "regions.hpp"
#include "rideau/transport.hpp"
#include "transfer.hpp"

#include <deque>
#include <memory>
#include <vector>

namespace rideau::rdma {

class Endpoint;
struct Peer;

class RdmaLink final : public Link, public Pending {
 public:
  RdmaLink(Endpoint& endpoint, Peer& peer, std::uint32_t index, std::uint64_t nonce);
  RdmaLink(const RdmaLink&) = delete;
  RdmaLink& operator=(const RdmaLink&) = delete;
  ~RdmaLink();

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
  void cancel() noexcept override;  // of a connect

  // For the endpoint.
  void greet(LinkEvents& events, Link** out, Completion& done) noexcept;  // the connecting end
  void accept(const Hello& hello) noexcept;                               // the accepting end
  bool take_frame(FrameBuffer& frame) noexcept;                           // true: the link keeps it
  void transfer_ended(Transfer& transfer, std::int64_t error) noexcept;   // one operation of it
  void retry() noexcept;
  void tick(std::uint64_t now) noexcept;
  void fail(Status why) noexcept;
  void cut_off() noexcept;  // the endpoint has closed: nothing reaches our memory, no operation is under way
  bool wants_cut(std::uint64_t now) noexcept;
  bool peer_may_reach() noexcept;  // a process of this machine that could still access our memory by itself
  std::uint64_t nonce() const noexcept { return nonce_; }
  std::uint32_t index() const noexcept { return index_; }
  Peer& peer() const noexcept { return peer_; }
  fi_addr_t fabric_address() const noexcept;
  bool quiet() const noexcept;
  void issue(Transfer& transfer) noexcept;
  void cancel_transfer(Transfer& transfer) noexcept;

 private:
  enum class State : std::uint8_t { connecting, open, draining, dying, dead };

  // A message that waits for credits; its memory is the caller's.
  struct Send final : Pending {
    void cancel() noexcept override;
    bool begun() const noexcept { return at > 0; }
    bool whole() const noexcept { return at == bytes; }
    RdmaLink* link = nullptr;
    std::uint32_t sizes[2] = {};  // of head and payload: the first bytes that go out
    const IoVec* head = nullptr;
    std::uint32_t head_parts = 0;
    const IoVec* eager = nullptr;
    std::uint32_t eager_parts = 0;
    std::uint64_t bytes = 0;
    std::uint64_t at = 0;  // bytes that are in frames
    // Where `at` is: 0 the sizes, 1 the head, 2 the payload; and in which part of it.
    std::uint32_t stage = 0;
    std::uint32_t part = 0;
    std::size_t offset = 0;
    Completion* done = nullptr;
  };

  // Life.
  void drained() noexcept;
  void on_dead() noexcept;
  void check_gone() noexcept;
  void complete(Completion*& done, Status status, std::uint64_t value) noexcept;
  void malformed(const char* reason) noexcept;
  void peer_is_done() noexcept;
  Hello hello_of_ours() noexcept;

  // Sending.
  void add_control(RecordType type, const void* body, std::uint32_t body_bytes, const void* tail = nullptr,
                   std::uint32_t tail_bytes = 0) noexcept;
  bool stage_control() noexcept;
  FrameBuffer* open_frame() noexcept;
  void post_open_frame() noexcept;
  bool feed(Send& message) noexcept;
  std::uint32_t copy_some(Send& message, std::uint8_t* to, std::uint32_t room) noexcept;
  void pump() noexcept;
  void schedule_turn() noexcept;
  void on_turn() noexcept;

  // Receiving.
  bool take_control(RecordType type, Bytes body) noexcept;
  void take_stream() noexcept;
  bool take_bytes(Bytes bytes) noexcept;
  bool advance() noexcept;
  void fill_sink(const std::uint8_t* from, std::size_t bytes) noexcept;
  void drop_stalled() noexcept;
  void take_welcome(Bytes body) noexcept;
  void take_hello(const Hello& hello) noexcept;
  void on_resume() noexcept;

  // Bulk.
  Submitted transfer(bool reads, const RegionKey& key, std::uint64_t offset, const IoVec* local, std::uint32_t parts,
                     Completion& done) noexcept;
  void finish_transfer(Transfer& transfer) noexcept;
  void release_region(std::uint32_t slot, std::uint32_t generation) noexcept;
  void finish_reclaim(RdmaRegion& region) noexcept;

  Endpoint& endpoint_;
  Peer& peer_;
  const std::uint32_t index_;
  const std::uint64_t nonce_;
  LinkEvents* events_ = nullptr;
  State state_ = State::connecting;
  Status why_{};
  bool released_ = false;
  bool peer_done_ = false;  // it accesses nothing any more
  bool greeted_ = false;    // the peer's end is known
  bool silent_ = false;     // it is of no use to tell the peer anything
  std::uint64_t connect_until_ns_ = 0;
  std::uint64_t heard_ns_ = 0;
  std::uint64_t told_ns_ = 0;
  std::uint64_t blocked_since_ns_ = 0;
  std::uint64_t failed_ns_ = 0;
  std::uint64_t reclaim_since_ns_ = 0;  // 0: none is waiting
  Link** connect_out_ = nullptr;
  Completion* connect_done_ = nullptr;

  std::uint32_t far_index_ = kNoLink;
  std::uint64_t far_nonce_ = 0;
  std::uint32_t head_bytes_max_ = 0;
  std::uint32_t eager_bytes_max_ = 0;
  std::uint32_t credits_ = 0;
  std::uint32_t sent_frames_ = 0;
  FrameBuffer* open_ = nullptr;
  std::uint32_t open_flags_ = 0;
  std::deque<FrameBuffer*> unsent_;  // the fabric did not take them yet
  std::vector<std::uint8_t> control_;
  std::deque<Send*> sends_;

  std::uint32_t received_frames_ = 0;
  std::uint32_t owed_credits_ = 0;
  bool paused_ = false;               // until a loan is given back
  std::deque<FrameBuffer*> stalled_;  // frames with bytes of messages that were not taken in yet
  std::uint32_t loans_ = 0;
  std::uint64_t loan_bytes_ = 0;
  // The message that is arriving.
  std::uint32_t sizes_[2] = {};
  std::uint64_t message_at_ = 0;
  std::size_t record_taken_ = 0;  // of the record that is being taken
  std::uint8_t* head_ = nullptr;
  Sink sink_{};
  std::uint32_t sink_part_ = 0;
  std::size_t sink_offset_ = 0;
  bool in_eager_ = false;  // on_eager is owed

  LentRegions lent_;
  RemoteRegions remote_;
  std::vector<Transfer*> transfers_;

  Callback<RdmaLink, &RdmaLink::on_turn> turn_{*this};
  Callback<RdmaLink, &RdmaLink::on_resume> resume_{*this};
  Callback<RdmaLink, &RdmaLink::on_dead> dead_{*this};
};

}  // namespace rideau::rdma
