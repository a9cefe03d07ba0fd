// SPDX-License-Identifier: Apache-2.0
// Memory that both ends of a link within one machine see. Who has some offers it with the greeting. A transfer is
// then a copy from memory to memory, or none, where the host works on the peer's memory itself.
#include "link.hpp"
#include "transport.hpp"

#include <utility>

namespace rideau::tcp {

void TcpLink::offer_memory() noexcept {
  SharedMemory* memory = transport_.offered();
  if (!peer_.is_local || !peer_.is_trusted || memory == nullptr) return;
  auto shown = std::make_unique<ShownRegions>(*memory);
  if (!shown->open()) return;
  shown_ = std::move(shown);
  files_owed_ = true;
}

void TcpLink::take_memory(std::uint32_t flags) noexcept {
  const bool offered = (flags & kHelloShows) != 0 && received_[0] >= 0 && received_[1] >= 0;
  if (offered && peer_.is_trusted) {
    peer_memory_ = PeerMemory::map(received_[0], received_[1]);
    if (peer_memory_ == nullptr) {
      transport_.log(Level::warning, "memory of %s cannot be mapped: its bytes go through the socket",
                     peer_.name.c_str());
    }
  }
  drop_descriptors();
}

void TcpLink::drop_descriptors() noexcept {
  for (int& fd : received_) {
    if (fd >= 0) close_socket(std::exchange(fd, -1));
  }
}

bool TcpLink::shows(const Region& region) const noexcept { return static_cast<const TcpRegion&>(region).shown; }

Status TcpLink::reach(const RegionKey& key, std::uint64_t remote_offset, std::uint64_t size, Access access,
                      Reach* out) noexcept {
  constexpr Status kNotShown{Code::unsupported, 0, "the region is not shown"};
  BulkHead bulk;
  if (state_ != State::open || peer_memory_ == nullptr || size == 0 || !read_key(key, &bulk)) return kNotShown;
  bulk.offset = remote_offset;
  bulk.size = size;
  Hold* hold = peer_memory_->hold(bulk, access);
  if (hold == nullptr) return kNotShown;
  ++holds_;
  out->parts = hold->parts;
  out->part_count = hold->part_count;
  out->plugin_slot = hold;
  return kOk;
}

void TcpLink::let_go(Reach& reach) noexcept {
  peer_memory_->let_go(static_cast<Hold*>(reach.plugin_slot));
  --holds_;
  if (state_ != State::dead) return;
  TcpTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

// A push or pull without the socket. False: it has to go there.
bool TcpLink::copy_shown(BulkHead bulk, Access access, const IoVec* local, std::uint32_t parts) noexcept {
  if (peer_memory_ == nullptr || bulk.size == 0) return false;
  Hold* hold = peer_memory_->hold(bulk, access);
  if (hold == nullptr) return false;
  const bool push = access == kAccessPush;
  PartCursor to = push ? PartCursor(hold->parts, hold->part_count) : PartCursor(local, parts);
  const IoVec* from = push ? local : hold->parts;
  const std::uint32_t count = push ? parts : hold->part_count;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (from[i].size > 0) to.write(static_cast<const std::uint8_t*>(from[i].base), from[i].size);
  }
  peer_memory_->let_go(hold);
  transport_.host().count(Tally::copied_bytes, bulk.size);
  return true;
}

// A region that shared pages with what was cut off goes through the socket from now on. Where the peer is writing into
// it just now the bytes would be lost: the link closes, and the call is made again.
void TcpLink::on_cut() noexcept {
  if (shown_ == nullptr) return;
  bool lost = false;
  regions_.each([&](TcpRegion& region) {
    if (!region.shown || shown_->lies_in_memory(region)) return;
    lost |= shown_->hide(region) && (region.access & kAccessPush) != 0;
  });
  if (lost) fail({Code::closed, 0, "memory that the peer was writing into was cut off"});
}

}  // namespace rideau::tcp
