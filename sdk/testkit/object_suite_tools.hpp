// SPDX-License-Identifier: Apache-2.0
// What the rules of the object suite are written with: calls that own their buffers, the store under test from start to
// end, and comparison with the model.
#pragma once

#include "framework/runtime/await.hpp"
#include "framework/runtime/sync.hpp"
#include "sdk/testkit/dice.hpp"
#include "rideau/abi.hpp"
#include "sdk/testkit/model_object.hpp"
#include "sdk/testkit/object_suite.hpp"

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::object_suite {

// One call with what it was given and what came of it. Stays in memory until the store has completed it or is gone.
class Call : Completion {
 public:
  Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // `piece` is the size of the parts that the buffer is cut into; 0: one part.
  void read(ObjectStore& store, ObjectId id, std::uint64_t offset, std::size_t size, std::size_t piece = 0);
  void write(ObjectStore& store, ObjectId id, std::uint64_t offset, std::string bytes, std::size_t piece = 0);
  // A buffer whose memory the parts share, for sizes at the limits.
  void transfer(ObjectStore& store, bool writes, ObjectId id, std::uint64_t offset, std::vector<IoVec> parts);
  void truncate(ObjectStore& store, ObjectId id, std::uint64_t size);
  void punch(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size);
  void allocate(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size);
  void find_data(ObjectStore& store, ObjectId id, std::uint64_t offset);
  void remove(ObjectStore& store, ObjectId id);
  void stat(ObjectStore& store, ObjectId id);
  void list(ObjectStore& store, const ObjectId* after, std::uint32_t capacity);
  void flush(ObjectStore& store, std::vector<ObjectId> ids);  // empty: all
  void lend(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose);

  void cancel(ObjectStore& store) { store.cancel(*this); }
  // Gives up a call that will never complete, since its store was destroyed.
  void abandon(Runtime& runtime) { runtime.forget(*this); }

  bool ended() const noexcept { return completions_ > 0; }
  std::uint32_t completions() const noexcept { return completions_; }
  Status status() const noexcept { return Completion::status; }
  std::uint64_t value() const noexcept { return Completion::value; }
  // What a read read, and all that a write was given.
  std::string_view bytes() const noexcept { return buffer_; }
  std::string_view read_bytes() const noexcept { return bytes().substr(0, value()); }
  const ObjectStat& found() const noexcept { return stat_; }
  const ObjectExtent& extent() const noexcept { return extent_; }
  ObjectLoan& loan() noexcept { return loan_; }
  std::vector<ObjectId> ids() const;

 private:
  friend class Suite;
  void cut(std::size_t piece);
  void submitted(Submitted how) noexcept;
  Completion& fresh() noexcept;

  std::string buffer_;
  std::vector<IoVec> parts_;
  std::vector<ObjectId> ids_;
  ObjectId after_;
  ObjectStat stat_;
  ObjectExtent extent_;
  ObjectLoan loan_;
  std::uint32_t completions_ = 0;
  WaitQueue* waiters_ = nullptr;
};

class Suite {
 public:
  Suite(Runtime& its_runtime, ObjectFactory& its_factory, std::uint64_t its_seed, Report& its_report)
      : runtime(its_runtime), factory(its_factory), seed(its_seed), report(its_report), ended_(its_runtime) {}

  // Makes and starts an instance; `fresh` empties the storage first. False, and reported, when that failed.
  Task<bool> open(bool fresh);
  Task<> close();
  // Ends the instance as a power cut does.
  void kill();
  ObjectStore& store() { return *store_; }

  // A call that this suite is told about; it lives until forget_calls().
  Call& call();
  void forget_calls();
  // A call of the caller's own, which outlives the instance.
  void adopt(Call& call) noexcept { call.waiters_ = &ended_; }
  Task<> wait(Call& call);
  Task<> wait_all();

  // One call after the other; the status is what the store answered.
  Task<Status> write(ObjectId id, std::uint64_t offset, std::string bytes);
  Task<Status> truncate(ObjectId id, std::uint64_t size);
  Task<Status> punch(ObjectId id, std::uint64_t offset, std::uint64_t size);
  Task<Status> allocate(ObjectId id, std::uint64_t offset, std::uint64_t size);
  Task<Status> find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out);
  Task<Status> remove(ObjectId id);
  Task<Status> flush(std::vector<ObjectId> ids);
  Task<Status> stat(ObjectId id, ObjectStat* out);
  Task<Status> read(ObjectId id, std::uint64_t offset, std::size_t size, std::string* out);

  // Checks that an object is as expected, or not there.
  Task<> expect(ObjectId id, std::string bytes, std::string_view what);
  Task<> expect_absent(ObjectId id, std::string_view what);
  // Checks every object, the listing and the count.
  Task<> expect_all(const ModelObjects& model, std::string_view what);

  bool punches() const noexcept { return (factory.capabilities() & kObjectPunches) != 0; }
  bool allocates() const noexcept { return (factory.capabilities() & kObjectAllocates) != 0; }
  bool maps() const noexcept { return (factory.capabilities() & kObjectMaps) != 0; }
  bool lends() const noexcept { return (factory.capabilities() & kObjectLends) != 0; }

  Runtime& runtime;
  ObjectFactory& factory;
  const std::uint64_t seed;
  Report& report;

 private:
  ObjectStore* store_ = nullptr;
  WaitQueue ended_;
  std::list<Call> calls_;
  std::list<Call> abandoned_;  // were pending when power went: whoever is between may still look at them
};

// Cuts a buffer into parts of `piece` bytes.
std::vector<IoVec> cut_buffer(std::string& buffer, std::size_t piece);
std::string object_name(ObjectId id);

// The parts of the suite.
Task<> check_bytes(Suite& suite);
Task<> check_limits(Suite& suite);
Task<> check_lists(Suite& suite);
Task<> check_together(Suite& suite);
Task<> check_capabilities(Suite& suite);
Task<> check_space(Suite& suite);
Task<> check_life(Suite& suite);
Task<> check_durable(Suite& suite);
Task<> check_full(Suite& suite);
Task<> check_random(Suite& suite);

}  // namespace rideau::object_suite
