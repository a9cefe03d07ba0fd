// SPDX-License-Identifier: Apache-2.0
// IndexedObjects: a store together with the index that it keeps its map in, as one ObjectStore: both start, stop and
// lose their power together.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "rideau/object_store.hpp"

namespace rideau {

class IndexedObjects final : public ObjectStore {
 public:
  // Owns both instances, which were not started.
  IndexedObjects(Runtime& runtime, ObjectStore& store, Instance& index)
      : runtime_(runtime), store_(store), index_(index) {
    step_.owner = this;
    step_.resume = [](Completion* done) noexcept { static_cast<Step*>(done)->owner->advance(); };
  }

  Submitted start(Completion& done) noexcept override {
    outer_ = &done;
    next_ = &IndexedObjects::start_store;
    if (index_.start(step_) == Submitted::finished) advance();
    return Submitted::pending;
  }
  Submitted stop(Completion& done) noexcept override {
    outer_ = &done;
    next_ = &IndexedObjects::stop_index;
    if (store_.stop(step_) == Submitted::finished) advance();
    return Submitted::pending;
  }
  void cancel(Completion& pending) noexcept override { store_.cancel(pending); }
  void destroy() noexcept override {
    store_.destroy();
    index_.destroy();
    delete this;
  }

  ObjectLimits limits() const noexcept override { return store_.limits(); }
  Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t count,
                 Completion& done) noexcept override {
    return store_.read(id, offset, parts, count, done);
  }
  Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t count,
                  Completion& done) noexcept override {
    return store_.write(id, offset, parts, count, done);
  }
  Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept override {
    return store_.truncate(id, size, done);
  }
  Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override {
    return store_.punch(id, offset, size, done);
  }
  Submitted remove(ObjectId id, Completion& done) noexcept override { return store_.remove(id, done); }
  Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept override {
    return store_.stat(id, out, done);
  }
  Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept override {
    return store_.list(after, out, capacity, done);
  }
  Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept override {
    return store_.flush(ids, count, done);
  }
  Status space(ObjectSpace* out) noexcept override { return store_.space(out); }
  Submitted lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose, ObjectLoan* out,
                 Completion& done) noexcept override {
    return store_.lend(id, offset, size, purpose, out, done);
  }
  void give_back(ObjectLoan& loan) noexcept override { store_.give_back(loan); }
  Submitted allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override {
    return store_.allocate(id, offset, size, done);
  }
  Submitted find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept override {
    return store_.find_data(id, offset, out, done);
  }

 private:
  struct Step : Completion {
    IndexedObjects* owner = nullptr;
  };
  ~IndexedObjects() = default;

  void advance() noexcept { (this->*next_)(); }
  void start_store() noexcept {
    next_ = &IndexedObjects::end;
    if (!step_.status.ok() || store_.start(step_) == Submitted::finished) end();
  }
  void stop_index() noexcept {
    stored_ = step_.status;
    next_ = &IndexedObjects::end;
    if (index_.stop(step_) == Submitted::finished) end();
  }
  void end() noexcept {
    const Status status = stored_.ok() ? step_.status : stored_;
    runtime_.complete(*outer_, status, 0);
  }

  Runtime& runtime_;
  ObjectStore& store_;
  Instance& index_;
  Step step_;
  Status stored_{};
  Completion* outer_ = nullptr;
  void (IndexedObjects::*next_)() noexcept = nullptr;
};

}  // namespace rideau
