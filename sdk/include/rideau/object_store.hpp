// SPDX-License-Identifier: Apache-2.0
// ObjectStore: extents of bytes in objects that come to be with their first write. Offsets and sizes in bytes.
//
// An object that does not exist reads as not_found; inside an object, what was never written reads as zero.
// Calls on one object that overlap in time and range are the caller's to order. A completed write is seen by every
// later read; it survives a power cut once a flush that was submitted after its completion has completed.
// After a crash a range that was not flushed holds old or new bytes (or zeros) for each unit of atomic_bytes, never
// bytes of another object. A checksum that fails: corrupt.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/completion.hpp"
#include "rideau/host.hpp"

#include <compare>
#include <cstdint>

namespace rideau {

struct ObjectId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr bool operator==(const ObjectId&, const ObjectId&) noexcept = default;
  friend constexpr auto operator<=>(const ObjectId&, const ObjectId&) noexcept = default;
};

struct ObjectLimits {
  std::uint64_t object_bytes_max = 0;
  std::uint32_t io_bytes_max = 0;  // of one read or write
  std::uint32_t parts_max = 0;     // of one gathered or scattered buffer
  std::uint32_t alignment = 1;     // offsets and sizes that are multiples of it avoid read-modify-write
  std::uint32_t atomic_bytes = 1;  // aligned writes of this size are never torn by a crash
};

struct ObjectStat {
  std::uint64_t size = 0;
  std::uint64_t bytes_used = 0;  // on the device
};

struct ObjectSpace {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_free = 0;
  std::uint64_t object_count = 0;
  std::uint64_t objects_free = ~0ull;  // how many more can be made
  // Stores that answer the same number other than 0 share their space, and bytes_total and bytes_free are those of all
  // of them together. 0: not known.
  std::uint64_t device = 0;
};

// [begin, end) of an object.
struct ObjectExtent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// A buffer of the store's own, lent to the host; only with kObjectLends.
struct ObjectLoan {
  MutableBytes bytes{};
  void* plugin_slot = nullptr;
};

enum class Purpose : std::uint32_t { read = 0, write = 1 };

class ObjectStore : public Instance {
 public:
  virtual ObjectLimits limits() const noexcept = 0;

  // value = bytes read; short at the end of the object. not_found when there is no such object.
  virtual Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                         Completion& done) noexcept = 0;
  // Writes all or fails; makes the object when needed. value = bytes written.
  virtual Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                          Completion& done) noexcept = 0;
  // Sets the size; makes the object when needed; growth reads as zero.
  virtual Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept = 0;
  // Makes a range read as zero and frees its space where it can; the size stays. unsupported without kObjectPunches.
  virtual Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept = 0;
  // Idempotent: an object that does not exist is removed already. Durable after the next flush.
  virtual Submitted remove(ObjectId id, Completion& done) noexcept = 0;
  virtual Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept = 0;  // not_found
  // The next ids greater than `after` in ascending order, at most `capacity`; value = how many. From the first with
  // `after` null. Ids that come or go meanwhile may or may not show.
  virtual Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept = 0;
  // Makes every write, truncate, punch and remove that completed before durable: of the objects named (count > 0), or
  // of all (count 0).
  virtual Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept = 0;
  virtual Status space(ObjectSpace* out) noexcept = 0;

  // A buffer to read from or to fill and then pass to write(); unsupported without kObjectLends.
  virtual Submitted lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose, ObjectLoan* out,
                         Completion& done) noexcept = 0;
  virtual void give_back(ObjectLoan& loan) noexcept = 0;

  // Keeps space for a range, so that a later write to it does not fail with no_space; makes the object when needed.
  // Its size and what it reads as stay. no_space: it does not fit, and a part of it may be kept. unsupported without
  // kObjectAllocates.
  virtual Submitted allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept = 0;
  // The first run of bytes at or after `offset` that may be other than zero. An empty one at the object's size: there
  // is none. not_found when there is no such object; unsupported without kObjectMaps.
  virtual Submitted find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept = 0;

 protected:
  ~ObjectStore() = default;
};

}  // namespace rideau
