// SPDX-License-Identifier: Apache-2.0
#include "bundle.hpp"

#include "connector.hpp"
#include "link.hpp"
#include "transport.hpp"

#include <algorithm>
#include <utility>

namespace rideau::tcp {
namespace {

constexpr std::uint32_t kOrderBits = 21;  // of each lane in the tag of a message
constexpr std::uint64_t kOrderMask = (1u << kOrderBits) - 1;
static_assert((kConnectionsMax - 1) * kOrderBits <= 64);
// Pushes that are completed and have not landed wait in sockets, or as frames: far fewer than half of that.
static_assert(kFramesMax < kOrderMask / 4);

}  // namespace

Bundle::Bundle(TcpTransport& transport, Connector& connector, LinkEvents& events)
    : transport_(transport), connector_(&connector), events_(&events) {
  name_.token[0] = transport.token();
  name_.token[1] = transport.token();
}

Bundle::Bundle(TcpTransport& transport, const BundleHead& name, LinkEvents& listener)
    : transport_(transport), listener_(&listener), name_(name) {
  name_.index = 0;
  deadline_.pending = transport.host().sleep(transport.config().connect_timeout_ns, deadline_) == Submitted::pending;
}

void Bundle::set_member(TcpLink& link, std::uint32_t index) {
  members_[index] = &link;
  link.become_member(*this, *this);
}

bool Bundle::whole() const noexcept {
  return std::all_of(members_.begin(), members_.begin() + name_.count,
                     [](const TcpLink* one) { return one != nullptr; });
}

// ---- Connecting.

void Bundle::begin(TcpLink& first, const HostPort& host, const Address& address) {
  host_ = host;
  address_ = address;
  name_.count = 1;
  set_member(first, 0);
  first.begin(this);
}

void Bundle::on_greeting(TcpLink& from, const Hello& hello) {
  if (connector_ == nullptr || &from != members_[0]) return;
  const std::uint32_t wanted = std::min(transport_.config().connections, connections_in(hello));
  if (wanted < 2) {
    // A link as any other.
    Connector& connector = *std::exchange(connector_, nullptr);
    from.stay_alone(*events_);
    connector.bundle_ready(from);
    transport_.remove_bundle(*this);
    return;
  }
  name_.count = wanted;
  from.send_bundle(name_);
  for (std::uint32_t i = 1; i < wanted; ++i) opening_[i] = &transport_.add_lane_connector(*this, i);
  for (std::uint32_t i = 1; i < wanted; ++i) {
    if (opening_[i] != nullptr) opening_[i]->begin_lane(host_, address_);  // one that failed ends the others
  }
}

void Bundle::add_lane(TcpLink& lane, std::uint32_t index) {
  opening_[index] = nullptr;
  set_member(lane, index);
  lane.begin(this);
  BundleHead head = name_;
  head.index = index;
  lane.send_bundle(head);
}

void Bundle::lane_failed(Connector& connector, Status why) {
  for (Connector*& one : opening_) {
    if (one == &connector) one = nullptr;
  }
  if (state_ == State::waiting) end(why);
  check_gone();
}

bool Bundle::take_answer() noexcept {
  if (connector_ == nullptr || state_ != State::waiting || !whole()) return false;
  state_ = State::open;
  std::exchange(connector_, nullptr)->bundle_ready(*this);
  members_[0]->rest_for_a_turn();  // the caller knows the link before events of it come
  return true;
}

void Bundle::abandon() noexcept {
  connector_ = nullptr;
  released_ = true;
  end({Code::closed, 0, "the connect was given up"});
}

// ---- Accepting.

bool Bundle::is_named(const BundleHead& head) const noexcept {
  return listener_ != nullptr && state_ == State::waiting && head.count == name_.count &&
         head.token[0] == name_.token[0] && head.token[1] == name_.token[1];
}

bool Bundle::join(TcpLink& link, const BundleHead& head) {
  if (members_[head.index] != nullptr) return false;
  set_member(link, head.index);
  if (!whole()) return true;
  if (deadline_.pending) transport_.host().cancel(deadline_);
  state_ = State::open;
  members_[0]->send_bundle(name_);
  events_ = std::exchange(listener_, nullptr)->on_link(*this);
  if (events_ != nullptr) return true;
  released_ = true;
  end({Code::refused, 0, "nobody wants the link"});
  return true;
}

void Bundle::on_deadline() noexcept {
  if (state_ == State::waiting) end({Code::timed_out, 0, "connections of a link did not come"});
  check_gone();
}

// ---- Messages and bulk.

std::uint64_t Bundle::order() const noexcept {
  std::uint64_t order = 0;
  for (std::uint32_t i = 1; i < name_.count; ++i) {
    order |= (members_[i]->push_completed() & kOrderMask) << ((i - 1) * kOrderBits);
  }
  return order;
}

bool Bundle::has_landed(std::uint64_t order) const noexcept {
  for (std::uint32_t i = 1; i < name_.count; ++i) {
    const std::uint64_t wanted = (order >> ((i - 1) * kOrderBits)) & kOrderMask;
    if (((members_[i]->push_landed() - wanted) & kOrderMask) > kOrderMask / 2) return false;
  }
  return true;
}

void Bundle::on_landed() noexcept {
  if (state_ == State::open) members_[0]->look_again();
}

Submitted Bundle::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                       Completion& done) noexcept {
  return members_[0]->send(head, head_parts, eager, eager_parts, done);
}

