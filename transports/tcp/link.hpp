// SPDX-License-Identifier: Apache-2.0
// One TCP connection, encrypted or not, or one Unix socket in its place, as a Link. link.cpp has its life,
// link_send.cpp what goes out, link_receive.cpp what comes in, link_local.cpp memory that both processes see.
#pragma once

#include "callback.hpp"
#include "chunk.hpp"
#include "frame.hpp"
#include "parts.hpp"
#include "regions.hpp"
#include "rideau/transport.hpp"
#include "send_queue.hpp"
#include "shown_memory.hpp"
#include "socket.hpp"
#include "tls_session.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace rideau::tcp {

class Bundle;
class TcpTransport;

// Who is at the other end.
struct PeerInfo {
  std::string name;         // for people
  bool is_local = false;    // over a Unix socket
  bool is_trusted = false;  // and memory may be shown to it, or seen of it
};

class TcpLink final : public Link, private FrameWritten {
 public:
  // `tls`: a session whose handshake is done, or null.
  TcpLink(TcpTransport& transport, int fd, PeerInfo peer, std::unique_ptr<TlsSession> tls);
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;
  ~TcpLink();

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
  bool shows(const Region& region) const noexcept override;
  Status reach(const RegionKey& key, std::uint64_t remote_offset, std::uint64_t size, Access access,
               Reach* out) noexcept override;
  void let_go(Reach& reach) noexcept override;

  // Greets the peer and reads from now on. Null: nobody wants the link.
  void begin(LinkEvents* events) noexcept;
  // The same where the first frames tell whether this is a link, or one of several connections of one.
  void begin_undecided(LinkEvents& listener) noexcept;
  // One of several connections of a link (bundle.hpp).
  void become_member(Bundle& bundle, LinkEvents& events) noexcept;
  void leave_bundle() noexcept;                  // and goes
  void stay_alone(LinkEvents& events) noexcept;  // and goes on as a link of its own, in the next turn
  void rest_for_a_turn() noexcept;
  void look_again() noexcept;  // what a message waited for may have landed
  void send_bundle(const BundleHead& head) noexcept;
  std::uint64_t push_completed() const noexcept { return push_completed_; }  // pushes are numbered from 1
  std::uint64_t push_landed() const noexcept { return push_landed_; }
  void cancel_frame(LentFrame& frame) noexcept;
  // Pages were cut off from the memory that peers see, perhaps under what is lent here.
  void on_cut() noexcept;
  // For stop(): dead, its events delivered, nothing lent and nothing of its own pending.
  bool quiet() const noexcept;

 private:
  enum class State : std::uint8_t { open, dying, dead };
  enum class Expect : std::uint8_t { header, head, body };
  enum class Into : std::uint8_t { nowhere, sink, region, pull };

  // A pull of ours that waits for its answer. The slot stays taken after a cancel, until the peer has ended the answer.
  struct PullSlot final : Pending {
    void cancel() noexcept override;
    TcpLink* link = nullptr;
    PartCursor local{};
    std::uint64_t size = 0;
    std::uint64_t received = 0;
    std::uint32_t generation = 0;
    Completion* done = nullptr;  // null: free, or cancelled
    bool taken = false;
  };

  // Life.
  void fail(Status why) noexcept;
  void malformed(const char* reason) noexcept;
  void end_pending() noexcept;
  void on_dead() noexcept;
  void check_gone() noexcept;
  void complete(Completion*& done, Status status, std::uint64_t value) noexcept;

  // Memory that both see.
  void offer_memory() noexcept;
  void take_memory(std::uint32_t flags) noexcept;
  void drop_descriptors() noexcept;
  bool copy_shown(BulkHead bulk, Access access, const IoVec* local, std::uint32_t parts) noexcept;

  // Sending.
  void greet() noexcept;
  bool bundles() const noexcept;
  void send_control(FrameType type, std::uint64_t tag, const void* head, std::uint32_t head_bytes) noexcept;
  LentFrame* new_frame(Completion& done) noexcept;
  void answer_pull(const BulkHead& bulk, std::uint64_t tag) noexcept;
  void queue_answer_piece(LentFrame& frame) noexcept;
  void end_answer(LentFrame& frame, Code code) noexcept;
  void abandon_answers(TcpRegion& region) noexcept;
  void on_written(LentFrame& frame) noexcept override;
  void schedule_flush() noexcept;
  void on_turn() noexcept;
  void on_writable() noexcept;
  void flush() noexcept;
  void write_some() noexcept;
  void write_early() noexcept;
  IoResult write_gathered(const IoVec* parts, std::uint32_t count) noexcept;
  bool unsent() const noexcept { return tls_ != nullptr && tls_->unsent(); }
  PullSlot* find_pull(std::uint64_t tag) noexcept;
  void free_pull(std::uint64_t tag) noexcept;

