// SPDX-License-Identifier: Apache-2.0
// IndexObjects: an ObjectStore for small objects, whose bytes are records of the index itself: in pieces of 32 KiB. A
// call that changes an object is one atomic batch. Reads come from a snapshot, at once.
//
// store.cpp has the calls that only look and the life, changes.cpp those that change. Changes of one object run one
// after the other, since each begins with what the one before has left.
#pragma once

#include "../shared/lent_call.hpp"
#include "records.hpp"
#include "rideau/abi.hpp"
#include "rideau/index_store.hpp"
#include "rideau/object_store.hpp"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::index_objects {

constexpr std::uint32_t kIoBytesMax = 1 << 20;
constexpr std::uint32_t kPartsMax = 1024;
constexpr std::uint32_t kCallsMax = 16384;  // pending changes; more are answered with busy

constexpr Status kClosed{Code::closed, 0, "index-objects store is not running"};

class IndexObjects;

// A change, or a flush, and the batch that does it.
struct Call final : backend::LentCall {
  enum class Kind : std::uint8_t { write, truncate, punch, remove, flush };
  IndexObjects* store = nullptr;
  Kind kind = Kind::write;
  ObjectId id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of truncate: the new one
  std::vector<IoVec> parts;
  Completion* done = nullptr;
  std::int32_t objects_more = 0;
  std::deque<std::string> texts;  // keys and values of the edits; their addresses stay
  std::vector<Edit> edits;
  IndexBatch batch{};
};

class IndexObjects final : public ObjectStore {
 public:
  IndexObjects(Host& host, std::uint64_t object_bytes_max) : host_(host), object_bytes_max_(object_bytes_max) {}

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;

  ObjectLimits limits() const noexcept override;
  Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                 Completion& done) noexcept override;
  Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                  Completion& done) noexcept override;
  Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept override;
  Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted remove(ObjectId id, Completion& done) noexcept override;
  Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept override;
  Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept override;
  Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept override;
  Status space(ObjectSpace* out) noexcept override;
  Submitted lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose, ObjectLoan* out,
                 Completion& done) noexcept override;
  void give_back(ObjectLoan& loan) noexcept override;
  Submitted allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept override;

 private:
  enum class Life : std::uint8_t { made, running, stopping, stopped };
  ~IndexObjects() = default;

  Status accepts_calls() const noexcept;
  Status measure(const IoVec* parts, std::uint32_t part_count, std::uint64_t* size) const noexcept;
  Submitted queue(Call::Kind kind, ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept;
  void run(Call& call) noexcept;
  void on_committed(Call& call) noexcept;
  void on_flushed(Call& call) noexcept;
  void end(Call& call, Status status) noexcept;
  Status plan(Call& call) noexcept;
  Status plan_write(Call& call, Snapshot& snapshot, std::uint64_t size) noexcept;
  Status plan_zeros(Call& call, Snapshot& snapshot, std::uint64_t begin, std::uint64_t end) noexcept;
  static void put(Call& call, std::string key, std::string value);
  static void erase(Call& call, std::string key);
  void check_stopped() noexcept;

  Host& host_;
  const std::uint64_t object_bytes_max_;
  IndexStore* index_ = nullptr;
  Life life_ = Life::made;
  Completion* stop_done_ = nullptr;
  std::map<ObjectId, std::deque<Call*>> changes_;  // of each object, the first one runs
  std::set<Call*> flushes_;
  std::uint32_t call_count_ = 0;
  std::uint64_t object_count_ = 0;
  std::uint64_t changed_ = 0;  // batches that were applied, and how many of them are durable
  std::uint64_t durable_ = 0;
};

}  // namespace rideau::index_objects
