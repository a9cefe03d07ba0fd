// SPDX-License-Identifier: Apache-2.0
// The life of a link: from the connection to on_closed and release, and the memory it lends.
#include "link.hpp"

#include "bundle.hpp"
#include "socket.hpp"
#include "transport.hpp"

#include <utility>

namespace rideau::tcp {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};

}  // namespace

TcpLink::TcpLink(TcpTransport& transport, int fd, PeerInfo peer, std::unique_ptr<TlsSession> tls)
    : transport_(transport),
      fd_(fd),
      peer_(std::move(peer)),
      tls_(std::move(tls)),
      head_bytes_max_(transport.config().head_bytes),
      eager_bytes_max_(transport.config().eager_bytes) {}

TcpLink::~TcpLink() {
  if (fd_ >= 0) {
    transport_.host().forget_fd(fd_);
    close_socket(fd_);
  }
  drop_descriptors();
  if (chunk_ != nullptr) drop_chunk(chunk_);
}

void TcpLink::begin(LinkEvents* events) noexcept {
  events_ = events;
  if (state_ != State::open) return;
  if (events == nullptr) {
    released_ = true;
    fail({Code::refused, 0, "nobody wants the link"});
    return;
  }
  offer_memory();
  greet();
  wait_readable();
}

void TcpLink::begin_undecided(LinkEvents& listener) noexcept {
  listener_ = &listener;
  greet();
  wait_readable();
}

void TcpLink::become_member(Bundle& bundle, LinkEvents& events) noexcept {
  listener_ = nullptr;
  bundle_ = &bundle;
  events_ = &events;
}

void TcpLink::leave_bundle() noexcept {
  bundle_ = nullptr;
  release();
}

void TcpLink::stay_alone(LinkEvents& events) noexcept {
  bundle_ = nullptr;
  events_ = &events;
  rest_for_a_turn();
}

void TcpLink::rest_for_a_turn() noexcept {
  paused_ = true;
  look_again();
}

void TcpLink::look_again() noexcept {
  if (!paused_ || state_ != State::open || resume_.pending) return;
  resume_.pending = true;
  transport_.host().complete(resume_, kOk, 0);
}

void TcpLink::close() noexcept {
  if (state_ != State::open) return;
  // What was sent before goes out as far as the socket takes it.
  if (!blocked_) write_some();
  if (tls_ != nullptr) tls_->say_goodbye();
  fail({Code::closed, 0, "closed by this side"});
}

void TcpLink::malformed(const char* reason) noexcept {
  transport_.log(Level::warning, "link with %s closed: %s", peer_.name.c_str(), reason);
  fail({Code::corrupt, 0, reason});
}

void TcpLink::complete(Completion*& done, Status status, std::uint64_t value) noexcept {
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  transport_.host().complete(*taken, status, value);
}

// Everything that is pending completes here, in the queue before dead_, which delivers the last events.
void TcpLink::fail(Status why) noexcept {
  if (state_ != State::open) return;
  state_ = State::dying;
  why_ = why;
  // Nobody above has heard of it.
  if (std::exchange(listener_, nullptr) != nullptr) released_ = true;
  transport_.host().forget_fd(fd_);
  close_socket(fd_);
  fd_ = -1;
  drop_descriptors();
  end_pending();
  into_ = Into::nowhere;
  target_region_ = nullptr;
  target_pull_ = nullptr;
  if (chunk_ != nullptr) drop_chunk(std::exchange(chunk_, nullptr));
  dead_.pending = true;
  transport_.host().complete(dead_, kOk, 0);
}

void TcpLink::end_pending() noexcept {
  while (LentFrame* frame = queue_.pop_frame()) {
    complete(frame->done, kClosed, 0);
    if (frame->region != nullptr) --frame->region->answers;
    transport_.put_frame(frame);
  }
  for (PullSlot& slot : pulls_) complete(slot.done, kClosed, 0);
}

void TcpLink::on_dead() noexcept {
  state_ = State::dead;
  TcpTransport& transport = transport_;
  if (events_ != nullptr) {
    LinkEvents& events = *events_;
    const Status why = why_;
    if (std::exchange(in_eager_, false)) events.on_eager(*this, {Code::closed, 0, "the link closed in a payload"});
    // The host may release the link inside, so nothing of it is touched afterwards; dead_ counts as pending until then.
    dead_.pending = true;
    events.on_closed(*this, why);
    dead_.pending = false;
  }
  check_gone();
  transport.check_stopped();
}

void TcpLink::release() noexcept {
  released_ = true;
  check_gone();
}

bool TcpLink::quiet() const noexcept {
  return state_ == State::dead && loans_ == 0 && holds_ == 0 && !readable_.pending && !writable_.pending &&
         !turn_.pending && !resume_.pending && !dead_.pending;
}

void TcpLink::check_gone() noexcept {
  if (bundle_ != nullptr) {
    bundle_->check_gone();
    return;
  }
  if (released_ && quiet()) transport_.remove_link(*this);
}

Status TcpLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                     RegionKey* key) noexcept {
  if (state_ != State::open) return kClosed;
  if ((access & (kAccessPull | kAccessPush)) == 0) return {Code::invalid, 0, "lend without access"};
  if (part_count > kPartsMax) return {Code::too_large, 0, "lend: too many parts"};
  if (total_size(parts, part_count) > kBulkBytesMax) return {Code::too_large, 0, "lend: region over the limit"};
  TcpRegion* region = regions_.add(parts, part_count, access, transport_.token(), key);
  if (region == nullptr) return {Code::busy, 0, "lend: too many regions on one link"};
  region->owner = this;
  if (shown_ != nullptr) shown_->show(*region);
  *out = region;
  return kOk;
}

// Only this thread reaches lent memory, and only inside a system call of its own: so access ends at once. What still
// comes for the region is read to nowhere; an answer that is being sent goes on with zeros and ends as not_found. A
// peer that holds it as memory of its own keeps the pages, and this side gets others in their place: it may be at work
// on them for long, or have died in the middle.
Submitted TcpLink::reclaim(Region& region, Completion& done) noexcept {
  auto& own = static_cast<TcpRegion&>(region);
  if (target_region_ == &own) {
    target_region_ = nullptr;
    into_ = Into::nowhere;
  }
  if (own.answers > 0) abandon_answers(own);
  if (own.shown && shown_->hide(own)) {
    for (std::uint32_t i = 0; i < own.part_count; ++i) {
      shown_->memory().cut_off(own.parts[i].base, own.parts[i].size);
    }
    transport_.on_cut();
  }
  regions_.remove(own);
  return done.finish(kOk);
}

void TcpLink::give_back(MessageLoan loan) noexcept {
  drop_chunk(static_cast<Chunk*>(loan.plugin_slot));
  --loans_;
  look_again();
  if (state_ != State::dead) return;
  TcpTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

}  // namespace rideau::tcp
