// SPDX-License-Identifier: Apache-2.0
// What operations of the fabric name as their context, and the registered memory that frames are sent from and received
// into.
#pragma once

#include "fabric.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::rdma {

class RdmaLink;
struct Peer;

enum class OpKind : std::uint8_t { receive, send, transfer };

// First in what it is a part of, since a provider may want the memory of the context.
struct Op {
  fi_context2 context{};
  OpKind kind = OpKind::send;
};

struct FrameBuffer : Op {
  std::uint8_t* data = nullptr;
  void* descriptor = nullptr;
  std::uint32_t bytes = 0;  // filled or received
  std::uint32_t at = 0;     // of a received frame: how far its stream bytes were taken
  Peer* peer = nullptr;     // of a frame that is being sent
};

// Frames in slabs of registered memory; grows, and gives nothing back before its end.
class FramePool {
 public:
  // `access` as of registration: FI_SEND or FI_RECV.
  FramePool(Fabric& fabric, std::uint64_t access) noexcept : fabric_(fabric), access_(access) {}
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  FrameBuffer* take(std::uint64_t key_wish) noexcept;  // null: no memory
  void put(FrameBuffer* frame) noexcept { free_.push_back(frame); }

 private:
  struct Slab {
    std::unique_ptr<std::uint8_t[]> memory;
    std::unique_ptr<FrameBuffer[]> frames;
    Registered registration;
  };
  Fabric& fabric_;
  std::uint64_t access_;
  std::vector<Slab> slabs_;
  std::vector<FrameBuffer*> free_;
};

}  // namespace rideau::rdma
