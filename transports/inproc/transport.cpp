// SPDX-License-Identifier: Apache-2.0
#include "transport.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace rideau::inproc {
namespace {

// "place:number": any name, so that what people write for other transports works here too.
bool is_address(std::string_view text) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size() || text.size() - colon > 20)
    return false;
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(colon) + 1, text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

constexpr Status kBadAddress{Code::invalid, 0, "address: expected place:number"};

}  // namespace

Submitted InprocTransport::stop(Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  stopped_ = true;
  for (auto& listener : listeners_) listener->close();
  for (auto& link : links_) link->close();
  if (quiet()) return done.finish(kOk);
  stopping_ = &done;
  return Submitted::pending;
}

bool InprocTransport::quiet() const noexcept {
  return std::all_of(links_.begin(), links_.end(), [](const auto& link) { return link->quiet(); }) &&
         std::all_of(listeners_.begin(), listeners_.end(), [](const auto& listener) { return listener->quiet(); });
}

void InprocTransport::check_stopped() noexcept {
  if (stopping_ == nullptr || !quiet()) return;
  host_.complete(*std::exchange(stopping_, nullptr), kOk, 0);
}

void InprocTransport::cancel(Completion& pending) noexcept {
  auto* link = static_cast<InprocLink*>(pending.plugin_slot[0]);
  if (link != nullptr) link->cancel_send(pending, reinterpret_cast<std::uint64_t>(pending.plugin_slot[1]));
}

void InprocTransport::destroy() noexcept { delete this; }

TransportLimits InprocTransport::limits() const noexcept {
  TransportLimits limits;
  limits.head_bytes_max = config_.head_bytes;
  limits.eager_bytes_max = config_.eager_bytes;
  limits.parts_max = kPartsMax;
  limits.bulk_bytes_max = kBulkBytesMax;
  return limits;
}

Status InprocTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  if (stopped_) return {Code::closed, 0, "listen"};
  if (!is_address(address.view())) return kBadAddress;
  auto listener = std::make_unique<Listener>(*this, events);
  if (const Status opened = listener->open(std::string(address.view())); !opened.ok()) return opened;
  const std::string& name = listener->name();
  if (name.size() > bound.size) return {Code::too_large, 0, "listen: no room for the bound address"};
  std::memcpy(bound.data, name.data(), name.size());
  *bound_size = name.size();
  listeners_.push_back(std::move(listener));
  return kOk;
}

Submitted InprocTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (stopped_) return done.finish({Code::closed, 0, "connect"});
  if (!is_address(address.view())) return done.finish(kBadAddress);
  const auto pipe = std::make_shared<Pipe>();
  pipe->ends[1].hold_bytes = config_.hold_bytes;  // until it is accepted
  InprocLink* link = add_link(pipe, 0);
  if (link == nullptr) return done.finish({Code::busy, 0, "connect: too many links"});
  if (!knock(std::string(address.view()), pipe)) {
    remove_link(*link);
    return done.finish(
        {Code::not_found, 0, "connect: nobody in this process listens there, and others are not reached"});
  }
  link->begin(&events);
  *out = link;
  return done.finish(kOk);
}

std::uint64_t InprocTransport::token() noexcept {
  std::uint64_t token = 0;
  while (token == 0) host_.random(MutableBytes(&token, sizeof token));
  return token;
}

InprocLink* InprocTransport::add_link(const std::shared_ptr<Pipe>& pipe, std::size_t side) {
  if (stopped_ || links_.size() >= config_.links_max) return nullptr;
  links_.push_back(std::make_unique<InprocLink>(*this, pipe, side));
  return links_.back().get();
}

void InprocTransport::remove_link(InprocLink& link) noexcept {
  const auto found =
      std::find_if(links_.begin(), links_.end(), [&link](const auto& own) { return own.get() == &link; });
  // A link that is destroyed with the instance is no longer asked for.
  const std::unique_ptr<InprocLink> gone = std::move(*found);
  links_.erase(found);
}

}  // namespace rideau::inproc
