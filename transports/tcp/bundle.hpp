// SPDX-License-Identifier: Apache-2.0
// Several connections with one peer as one link. The first carries messages, and bulk that is small; each of the
// others, its lanes, regions that are lent to it in turn, so that a message does not wait behind megabytes. A message
// says up to which push of each lane it has to wait at the other end: those that were completed when it was sent.
//
// Life: who connects offers it in its greeting; where the peer's greeting says yes, it names the bundle on the first
// connection, and on each lane that it opens; when all are there the peer says so, and both hosts hear of one link. A
// connection that ends takes the others with it. Frees itself.
#pragma once

#include "callback.hpp"
#include "frame.hpp"
#include "limits.hpp"
#include "rideau/transport.hpp"
#include "socket.hpp"

#include <array>
#include <cstdint>

namespace rideau::tcp {

class Connector;
class TcpLink;
class TcpTransport;

class Bundle final : public Link, private LinkEvents {
 public:
  // Of the side that connects: `connector` opens the first connection, and is told how it ends.
  Bundle(TcpTransport& transport, Connector& connector, LinkEvents& events);
  // Of the side that accepts: `listener` is told of the link when it is whole.
  Bundle(TcpTransport& transport, const BundleHead& name, LinkEvents& listener);
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;
  virtual ~Bundle() = default;

  // Connecting. The first connection is there; its greeting decides.
  void begin(TcpLink& first, const HostPort& host, const Address& address);
  void add_lane(TcpLink& lane, std::uint32_t index);
  void lane_failed(Connector& connector, Status why);
  // Nobody waits for it any more.
  void abandon() noexcept;
  void check_gone() noexcept;
  void on_greeting(TcpLink& from, const Hello& hello);
  // The peer has all connections.
  bool take_answer() noexcept;
  // Accepting. False: it does not belong here.
  bool join(TcpLink& link, const BundleHead& head);
  bool is_named(const BundleHead& head) const noexcept;

  // Of messages: what they wait for, and whether that has landed.
  std::uint64_t order() const noexcept;
  bool has_landed(std::uint64_t order) const noexcept;
  bool takes_messages(const TcpLink& from) const noexcept { return state_ == State::open && members_[0] == &from; }
  void on_landed() noexcept;

  bool quiet() const noexcept { return !deadline_.pending; }

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

 private:
  enum class State : std::uint8_t { waiting, open, closing, closed };

  LinkEvents* on_link(Link&) noexcept override { return nullptr; }  // no listener
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override;
  void on_eager(Link& link, Status status) noexcept override;
  void on_closed(Link& link, Status why) noexcept override;

  void set_member(TcpLink& link, std::uint32_t index);
  bool whole() const noexcept;
  void end(Status why) noexcept;
  void on_deadline() noexcept;
  TcpLink& member_of(const RegionKey& key, RegionKey* inner) const noexcept;

  TcpTransport& transport_;
  Connector* connector_ = nullptr;  // while it waits for the bundle
  LinkEvents* listener_ = nullptr;  // until the link is whole
  LinkEvents* events_ = nullptr;
  HostPort host_;
  Address address_{};
  BundleHead name_{};
  std::array<TcpLink*, kConnectionsMax> members_{};
  std::array<Connector*, kConnectionsMax> opening_{};
  std::uint32_t dead_ = 0;
  std::uint32_t next_lane_ = 0;
  State state_ = State::waiting;
  Status why_{};
  bool released_ = false;
  Callback<Bundle, &Bundle::on_deadline> deadline_{*this};
};

}  // namespace rideau::tcp
