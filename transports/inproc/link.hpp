// SPDX-License-Identifier: Apache-2.0
// One end of a link. What both ends reach is in pipe.hpp; the rest belongs to the thread of this end's node.
#pragma once

#include "pipe.hpp"
#include "rideau/driver/callback.hpp"
#include "rideau/transport.hpp"

#include <memory>

namespace rideau::inproc {

class InprocTransport;

class InprocLink final : public Link {
 public:
  InprocLink(InprocTransport& transport, std::shared_ptr<Pipe> pipe, std::size_t side);
  InprocLink(const InprocLink&) = delete;
  InprocLink& operator=(const InprocLink&) = delete;
  ~InprocLink();

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

  // Events come from now on. Null: nobody wants the link.
  void begin(LinkEvents* events) noexcept;
  void cancel_send(Completion& done, std::uint64_t id) noexcept;
  // For stop(): its events delivered, nothing lent and nothing of its own pending.
  bool quiet() const noexcept;

  // Under the mutex of the pipe; from the thread of either end.
  void deliver_later() noexcept;
  void die_later(Status why) noexcept;

 private:
  End& own() noexcept { return pipe_->ends[side_]; }
  End& peer() noexcept { return pipe_->ends[1 - side_]; }
  Submitted transfer(const RegionKey& key, std::uint64_t offset, const IoVec* local, std::uint32_t parts,
                     std::uint32_t access, Completion& done) noexcept;
  bool deliver_next() noexcept;
  Status land(Message& message, const Sink& sink) noexcept;
  void on_deliver() noexcept;
  void on_dead() noexcept;
  void check_gone() noexcept;

  InprocTransport& transport_;
  const std::shared_ptr<Pipe> pipe_;
  const std::size_t side_;
  LinkEvents* events_ = nullptr;
  std::uint64_t last_id_ = 0;
  std::uint32_t loans_ = 0;
  bool told_closed_ = false;
  bool released_ = false;
  Status why_{};
  driver::Callback<InprocLink, &InprocLink::on_deliver> deliver_{*this};
  driver::Callback<InprocLink, &InprocLink::on_dead> dead_{*this};
};

}  // namespace rideau::inproc
