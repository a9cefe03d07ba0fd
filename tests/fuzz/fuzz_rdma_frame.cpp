// SPDX-License-Identifier: Apache-2.0
// Frames of a libfabric peer, several of them to one link: as they come, or with magic, size and checksum made right.
// What passes the judge is walked to its end within the frame; the regions that it describes stay within their bounds.
#include "tests/fuzz/fuzz.hpp"
#include "transports/rdma/frame.hpp"
#include "transports/rdma/limits.hpp"
#include "transports/rdma/regions.hpp"

#include <algorithm>
#include <memory>
#include <set>

using namespace rideau;

namespace {

class Peer {
 public:
  void take(Bytes frame) {
    const rdma::FrameHeader header = [&] {
      rdma::FrameHeader copy;
      std::memcpy(&copy, frame.data, sizeof copy);
      return copy;
    }();
    std::uint64_t walked = 0;
    rdma::walk_records(frame.data, [&](rdma::RecordType type, Bytes body) {
      fuzz::require(body.data >= frame.data + sizeof header && body.data + body.size <= frame.data + frame.size,
                    "a record lies in its frame");
      walked += sizeof(rdma::RecordHeader) + rdma::padded(static_cast<std::uint32_t>(body.size));
      return take(type, body);
    });
    if (!broken_) fuzz::require(walked == header.bytes, "records fill their frame");
  }
  bool broken() const { return broken_; }

 private:
  // As a link takes them (link_receive.cpp), as far as no fabric is needed.
  bool take(rdma::RecordType type, Bytes body) {
    if (type == rdma::RecordType::describe) broken_ = !describe(body);
    if (type == rdma::RecordType::revoke) broken_ = !revoke(body);
    return !broken_;
  }
  bool describe(Bytes body) {
    rdma::Describe what;
    if (body.size < sizeof what) return false;
    std::memcpy(&what, body.data, sizeof what);
    if (!regions_.describe(what, Bytes(body.data + sizeof what, body.size - sizeof what))) return false;
    fuzz::require(what.slot < rdma::kRegionsMax, "slots have their limit");
    rdma::RemoteRegion* region = regions_.find(rdma::Revoke{what.slot, what.generation});
    fuzz::require((region != nullptr) == (what.last != 0), "a region is there once it is described whole");
    if (region == nullptr) return true;
    fuzz::require(region->bytes <= rdma::kBulkBytesMax && region->parts.size() <= rdma::kRegionPartsMax,
                  "a region has its limits");
    std::uint64_t bytes = 0;
    for (const rdma::RemotePart& part : region->parts) bytes += part.bytes;
    fuzz::require(bytes == region->bytes, "a region is as large as its parts");
    RegionKey key;
    key.size = 16;
    std::memcpy(key.bytes, &what.slot, 4);
    std::memcpy(key.bytes + 4, &what.generation, 4);
    std::memcpy(key.bytes + 8, &what.token, 8);
    std::uint32_t slot = 0;
    fuzz::require(regions_.find(key, &slot) == region && slot == what.slot, "its key finds it");
    ++key.bytes[8];
    fuzz::require(regions_.find(key, &slot) == nullptr, "another one does not");
    return true;
  }
  bool revoke(Bytes body) {
    rdma::Revoke which;
    if (body.size != sizeof which) return false;
    std::memcpy(&which, body.data, sizeof which);
    rdma::RemoteRegion* region = regions_.find(which);
    if (region == nullptr) return false;
    regions_.remove(which.slot);
    fuzz::require(regions_.find(which) == nullptr, "what was taken back is gone");
    return true;
  }

  rdma::RemoteRegions regions_;
  bool broken_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Peer peer;
  for (int frames = 0; frames < 8 && !peer.broken(); ++frames) {
    const bool is_made = (input.byte() & 1) != 0;
    const Bytes bytes = input.take(input.byte() * 16u);
    if (bytes.size == 0) break;
    // Memory of its own size, as words: a byte beyond it would be found.
    const std::size_t before = is_made ? sizeof(rdma::FrameHeader) : 0;
    const std::size_t total = before + bytes.size;
    const std::unique_ptr<std::uint64_t[]> words(new std::uint64_t[(total + 7) / 8]);
    auto* frame = reinterpret_cast<std::uint8_t*>(words.get());
    std::memcpy(frame + before, bytes.data, bytes.size);
    if (is_made) {
      rdma::FrameHeader header;
      header.bytes = static_cast<std::uint32_t>(bytes.size);
      std::memcpy(frame, &header, sizeof header);
      rdma::seal(frame);
    }
    if (rdma::fault_of(frame, total) == nullptr) peer.take(Bytes(frame, total));
  }
  return 0;
}