  // Receiving.
  void wait_readable() noexcept;
  IoResult read_some(const IoVec* parts, std::uint32_t count) noexcept;
  bool unread() const noexcept { return tls_ != nullptr && tls_->unread(); }
  void on_readable() noexcept;
  void receive() noexcept;
  bool make_room() noexcept;
  bool bulk_expected() const noexcept;
  std::uint32_t describe_room(IoVec* out, std::uint32_t capacity, std::uint64_t* described) noexcept;
  void add_tail(IoVec* out, std::uint32_t* count, std::uint64_t* described) noexcept;
  void took(std::uint64_t bytes) noexcept;
  void parse() noexcept;
  bool parse_header() noexcept;
  bool parse_head() noexcept;
  bool parse_body() noexcept;
  bool take_message(const std::uint8_t* head) noexcept;
  void take_hello(const std::uint8_t* head) noexcept;
  void take_bundle(const std::uint8_t* head) noexcept;
  void take_push(const std::uint8_t* head) noexcept;
  void take_pull_data() noexcept;
  void take_pull_end(const std::uint8_t* head) noexcept;
  void begin_body(Into into, PartCursor target) noexcept;
  void body_done() noexcept;
  Chunk* take_chunk(std::size_t capacity) noexcept;
  void drop_chunk(Chunk* chunk) noexcept;
  void drop_idle_chunk() noexcept;
  bool over_budget(std::uint64_t more) const noexcept;
  void on_resume() noexcept;
  std::size_t available() const noexcept { return end_ - begin_; }

  TcpTransport& transport_;
  int fd_;
  const PeerInfo peer_;
  const std::unique_ptr<TlsSession> tls_;
  LinkEvents* events_ = nullptr;
  LinkEvents* listener_ = nullptr;  // while it is undecided
  Bundle* bundle_ = nullptr;
  std::uint64_t pushes_made_ = 0;
  std::uint64_t push_completed_ = 0;
  std::uint64_t push_landed_ = 0;
  State state_ = State::open;
  bool released_ = false;
  Status why_{};
  std::uint32_t loans_ = 0;
  RegionTable regions_;
  std::unique_ptr<ShownRegions> shown_;      // what is lent here, where the peer is shown it
  std::unique_ptr<PeerMemory> peer_memory_;  // what the peer lends
  int received_[kDescriptorsSent] = {-1, -1};
  std::uint32_t holds_ = 0;
  bool files_owed_ = false;  // go with the next bytes

  SendQueue queue_;
  bool blocked_ = false;       // the socket is full: wait until it is writable
  bool write_failed_ = false;  // the reading side will say why
  std::uint32_t answers_ = 0;
  std::uint32_t head_bytes_max_;  // of what the peer accepts and we allow
  std::uint32_t eager_bytes_max_;
  std::deque<PullSlot> pulls_;  // a deque, since slots must not move
  std::vector<std::uint32_t> free_pulls_;

  Chunk* chunk_ = nullptr;
  std::size_t begin_ = 0;  // of what was received and is not consumed
  std::size_t end_ = 0;
  std::uint64_t chunk_bytes_ = 0;  // of all chunks of this link, those of loans included
  bool paused_ = false;            // until a loan is given back
  bool greeted_ = false;
  Expect expect_ = Expect::header;
  FrameHeader frame_{};
  Into into_ = Into::nowhere;
  PartCursor target_{};
  std::uint64_t body_left_ = 0;
  std::uint32_t pad_left_ = 0;
  TcpRegion* target_region_ = nullptr;
  PullSlot* target_pull_ = nullptr;
  bool in_eager_ = false;  // on_eager is owed
  Status eager_status_{};
  alignas(8) std::uint8_t pad_[8] = {};

  Callback<TcpLink, &TcpLink::on_readable> readable_{*this};
  Callback<TcpLink, &TcpLink::on_writable> writable_{*this};
  Callback<TcpLink, &TcpLink::on_turn> turn_{*this};
  Callback<TcpLink, &TcpLink::on_resume> resume_{*this};
  Callback<TcpLink, &TcpLink::on_dead> dead_{*this};
};

}  // namespace rideau::tcp
