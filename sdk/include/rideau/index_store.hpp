// SPDX-License-Identifier: Apache-2.0
// IndexStore: ordered keys and values with atomic, checked batches and snapshots. Keys order as rideau::compare and are
// never empty; a value may be.
//
// Limits and space are judged for a whole commit() call: with a key or value over its limit (too_large), an empty key
// (invalid) or too little space (no_space) the completion says so and nothing of the call was applied.
//
// Order. commit() calls take effect in the order in which they were submitted. Sequence numbers start at 1 after
// start() and grow with each batch that was applied; when a commit with Durability::durable completed, every batch with
// a lower or equal sequence is durable too.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/completion.hpp"
#include "rideau/host.hpp"

#include <cstdint>

namespace rideau {

struct IndexLimits {
  std::uint32_t key_bytes_max = 0;
  std::uint32_t value_bytes_max = 0;
  std::uint64_t batch_bytes_max = 0;  // keys and values of the edits of one commit() call
};

struct IndexSpace {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_free = 0;  // what ordinary batches can still use; a reserve for erasing stays apart
  std::uint64_t entry_count = 0;
};

// The state after all batches that had been applied when it was made. Short-lived: an old snapshot keeps space from
// being reused. Values and keys stay valid until release().
class Snapshot {
 public:
  virtual Status get(Bytes key, Bytes* value) noexcept = 0;  // not_found
  // The first entry whose key is not less than `key`, which may be empty; not_found at the end. Each snapshot has one
  // cursor.
  virtual Status seek(Bytes key, Bytes* found, Bytes* value) noexcept = 0;
  virtual Status next(Bytes* found, Bytes* value) noexcept = 0;  // after seek or next
  virtual void release() noexcept = 0;

 protected:
  ~Snapshot() = default;
};

struct Check {
  enum class Kind : std::uint32_t { absent = 0, present = 1, equals = 2 };
  Kind kind = Kind::absent;
  Bytes key{};
  Bytes value{};  // for equals
};

struct Edit {
  enum class Kind : std::uint32_t { put = 0, erase = 1 };  // erasing an absent key is no error
  Kind kind = Kind::put;
  Bytes key{};
  Bytes value{};
};

// Applied whole or not at all; edits in order. Later batches of one commit() see earlier ones.
struct IndexBatch {
  const Check* checks = nullptr;
  std::uint32_t check_count = 0;
  std::uint32_t edit_count = 0;
  const Edit* edits = nullptr;
  Status status{};             // out: ok, check_failed, or why not
  std::uint64_t sequence = 0;  // out: 0 when it was not applied
  bool frees_space = false;    // the batch erases more than it puts. A call of only such may use the reserve
};

enum class Durability : std::uint32_t {
  eventual = 0,  // ordered, may be lost with a crash
  durable = 1,   // survives a power cut once completed
};

class IndexStore : public Instance {
 public:
  virtual IndexLimits limits() const noexcept = 0;
  virtual Status snapshot(Snapshot** out) noexcept = 0;
  // Batches are lent until the completion. The completion fails when the store failed (then nothing of this call was
  // applied); a batch whose checks failed is reported in its own status, and the completion is ok.
  // value = the last sequence applied.
  virtual Submitted commit(IndexBatch* batches, std::uint32_t count, Durability durability,
                           Completion& done) noexcept = 0;
  virtual Status space(IndexSpace* out) noexcept = 0;

 protected:
  ~IndexStore() = default;
};

}  // namespace rideau
