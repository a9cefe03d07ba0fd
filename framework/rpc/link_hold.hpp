// SPDX-License-Identifier: Apache-2.0
// Keeps a Link object until nobody refers to it: a closed link may be released only when its loans were given back and
// its regions reclaimed.
#pragma once

#include "framework/base/assert.hpp"
#include "rideau/transport.hpp"

#include <cstdint>
#include <utility>

namespace rideau::rpc {

class LinkHold {
 public:
  explicit LinkHold(Link& link) noexcept : link_(&link) {}
  LinkHold(const LinkHold&) = delete;
  LinkHold& operator=(const LinkHold&) = delete;

  Link& link() const noexcept { return *link_; }
  bool closed() const noexcept { return closed_; }
  bool abandoned() const noexcept { return abandoned_; }
  void add_reference() noexcept { ++references_; }
  void drop_reference() noexcept {
    RIDEAU_ASSERT(references_ > 0);
    if (--references_ == 0 && closed_) end();
  }
  // From LinkEvents::on_closed.
  void mark_closed() noexcept {
    closed_ = true;
    if (references_ == 0) end();
  }
  // The owner of the link goes without having seen it close.
  void abandon() noexcept {
    abandoned_ = true;
    mark_closed();
  }

 private:
  ~LinkHold() = default;
  void end() noexcept {
    if (!abandoned_) link_->release();
    delete this;
  }
  Link* link_;
  std::uint32_t references_ = 0;
  bool closed_ = false;
  bool abandoned_ = false;
};

class LinkReference {
 public:
  LinkReference() = default;
  explicit LinkReference(LinkHold* hold) noexcept : hold_(hold) {
    if (hold_ != nullptr) hold_->add_reference();
  }
  LinkReference(const LinkReference& other) noexcept : LinkReference(other.hold_) {}
  LinkReference(LinkReference&& other) noexcept : hold_(std::exchange(other.hold_, nullptr)) {}
  LinkReference& operator=(LinkReference other) noexcept {
    std::swap(hold_, other.hold_);
    return *this;
  }
  ~LinkReference() {
    if (hold_ != nullptr) hold_->drop_reference();
  }
  LinkHold* get() const noexcept { return hold_; }
  bool usable() const noexcept { return hold_ != nullptr && !hold_->closed(); }
  Link& link() const noexcept { return hold_->link(); }
  friend bool operator==(const LinkReference& a, const LinkReference& b) noexcept { return a.hold_ == b.hold_; }

 private:
  LinkHold* hold_ = nullptr;
};

}  // namespace rideau::rpc
