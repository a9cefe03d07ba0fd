// SPDX-License-Identifier: Apache-2.0
// A whole ObjectStore in as little code as the contract allows: each call is one job with blocking system calls.
#pragma once

#include "folder.hpp"
#include "work.hpp"

#include <rideau/abi.hpp>
#include <rideau/object_store.hpp>

#include <memory>
#include <string>

namespace minimal {

class MinimalObjectStore final : public rideau::ObjectStore {
 public:
  MinimalObjectStore(rideau::Host& host, std::string path) : host_(host), path_(std::move(path)) {}
  ~MinimalObjectStore() { Work::abandon_all(&works_); }

  rideau::Submitted start(rideau::Completion& done) noexcept override;
  rideau::Submitted stop(rideau::Completion& done) noexcept override;
  // A request, not an order: every call of this store ends soon anyway.
  void cancel(rideau::Completion&) noexcept override {}
  void destroy() noexcept override { delete this; }

  rideau::ObjectLimits limits() const noexcept override;
  rideau::Submitted read(rideau::ObjectId id, std::uint64_t offset, const rideau::IoVec* parts,
                         std::uint32_t part_count, rideau::Completion& done) noexcept override;
  rideau::Submitted write(rideau::ObjectId id, std::uint64_t offset, const rideau::IoVec* parts,
                          std::uint32_t part_count, rideau::Completion& done) noexcept override;
  rideau::Submitted truncate(rideau::ObjectId id, std::uint64_t size, rideau::Completion& done) noexcept override;
  rideau::Submitted remove(rideau::ObjectId id, rideau::Completion& done) noexcept override;
  rideau::Submitted stat(rideau::ObjectId id, rideau::ObjectStat* out, rideau::Completion& done) noexcept override;
  rideau::Submitted list(const rideau::ObjectId* after, rideau::ObjectId* out, std::uint32_t capacity,
                         rideau::Completion& done) noexcept override;
  rideau::Submitted flush(const rideau::ObjectId* ids, std::uint32_t count, rideau::Completion& done) noexcept override;
  rideau::Status space(rideau::ObjectSpace* out) noexcept override;

  // Capabilities that the descriptor does not declare.
  rideau::Submitted punch(rideau::ObjectId, std::uint64_t, std::uint64_t, rideau::Completion& done) noexcept override;
  rideau::Submitted lend(rideau::ObjectId, std::uint64_t, std::uint64_t, rideau::Purpose, rideau::ObjectLoan*,
                         rideau::Completion& done) noexcept override;
  void give_back(rideau::ObjectLoan&) noexcept override {}
  rideau::Submitted allocate(rideau::ObjectId, std::uint64_t, std::uint64_t,
                             rideau::Completion& done) noexcept override;
  rideau::Submitted find_data(rideau::ObjectId, std::uint64_t, rideau::ObjectExtent*,
                              rideau::Completion& done) noexcept override;

 private:
  rideau::Submitted begin(rideau::Completion& done, Work::Body body, Work::After before_the_answer = nullptr);
  rideau::Status judge(const rideau::IoVec* parts, std::uint32_t part_count, std::uint64_t offset, bool writes) const;
  void ended();

  rideau::Host& host_;
  const std::string path_;
  std::shared_ptr<Folder> folder_;  // also of jobs
  Work* works_ = nullptr;
  std::uint32_t pending_ = 0;
  bool running_ = false;  // between start and stop
  rideau::Completion* stopping_ = nullptr;
};

}  // namespace minimal
