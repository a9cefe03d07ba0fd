// SPDX-License-Identifier: Apache-2.0
// An IndexStore in its smallest honest form: all entries in memory, and a file with all of them that is written anew
// for every durable commit. Slow, but correct: it passes the conformance suite of its interface.
#pragma once

#include "image.hpp"

#include <rideau/sdk.hpp>

#include <memory>
#include <string>
#include <vector>

namespace minimal {

struct Options {
  std::string path;
  std::uint64_t bytes_max = 0;
};

// One snapshot: shares the entries with the store until the store changes them.
class MinimalSnapshot final : public rideau::Snapshot {
 public:
  explicit MinimalSnapshot(std::shared_ptr<const Entries> entries)
      : entries_(std::move(entries)), at_(entries_->end()) {}

  rideau::Status get(rideau::Bytes key, rideau::Bytes* value) noexcept override;
  rideau::Status seek(rideau::Bytes key, rideau::Bytes* found, rideau::Bytes* value) noexcept override;
  rideau::Status next(rideau::Bytes* found, rideau::Bytes* value) noexcept override;
  void release() noexcept override { delete this; }

 private:
  rideau::Status answer(rideau::Bytes* found, rideau::Bytes* value) const noexcept;

  std::shared_ptr<const Entries> entries_;
  Entries::const_iterator at_;
};

class MinimalIndexStore final : public rideau::IndexStore {
 public:
  MinimalIndexStore(rideau::Host& host, Options options)
      : host_(host), options_(std::move(options)), entries_(std::make_shared<Entries>()) {}

  rideau::Submitted start(rideau::Completion& done) noexcept override;
  rideau::Submitted stop(rideau::Completion& done) noexcept override;
  // A request, not an order: a write of this store ends soon anyway, so its completion simply arrives.
  void cancel(rideau::Completion&) noexcept override {}
  void destroy() noexcept override { delete this; }
  ~MinimalIndexStore();

  rideau::IndexLimits limits() const noexcept override;
  rideau::Status snapshot(rideau::Snapshot** out) noexcept override;
  rideau::Submitted commit(rideau::IndexBatch* batches, std::uint32_t count, rideau::Durability durability,
                           rideau::Completion& done) noexcept override;
  rideau::Status space(rideau::IndexSpace* out) noexcept override;

 private:
  struct Disk;      // a blocking job: read or write the file
  struct Waiting {  // a durable commit, until the file holds its sequence
    rideau::Completion* done;
    std::uint64_t sequence;
  };

  void loaded(Disk& disk) noexcept;
  void write_if_needed() noexcept;
  void written(Disk& disk) noexcept;
  rideau::Status judge(const rideau::IndexBatch* batches, std::uint32_t count) const noexcept;
  rideau::Status apply(const rideau::IndexBatch& batch) noexcept;
  Entries& entries_to_change();
  void complain(const char* what);
  void unlock();

  rideau::Host& host_;
  Options options_;
  std::shared_ptr<Entries> entries_;
  std::uint64_t bytes_used_ = 0;  // of keys and values
  std::uint64_t sequence_ = 0;    // the last that was applied
  std::uint64_t durable_ = 0;     // the last that the file holds
  std::vector<Waiting> waiting_;
  int lock_ = -1;         // held while the index is ours
  bool running_ = false;  // between start and stop
  rideau::Completion* starting_ = nullptr;
  rideau::Completion* stopping_ = nullptr;
  Disk* disk_ = nullptr;     // the job that is under way, if any
  rideau::Status failed_{};  // after a failed write nothing is promised any more
};

}  // namespace minimal