void Bundle::give_back(MessageLoan loan) noexcept { members_[0]->give_back(loan); }

Status Bundle::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                    RegionKey* key) noexcept {
  std::uint32_t index = 0;
  if (part_count <= kPartsMax && total_size(parts, part_count) >= kLaneBytesLeast) {
    index = 1 + next_lane_;
    next_lane_ = (next_lane_ + 1) % (name_.count - 1);
  }
  const Status lent = members_[index]->lend(parts, part_count, access, out, key);
  if (lent.ok()) key->bytes[key->size++] = static_cast<std::uint8_t>(index);
  return lent;
}

Submitted Bundle::reclaim(Region& region, Completion& done) noexcept {
  return static_cast<TcpRegion&>(region).owner->reclaim(region, done);
}

// A key of another size, or of a connection that is not there, reaches nothing: the first one says so.
TcpLink& Bundle::member_of(const RegionKey& key, RegionKey* inner) const noexcept {
  if (key.size == 0 || key.size > sizeof key.bytes) return *members_[0];
  const std::uint32_t index = key.bytes[key.size - 1];
  if (index >= name_.count) return *members_[0];
  *inner = key;
  --inner->size;
  return *members_[index];
}

Submitted Bundle::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                       Completion& done) noexcept {
  RegionKey inner;
  return member_of(key, &inner).pull(inner, remote_offset, local, parts, done);
}

Submitted Bundle::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                       Completion& done) noexcept {
  RegionKey inner;
  return member_of(key, &inner).push(inner, remote_offset, local, parts, done);
}

Sink Bundle::on_head(Link&, MessageLoan loan, std::uint64_t eager_bytes) noexcept {
  return events_->on_head(*this, loan, eager_bytes);
}

void Bundle::on_eager(Link&, Status status) noexcept { events_->on_eager(*this, status); }

// ---- The end.

void Bundle::close() noexcept { end({Code::closed, 0, "closed by this side"}); }

void Bundle::end(Status why) noexcept {
  if (state_ == State::closing || state_ == State::closed) return;
  const bool was_open = state_ == State::open;
  state_ = State::closing;
  why_ = why;
  if (!was_open) released_ = true;
  if (deadline_.pending) transport_.host().cancel(deadline_);
  if (Connector* connector = std::exchange(connector_, nullptr); connector != nullptr) connector->end(why);
  for (Connector*& one : opening_) {
    if (Connector* connector = std::exchange(one, nullptr); connector != nullptr) connector->end(why);
  }
  for (TcpLink* member : members_) {
    if (member != nullptr) member->close();
  }
}

// Of one connection: the others follow, and the link is over with the last of them.
void Bundle::on_closed(Link&, Status why) noexcept {
  ++dead_;
  end(why);
  const auto there = [](const TcpLink* member) { return member != nullptr; };
  if (dead_ < static_cast<std::uint32_t>(std::count_if(members_.begin(), members_.end(), there))) return;
  state_ = State::closed;
  // Who releases it inside leaves it until this connection is done with its end.
  if (!released_) events_->on_closed(*this, why_);
}

void Bundle::release() noexcept {
  released_ = true;
  check_gone();
}

// With the last of what its connections still have to give back.
void Bundle::check_gone() noexcept {
  const auto over = [](const TcpLink* member) { return member == nullptr || member->quiet(); };
  if (!released_ || state_ != State::closed || deadline_.pending) return;
  if (!std::all_of(members_.begin(), members_.end(), over)) return;
  for (TcpLink*& member : members_) {
    if (TcpLink* link = std::exchange(member, nullptr); link != nullptr) link->leave_bundle();
  }
  transport_.remove_bundle(*this);
}

}  // namespace rideau::tcp
