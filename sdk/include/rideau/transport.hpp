// SPDX-License-Identifier: Apache-2.0
// Transport: links that carry messages both ways, and bulk between lent memory.
//
// Messages. A message is a head (structured bytes, 8-byte aligned when received, at most limits().head_bytes_max) and
// an optional eager payload (at most limits().eager_bytes_max). Messages of one link arrive whole, unchanged, in the
// order in which they were sent, or the link closes. The receiver sees the head first, says where the payload goes,
// and hears when it is there; the next head comes only after that.
//
// Bulk. The owner of memory lends a region and sends its key in a message; the other side pulls from it or pushes to
// it. Whoever holds the key drives; the owner's host is not told about single transfers. A transfer that was completed
// with ok is visible to the owner before any message that is sent on the same link afterwards.
//
// Safety. Keys carry a generation: a key of a region that was reclaimed reaches nothing, also when its memory is lent
// again. Bytes from the peer are never trusted: a malformed frame closes its link (on_closed, Code::corrupt) and
// harms nothing else; memory held for one link is bounded by limits() and the configuration.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/completion.hpp"
#include "rideau/host.hpp"

#include <cstdint>

namespace rideau {

class Link;

// Memory of this process that others on the same machine can be shown: a file without a name, mapped. Implemented by
// the host.
class SharedMemory {
 public:
  // Open as long as this object lives; sealed against shrinking (F_SEAL_SHRINK), so that a page once mapped stays.
  virtual int descriptor() const noexcept = 0;
  virtual std::uint64_t size() const noexcept = 0;  // bytes
  // Where in it these bytes lie. False: they lie elsewhere, or were cut off.
  virtual bool find(const void* base, std::size_t size, std::uint64_t* offset) const noexcept = 0;
  // From now on the pages under these bytes are private, with the contents that they have: who mapped the memory keeps
  // the pages that it saw, and reaches these no more.
  virtual void cut_off(const void* base, std::size_t size) noexcept = 0;

 protected:
  ~SharedMemory() = default;
};

struct TransportLimits {
  std::uint32_t head_bytes_max = 0;   // of one message head
  std::uint32_t eager_bytes_max = 0;  // of one eager payload
  std::uint32_t parts_max = 0;        // of one gathered or scattered buffer
  std::uint64_t bulk_bytes_max = 0;   // of one pull or push, and of one region
};

// Identifies a lent region to the peer: opaque bytes, meaningful on the link that the owner names only.
struct RegionKey {
  std::uint8_t size = 0;
  std::uint8_t bytes[63] = {};
};

enum Access : std::uint32_t { kAccessPull = 1, kAccessPush = 2 };  // what the peer may do with lent memory

// Memory lent to the peer of one link. Made by Link::lend, ends with Link::reclaim.
class Region {
 protected:
  ~Region() = default;
};

// A range of a peer's region, seen as memory of this process. Ends with Link::let_go.
struct Reach {
  const IoVec* parts = nullptr;  // valid until let_go
  std::uint32_t part_count = 0;
  void* plugin_slot = nullptr;
};

// A received head. Lent to the host until Link::give_back(loan), which must come, also after on_closed and before
// stop() of the transport completes.
struct MessageLoan {
  Bytes head{};
  void* plugin_slot = nullptr;
};

// Where an eager payload goes. The parts array and its memory are lent to the transport until on_eager.
// part_count 0 discards the payload.
struct Sink {
  const IoVec* parts = nullptr;
  std::uint32_t part_count = 0;
};

// Implemented by the host, one for each listener and each connect. Called on the node's thread, never inside a call of
// the host into the transport.
class LinkEvents {
 public:
  // A listener accepted a link. The host answers with the events object of that link; null closes it.
  virtual LinkEvents* on_link(Link& link) noexcept = 0;
  // A head arrived; eager_bytes follow (0: none, and on_eager does not come). The parts of the answer hold at least
  // eager_bytes, or none.
  virtual Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept = 0;
  // The payload of the last head is in its sink, or will never be.
  virtual void on_eager(Link& link, Status status) noexcept = 0;
  // The link is dead: last call, exactly once, also after Link::close(). What was pending on the link completes (with
  // Code::closed where it was not done) before this. The host calls Link::release() when it needs the object no more.
  virtual void on_closed(Link& link, Status why) noexcept = 0;

 protected:
  ~LinkEvents() = default;
};

class Link {
 public:
  // Sends one message. Parts are lent until the completion, which says that they may be reused, not that they arrived.
  virtual Submitted send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                         Completion& done) noexcept = 0;
  virtual void give_back(MessageLoan loan) noexcept = 0;

  // Lends memory to the peer of this link. Parts (not the array) stay lent until reclaim completed.
  virtual Status lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                      RegionKey* key) noexcept = 0;
  // Completes when no access by the peer is possible any more; frees the region. Works on a closed link too.
  virtual Submitted reclaim(Region& region, Completion& done) noexcept = 0;

  // Copies `size` bytes from the peer's region at `remote_offset` into local parts; value = bytes. A key that reaches
  // nothing: not_found. A range outside the region or access that was not granted: invalid. Neither closes the link.
  virtual Submitted pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                         Completion& done) noexcept = 0;
  // The other direction. A push whose key reaches nothing is dropped by the receiver; the completion says only that the
  // local parts may be reused.
  virtual Submitted push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                         Completion& done) noexcept = 0;

  // Asks for the end of the link; on_closed follows.
  virtual void close() noexcept = 0;
  // After on_closed, when every loan was given back, every region reclaimed and every reach let go: the object is gone.
  virtual void release() noexcept = 0;

  // Whether the peer can reach a region that was lent on this link as memory of its own (below).
  virtual bool shows(const Region& region) const noexcept {
    static_cast<void>(region);
    return false;
  }
  // Shows a range of the peer's region instead of moving it, where both processes see the same memory; `access` as pull
  // or push would need it. The memory stays mapped until let_go, also when the link closes or the owner reclaims the
  // region: what is written after that reaches nobody. Fails where it cannot be shown, whatever the reason: then it is
  // moved with pull or push, which say more.
  virtual Status reach(const RegionKey& key, std::uint64_t remote_offset, std::uint64_t size, Access access,
                       Reach* out) noexcept {
    static_cast<void>(key);
    static_cast<void>(remote_offset);
    static_cast<void>(size);
    static_cast<void>(access);
    static_cast<void>(out);
    return {Code::unsupported, 0, "this transport shows no memory"};
  }
  virtual void let_go(Reach& reach) noexcept { static_cast<void>(reach); }

 protected:
  ~Link() = default;
};

class Transport : public Instance {
 public:
  virtual TransportLimits limits() const noexcept = 0;
  // Accepts links on `address` ("host:port"; port 0: any). `bound` receives the address that peers can use, at most
  // bound.size bytes, *bound_size of them. Ends with stop().
  virtual Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept = 0;
  // Opens a link. With ok, *out is set before the completion; events see what arrives on it. Without: no events come.
  virtual Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept = 0;

  // Memory in which much of what is lent will lie: peers of links that are connected from now on may be shown it, where
  // they are on this machine and trusted. It stays until destroy(). False: this transport makes no use of it.
  virtual bool offer(SharedMemory& memory) noexcept {
    static_cast<void>(memory);
    return false;
  }

 protected:
  ~Transport() = default;
};

}  // namespace rideau
