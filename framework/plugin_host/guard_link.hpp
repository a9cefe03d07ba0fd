// SPDX-License-Identifier: Apache-2.0
// One link of a guarded transport, and the events that the transport calls in place of the host's. Private to this
// folder.
#pragma once

#include "framework/plugin_host/guard_transport.hpp"

#include <memory>
#include <vector>

namespace rideau {

class GuardLink final : public Link {
 public:
  GuardLink(GuardTransport& transport, Link& plugin, std::unique_ptr<GuardEvents> events);
  virtual ~GuardLink();

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

  // What the events of the plugin say about it.
  void head_arrived(const MessageLoan& loan, std::uint64_t eager_bytes);
  void sink_chosen(const Sink& sink, std::uint64_t eager_bytes);
  void eager_arrived();
  void became_closed();
  bool closed() const noexcept { return closed_; }
  void set_events(std::unique_ptr<GuardEvents> events);

 private:
  struct Loan {
    MessageLoan loan;
    std::uint32_t sum;
  };
  GuardTransport& transport_;
  GuardCore& core_;
  Link& plugin_;
  std::unique_ptr<GuardEvents> events_;
  std::vector<Loan> loans_;
  std::vector<Region*> regions_;  // lent
  std::vector<Region*> reclaiming_;
  std::vector<void*> reached_;  // slots of the plugin
  bool eager_expected_ = false;
  bool closed_ = false;
};

class GuardEvents final : public LinkEvents {
 public:
  enum class Of { listener, connect, link };
  GuardEvents(GuardTransport& transport, LinkEvents& host, Of whose)
      : transport_(transport), host_(host), whose_(whose) {}
  virtual ~GuardEvents() = default;
  // The link of a connect, when events came before the connect was seen to complete.
  bool belongs_to(const Link& link) const noexcept { return early_ == &link; }
  void became_of_link() noexcept { whose_ = Of::link; }

  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override;
  void on_eager(Link& link, Status status) noexcept override;
  void on_closed(Link& link, Status why) noexcept override;

 private:
  GuardLink& link_of(Link& link, const char* event);
  GuardTransport& transport_;
  LinkEvents& host_;
  Of whose_;
  const Link* early_ = nullptr;
};

}  // namespace rideau
