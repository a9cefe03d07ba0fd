// SPDX-License-Identifier: Apache-2.0
// ClientSession: what a restart of the target may lose. Changes that were answered and are not known to be durable are
// kept, and made again when the target comes back, each in its slot and under its number, so that one which survived is
// told from one that did not.
#include "framework/rpc/client_session_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <cinttypes>

namespace rideau::rpc {

namespace {
constexpr std::size_t kSpareMax = 1024;
constexpr Status kLinkLost{Code::closed, 0, "the link was lost during a restart"};
}  // namespace

void ClientSession::Impl::keep(const Slot& slot, const Request& request, const Reply& reply) {
  Kept one;
  if (!spare.empty()) {
    one = std::move(spare.back());
    spare.pop_back();
  }
  one.slot = slot.number;
  one.sequence = slot.sequence;
  one.transaction = reply.transaction;
  one.method = request.method;
  one.request.assign(request.body.data, request.body.data + request.body.size);
  one.reply.assign(reply.body.data, reply.body.data + reply.body.size);
  kept_bytes += one.request.size() + one.reply.size();
  // Answers come in another order than their transactions when one of them waited for something durable.
  const auto later = [](std::uint64_t number, const Kept& other) { return number < other.transaction; };
  kept.insert(std::upper_bound(kept.begin(), kept.end(), one.transaction, later), std::move(one));
}

void ClientSession::Impl::set_durable(std::uint64_t upto) {
  durable = std::max(durable, upto);
  while (!kept.empty() && kept.front().transaction <= durable) {
    kept_bytes -= kept.front().request.size() + kept.front().reply.size();
    if (spare.size() < kSpareMax) spare.push_back(std::move(kept.front()));
    kept.pop_front();
  }
}

void ClientSession::Impl::forget_kept() {
  kept.clear();
  kept_bytes = 0;
}

bool ClientSession::keeps_too_much() const noexcept {
  return impl_->kept.size() >= limits::kCallsKeptMax || impl_->kept_bytes >= limits::kCallsKeptBytesMax;
}

// The link is up, and nothing but this goes over it.
Task<Status> ClientSession::Impl::restart() {
  log.info("target %u at %s restarted (boot epoch %" PRIu64
           ") and knows this client: claiming what it held, %zu calls "
           "are made again",
           options.target, options.address.c_str(), boot_epoch, kept.size());
  const std::uint64_t began_ns = runtime.now_ns();
  const Status done = co_await events.on_restart();
  if (!done.ok()) {
    log.warning("target %u at %s: claiming again what this client held failed (%s): trying anew", options.target,
                options.address.c_str(), code_name(done.code));
    co_return done;
  }
  if (state != State::restarting) co_return kLinkLost;
  restarted = false;
  forget_kept();
  log.info("target %u at %s: goes on after %" PRIu64 " ms", options.target, options.address.c_str(),
           (runtime.now_ns() - began_ns) / kMillisecond);
  co_return kOk;
}

// One call at a time, in place of the call that the slot on the wire carried last.
Task<Reply> ClientSession::Impl::call_in_restart(const Request& request, std::uint32_t number, std::uint64_t sequence,
                                                 std::uint32_t flags, std::uint64_t transaction) {
  Reply reply;
  reply.status = kLinkLost;
  Slot& slot = slots[limits::kRecoverySlot];
  if (state != State::restarting || !link.usable()) co_return reply;
  RIDEAU_ASSERT(!slot.busy);
  slot.busy = true;
  slot.number = number;
  slot.sequence = sequence;
  slot.transaction = transaction;
  slot.request = &request;
  slot.trace_id = ++next_trace;
  slot.deadline_ns = 0;
  slot.state = CallState::waiting;
  const Status outcome = co_await attempt(request, slot, flags);
  if (slot.state == CallState::answered) {
    reply.status = outcome.ok() ? slot.envelope.status : outcome;
    reply.body = slot.body;
    reply.transaction = slot.envelope.transaction;
    reply.durable = slot.envelope.durable;
    reply.loan = std::move(slot.loan);
  }
  slot.loan = Loan{};
  slot.request = nullptr;
  slot.link = nullptr;
  slot.busy = false;
  co_return reply;
}

Task<Reply> ClientSession::claim(const Request& request) {
  return impl_->call_in_restart(request, limits::kRecoverySlot, ++impl_->claims, 0, 0);
}

Task<Status> ClientSession::replay() {
  Impl& self = *impl_;
  if (RIDEAU_PLANTED_BUG(replays_nothing)) co_return kOk;
  for (std::size_t i = 0; i < self.kept.size(); ++i) {
    const Impl::Kept& one = self.kept[i];
    Request request;
    request.method = one.method;
    request.modifies = true;
    request.body = Bytes(one.request.data(), one.request.size());
    const IoVec answered{const_cast<std::uint8_t*>(one.reply.data()), one.reply.size()};
    request.payload = &answered;
    request.payload_parts = one.reply.empty() ? 0 : 1;
    const Reply reply = co_await self.call_in_restart(request, one.slot, one.sequence, wire::kReplay, one.transaction);
    if (reply.status.code == Code::closed) co_return reply.status;
    RIDEAU_MARK(lost_change_asked_again);
    if (reply.ok()) continue;
    // It had succeeded before, and everything before it was made again: it cannot fail but by damage.
    self.log.error("target %u at %s: call %u, transaction %" PRIu64
                   ", was lost with the restart and fails now: %s (errno %d)",
                   self.options.target, self.options.address.c_str(), one.method, one.transaction,
                   code_name(reply.status.code), reply.status.os_error);
  }
  co_return kOk;
}

}  // namespace rideau::rpc
