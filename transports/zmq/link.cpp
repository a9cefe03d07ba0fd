// SPDX-License-Identifier: Apache-2.0
#include "link.hpp"

#include "listener.hpp"
#include "transport.hpp"

#include <algorithm>
#include <utility>

namespace rideau::zeromq {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};

}  // namespace

ZmqLink::Monitor::Monitor(ZmqLink& its_link) noexcept : link(its_link), socket(its_link.transport_.host(), *this) {}

ZmqLink::ZmqLink(ZmqTransport& transport, ZmqListener& listener, std::string peer)
    : transport_(transport),
      listener_(&listener),
      peer_(std::move(peer)),
      head_bytes_max_(transport.config().head_bytes),
      eager_bytes_max_(transport.config().eager_bytes) {}

ZmqLink::ZmqLink(ZmqTransport& transport, LinkEvents& events, Link** out, Completion& done)
    : transport_(transport),
      own_socket_(std::make_unique<Socket>(transport.host(), *this)),
      monitor_(std::make_unique<Monitor>(*this)),
      events_(&events),
      out_(out),
      connecting_(&done),
      state_(State::connecting),
      head_bytes_max_(transport.config().head_bytes),
      eager_bytes_max_(transport.config().eager_bytes) {
  done.plugin_slot[0] = this;
}

Status ZmqLink::connect(const std::string& endpoint) {
  endpoint_ = endpoint;
  const std::string place = "inproc://monitor-" + std::to_string(transport_.next_number());
  int error = own_socket_->open(transport_.context(), zmq::socket_type::dealer);
  if (error == 0) error = monitor_->socket.open(transport_.context(), zmq::socket_type::pair);
  if (error == 0) {
    error = own_socket_->change([&](zmq::socket_t& socket) {
      transport_.set_options(socket, endpoint);
      // A link dies with its connection; who wants another makes one.
      socket.set(zmq::sockopt::reconnect_ivl, -1);
      if (zmq_socket_monitor(socket.handle(), place.c_str(), ZMQ_EVENT_ALL) != 0) throw zmq::error_t();
      monitor_->socket.raw().connect(place);
      socket.connect(endpoint);
    });
  }
  if (error == EINVAL || error == EPROTONOSUPPORT) return {Code::invalid, error, "connect: no such address"};
  if (error == EMFILE || error == ENFILE) return {Code::busy, error, "connect"};
  if (error != 0) return {Code::io_error, error, "connect"};
  own_socket_->watch();
  monitor_->socket.watch();
  Host& host = transport_.host();
  const std::uint64_t now = host.now_ns();
  std::uint64_t until = now + transport_.config().connect_timeout_ns;
  if (connecting_->deadline_ns != 0) until = std::min(until, connecting_->deadline_ns);
  deadline_.pending = host.sleep(until > now ? until - now : 0, deadline_) == Submitted::pending;
  put(make_frame(FrameType::hello, 0, own_hello()));
  return kOk;
}

Socket& ZmqLink::socket() noexcept { return listener_ != nullptr ? listener_->socket() : *own_socket_; }

std::uint64_t ZmqLink::frame_cost() const noexcept {
  return transport_.config().window / transport_.config().high_water_mark;
}

Hello ZmqLink::own_hello() const noexcept {
  const Config& config = transport_.config();
  Hello hello;
  hello.head_bytes_max = config.head_bytes;
  hello.eager_bytes_max = config.eager_bytes;
  hello.frame_cost = static_cast<std::uint32_t>(frame_cost());
  hello.window = config.window;
  return hello;
}

void ZmqLink::accept(const Hello& hello) noexcept {
  head_bytes_max_ = std::min(head_bytes_max_, hello.head_bytes_max);
  eager_bytes_max_ = std::min(eager_bytes_max_, hello.eager_bytes_max);
  peer_cost_ = hello.frame_cost;
  // Whatever a peer says, a piece of bulk and the largest message must be able to pass.
  const std::uint64_t largest = sizeof(FrameHeader) + head_bytes_max_ + std::max(eager_bytes_max_, kPieceBytes);
  window_ = std::max(hello.window, 2 * (largest + peer_cost_));
}

void ZmqLink::begin(LinkEvents* events) noexcept {
  events_ = events;
  if (events == nullptr) {
    released_ = true;
    fail({Code::refused, 0, "nobody wants the link"}, true);
    return;
  }
  put(make_frame(FrameType::welcome, 0, own_hello()));
}

// Control frames need no credit; ZeroMQ's own queue has room for as many as a peer that reads can cause.
bool ZmqLink::put(zmq::message_t frame) noexcept {
  switch (socket().send(peer_, std::move(frame))) {
    case Sent::ok:
      return true;
    case Sent::full:
      fail({Code::closed, 0, "the peer takes nothing any more"}, false);
      return false;
    case Sent::gone:
      fail({Code::closed, 0, "the peer closed the link"}, false);
      return false;
  }
  return false;
}

Submitted ZmqLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  const std::uint64_t head_bytes = driver::total_size(head, head_parts);
  const std::uint64_t eager_bytes = driver::total_size(eager, eager_parts);
  if (head_parts > kPartsMax || eager_parts > kPartsMax)
    return done.finish({Code::too_large, 0, "send: too many parts"});
  if (head_bytes > head_bytes_max_ || eager_bytes > eager_bytes_max_) {
    return done.finish({Code::too_large, 0, "send: message over the limit"});
  }
  if (state_ != State::open) return done.finish(kClosed);
  if (queue_.size() >= kSendsMax) return done.finish({Code::busy, 0, "send: too many wait on one link"});
  Outgoing& next = queue_.emplace_back();
  next.head = head;
  next.head_parts = head_parts;
  next.head_bytes = static_cast<std::uint32_t>(head_bytes);
  next.body = driver::PartCursor(eager, eager_parts);
  next.left = next.size = eager_bytes;
  next.done = &done;
  done.plugin_slot[0] = this;
  pump();
  return Submitted::pending;
}

Submitted ZmqLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  const std::uint64_t size = driver::total_size(local, parts);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "push: too many parts"});
  if (size > kBulkBytesMax) return done.finish({Code::too_large, 0, "push over the limit"});
  if (state_ != State::open) return done.finish(kClosed);
  driver::KeyBytes bytes;
  if (size == 0 || !driver::read_key(key, &bytes)) return done.finish(kOk, size);
  if (queue_.size() >= kSendsMax) return done.finish({Code::busy, 0, "push: too many wait on one link"});
  Outgoing& next = queue_.emplace_back();
  next.kind = Kind::push;
  next.bulk = {bytes, remote_offset, size};
  next.body = driver::PartCursor(local, parts);
  next.left = next.size = size;
  next.done = &done;
  done.plugin_slot[0] = this;
  pump();
  return Submitted::pending;
}

Submitted ZmqLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  const std::uint64_t size = driver::total_size(local, parts);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "pull: too many parts"});
  if (size > kBulkBytesMax) return done.finish({Code::too_large, 0, "pull over the limit"});
  if (state_ != State::open) return done.finish(kClosed);
  BulkHead bulk;
  if (!driver::read_key(key, &bulk.key)) return done.finish({Code::not_found, 0, "pull: the key reaches nothing"});
  if (free_pulls_.empty() && pulls_.size() >= kPullsMax) return done.finish({Code::busy, 0, "pull: too many pending"});
  if (free_pulls_.empty()) {
    free_pulls_.push_back(static_cast<std::uint32_t>(pulls_.size()));
    pulls_.emplace_back();
  }
  const std::uint32_t index = free_pulls_.back();
  free_pulls_.pop_back();
  PullSlot& slot = pulls_[index];
  slot.local = driver::PartCursor(local, parts);
  slot.size = size;
  slot.received = 0;
  slot.done = &done;
  slot.taken = true;
  done.plugin_slot[0] = this;
  bulk.offset = remote_offset;
  bulk.size = size;
  put(make_frame(FrameType::pull, std::uint64_t{++slot.generation} << 32 | index, bulk));
  return Submitted::pending;
}

ZmqLink::PullSlot* ZmqLink::find_pull(std::uint64_t tag) noexcept {
  const auto index = static_cast<std::uint32_t>(tag);
  if (index >= pulls_.size()) return nullptr;
  PullSlot& slot = pulls_[index];
  return slot.taken && slot.generation == tag >> 32 ? &slot : nullptr;
}

void ZmqLink::free_pull(std::uint64_t tag) noexcept {
  const auto index = static_cast<std::uint32_t>(tag);
  pulls_[index].taken = false;
  free_pulls_.push_back(index);
}

std::uint32_t ZmqLink::next_piece(const Outgoing& next) const noexcept {
  if (next.kind == Kind::message) return static_cast<std::uint32_t>(next.left);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(next.left, kPieceBytes));
}

// Sends as long as the peer has room for it.
void ZmqLink::pump() noexcept {
  if (std::exchange(pumping_, true)) return;
  while (state_ == State::open && !queue_.empty() && send_next()) {
  }
  pumping_ = false;
}

bool ZmqLink::send_next() noexcept {
  Outgoing& next = queue_.front();
  const std::uint32_t piece = next_piece(next);
  std::uint64_t cost = sizeof(FrameHeader) + piece + peer_cost_;
  cost += next.kind == Kind::message ? next.head_bytes : next.kind == Kind::push ? sizeof(BulkHead) : 0;
  if (outstanding_ > 0 && outstanding_ + cost > window_) return false;
  zmq::message_t frame;
  switch (next.kind) {
    case Kind::message:
      frame = make_frame(FrameType::message, 0, next.head, next.head_parts, next.head_bytes, next.body, piece);
      break;
    case Kind::push: {
      BulkHead head = next.bulk;
      head.offset += next.size - next.left;
      // Judged by the receiver as a whole: all pieces land, or none.
      frame = make_frame(FrameType::push, next.bulk.offset, head, next.body, piece);
      break;
    }
    case Kind::answer:
      frame = make_frame(FrameType::pull_data, next.tag, nullptr, 0, 0, next.body, piece);
      break;
  }
  transport_.host().count(Tally::copied_bytes, piece);
  next.begun = true;
  next.body.skip(piece);
  next.left -= piece;
  outstanding_ += cost;
  if (!put(std::move(frame))) return false;
  if (next.kind == Kind::answer) {
    Outgoing answer = next;
    queue_.pop_front();
    if (answer.left > 0) {
      queue_.push_back(answer);  // what was queued meanwhile goes in between
    } else {
      --answers_;
      put(make_frame(FrameType::pull_end, answer.tag, PullEnd{}));
    }
    return true;
  }
  if (next.left > 0) return true;
  Completion* done = next.done;
  const std::uint64_t value = next.kind == Kind::push ? next.size : 0;
  queue_.pop_front();
  complete(done, kOk, value);
  return true;
}

void ZmqLink::probe() noexcept {
  if (state_ == State::open) put(make_frame(FrameType::probe, 0, nullptr, 0, 0, {}, 0));
}

void ZmqLink::cancel(Completion& pending) noexcept {
  const Status cancelled{Code::cancelled, 0, "cancelled"};
  if (connecting_ == &pending) {
    end_connect({Code::cancelled, 0, "connect"});
    return;
  }
  for (PullSlot& slot : pulls_) {
    if (slot.done == &pending) complete(slot.done, cancelled, 0);
  }
  const auto waits =
      std::find_if(queue_.begin(), queue_.end(), [&pending](const Outgoing& o) { return o.done == &pending; });
  if (waits == queue_.end() || waits->begun) return;
  Completion* done = waits->done;
  queue_.erase(waits);
  complete(done, cancelled, 0);
}

Status ZmqLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                     RegionKey* key) noexcept {
  if (state_ != State::open) return kClosed;
  if ((access & (kAccessPull | kAccessPush)) == 0) return {Code::invalid, 0, "lend without access"};
  if (part_count > kPartsMax) return {Code::too_large, 0, "lend: too many parts"};
  if (driver::total_size(parts, part_count) > kBulkBytesMax) return {Code::too_large, 0, "lend: region over the limit"};
  Region* region = regions_.add(parts, part_count, access, transport_.token(), key);
  if (region == nullptr) return {Code::busy, 0, "lend: too many regions on one link"};
  *out = region;
  return kOk;
}

// Only this thread reaches lent memory, and only inside a call: ZeroMQ is given copies. Answers that are not whole end.
Submitted ZmqLink::reclaim(Region& region, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  auto& own = static_cast<driver::LentRegion&>(region);
  std::vector<std::uint64_t> ended;
  std::erase_if(queue_, [&](const Outgoing& next) {
    if (next.region != &own) return false;
    ended.push_back(next.tag);
    return true;
  });
  regions_.remove(own);
  for (const std::uint64_t tag : ended) {
    --answers_;
    const PullEnd end{static_cast<std::int32_t>(Code::not_found), 0};
    if (state_ == State::open) put(make_frame(FrameType::pull_end, tag, end));
  }
  return done.finish(kOk);
}

void ZmqLink::give_back(MessageLoan loan) noexcept {
  const std::unique_ptr<Loan> own(static_cast<Loan*>(loan.plugin_slot));
  --loans_;
  if (state_ == State::open) give_credit(own->cost);
  ZmqTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

// Told in portions, so that not every frame costs one of its own.
void ZmqLink::give_credit(std::uint64_t cost) noexcept {
  uncredited_ += cost;
  if (uncredited_ < transport_.config().window / 4) return;
  held_ -= uncredited_;
  put(make_frame(FrameType::credit, std::exchange(uncredited_, 0), nullptr, 0, 0, {}, 0));
}

void ZmqLink::complete(Completion*& done, Status status, std::uint64_t value) noexcept {
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  transport_.host().complete(*taken, status, value);
}

void ZmqLink::close() noexcept { fail({Code::closed, 0, "closed by this side"}, true); }

void ZmqLink::malformed(const char* reason) noexcept {
  transport_.log(Level::warning, "link with %s closed: %s", endpoint_.empty() ? "a peer" : endpoint_.c_str(), reason);
  fail({Code::corrupt, 0, reason}, true);
}

// Everything that is pending completes here, in the queue before dead_, which delivers the last event.
void ZmqLink::fail(Status why, bool tell) noexcept {
  if (state_ == State::connecting) {
    end_connect(why);
    return;
  }
  if (state_ != State::open) return;
  state_ = State::dying;
  why_ = why;
  if (tell) {
    const PullEnd end{static_cast<std::int32_t>(why.code), 0};
    static_cast<void>(socket().send(peer_, make_frame(FrameType::bye, 0, end)));
  }
  if (listener_ != nullptr) listener_->forget(peer_);
  if (own_socket_ != nullptr) own_socket_->close();
  if (monitor_ != nullptr) monitor_->socket.close();
  for (Outgoing& next : queue_) complete(next.done, kClosed, 0);
  queue_.clear();
  for (PullSlot& slot : pulls_) complete(slot.done, kClosed, 0);
  dead_.pending = true;
  transport_.host().complete(dead_, kOk, 0);
}

void ZmqLink::end_connect(Status status) noexcept {
  if (deadline_.pending) transport_.host().cancel(deadline_);
  complete(connecting_, status, 0);
  if (status.ok()) {
    state_ = State::open;
    return;
  }
  state_ = State::dead;
  released_ = true;
  own_socket_->close();
  monitor_->socket.close();
  // The object goes in a later turn: this may be inside one of its sockets.
  dead_.pending = true;
  transport_.host().complete(dead_, kOk, 0);
}

void ZmqLink::on_deadline() noexcept {
  if (connecting_ != nullptr) end_connect({Code::timed_out, 0, "connect"});
  check_gone();
}

void ZmqLink::on_dead() noexcept {
  ZmqTransport& transport = transport_;
  const bool was_open = std::exchange(state_, State::dead) == State::dying;
  if (was_open && events_ != nullptr) {
    dead_.pending = true;  // so that a release inside leaves this object until the end
    events_->on_closed(*this, why_);
    dead_.pending = false;
  }
  check_gone();
  transport.check_stopped();
}

void ZmqLink::release() noexcept {
  released_ = true;
  check_gone();
}

bool ZmqLink::quiet() const noexcept {
  return state_ == State::dead && loans_ == 0 && !dead_.pending && !deadline_.pending &&
         (own_socket_ == nullptr || own_socket_->quiet()) && (monitor_ == nullptr || monitor_->socket.quiet());
}

void ZmqLink::check_gone() noexcept {
  if (!released_ || !quiet()) {
    transport_.check_stopped();
    return;
  }
  ZmqTransport& transport = transport_;
  transport.remove_link(*this);
  transport.check_stopped();
}

}  // namespace rideau::zeromq
