// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/checker.hpp"

#include "plugins/check/namespace.hpp"
#include "plugins/check/repair.hpp"
#include "plugins/check/second_look.hpp"

#include <algorithm>

namespace rideau::check {

using namespace fs;

namespace {

// Mending shows further damage only where records hang on each other: each pass ends at least one such step.
constexpr std::uint32_t kPassesMax = 10;
constexpr std::uint32_t kLivePassesMax = 3;
constexpr std::uint64_t kProgressEvery = 10'000;
constexpr std::size_t kDestroyedAtOnce = 1000;

class Check {
 public:
  Check(MetaSource& meta, const std::vector<ObjectSource*>& objects, const CheckOptions& options, Report& report)
      : meta_(meta), objects_(objects), options_(options), report_(report) {}

  Task<Status> run() {
    if (options_.live) co_return co_await run_live();
    Status status = co_await read_all();
    if (status.ok()) note();
    while (status.ok() && options_.repair && can_mend() && report_.passes < kPassesMax) {
      status = co_await mend();
      if (status.ok()) status = co_await read_all();
      if (status.ok()) note();
    }
    co_return status;
  }

 private:
  // What cannot be judged because it changes is read again, a few times.
  Task<Status> run_live() {
    for (std::uint32_t pass = 0; pass < kLivePassesMax; ++pass) {
      Status status = co_await read_all();
      if (!status.ok()) co_return status;
      SecondLook look(*names_, meta_, objects_, as_of_);
      status = co_await look.judge(findings_);
      if (!status.ok()) co_return status;
      findings_ = look.take_real();
      add_new();
      report_.unsettled = look.unsettled();
      if (report_.unsettled == 0) break;
    }
    co_return kOk;
  }

  void tell(const char* what, std::uint64_t count) {
    if (options_.progress) options_.progress(what, count);
  }

  Task<Status> read_all() {
    ++report_.passes;
    names_.emplace();
    Status status = co_await read_names();
    if (!status.ok()) co_return status;
    findings_ = std::move(names_->findings);
    report_.inodes = names_->inode_count;
    report_.entries = names_->entry_count;
    if (!names_->superblock_read) co_return kOk;  // then nobody can say whose an object is
    report_.objects = 0;
    std::set<TargetId> known;
    for (ObjectSource* source : objects_) {
      known.insert(source->target());
      status = co_await read_objects(*source);
      if (!status.ok()) co_return status;
    }
    for (const TargetId target : names_->targets()) {
      if (known.contains(target)) continue;
      Finding& finding = findings_.emplace_back();
      finding.kind = Kind::unknown_target;
      finding.text =
          "files have bytes on object target " + std::to_string(target) + ", which the cluster does not have";
      finding.target = target;
    }
    co_return kOk;
  }

  Task<Status> read_names() {
    Status status = co_await meta_.begin();
    if (!status.ok()) co_return status;
    as_of_ = meta_.transaction();
    std::string after;
    std::uint64_t count = 0;
    for (;;) {
      auto records = co_await meta_.next(after);
      if (!records.ok()) co_return records.status();
      if (records->empty()) break;
      for (const auto& [key, value] : *records) {
        names_->take(key, value);
        if (key.size() == 1 && key[0] == static_cast<char>(KeyKind::superblock)) {
          status = judge_identity();
          if (!status.ok()) co_return status;
        }
        if (++count % kProgressEvery == 0) tell("records", count);
      }
      after = records->back().first;
    }
    names_->end();
    tell("records", count);
    co_return kOk;
  }

  Status judge_identity() const {
    if (!names_->superblock_read) {
      const bool newer = !names_->findings.empty() && names_->findings.back().kind == Kind::unknown_record;
      return newer ? Status{Code::refused, 0, "made by a newer version of Rideau"} : kOk;
    }
    if (names_->superblock.cluster != options_.cluster || names_->superblock.target != options_.target) {
      return {Code::refused, 0, "index of another cluster or target"};
    }
    return kOk;
  }

  Task<Status> read_objects(ObjectSource& source) {
    std::optional<ObjectId> after;
    std::uint64_t count = 0;
    for (;;) {
      auto found = co_await source.next(after);
      if (!found.ok()) co_return found.status();
      if (found->empty()) break;
      for (const ObjectId& object : *found) {
        ++report_.objects;
        if (++count % kProgressEvery == 0) tell("objects", count);
        if (!names_->owns(source.target(), object)) add_orphan(source.target(), object);
      }
      after = found->back();
    }
    tell("objects", count);
    co_return kOk;
  }

  void add_orphan(TargetId target, ObjectId object) {
    Finding& finding = findings_.emplace_back();
    finding.kind = Kind::orphan_object;
    finding.text = "object " + std::to_string(stripe_index_of(object)) + " of layout " +
                   std::to_string(generation_of(object)) + " of inode " + std::to_string(owner_of(object)) +
                   " on target " + std::to_string(target) + " belongs to no file";
    finding.inode = owner_of(object);
    finding.target = target;
    finding.object = object;
  }

  static auto identities(const std::vector<Finding>& findings) {
    std::set<decltype(findings.front().identity())> all;
    for (const Finding& finding : findings) all.insert(finding.identity());
    return all;
  }

  // What is still found is not mended; what is not any more is.
  void note() {
    const auto found = identities(findings_);
    for (Finding& one : report_.findings) one.mended = !found.contains(one.identity());
    add_new();
  }

  void add_new() {
    const auto known = identities(report_.findings);
    for (const Finding& finding : findings_) {
      if (!known.contains(finding.identity())) report_.findings.push_back(finding);
    }
  }

  bool can_mend() const {
    bool any = false;
    for (const Finding& finding : findings_) {
      if (finding.kind == Kind::unknown_record || finding.kind == Kind::damaged_superblock) return false;
      any = any || is_mendable(finding.kind);
    }
    return any;
  }

  Task<Status> mend() {
    Repair repair(*names_, meta_, options_.now_ns);
    Status status = co_await repair.mend(findings_);
    for (ObjectSource* source : objects_) {
      std::vector<ObjectId> orphans;
      for (const Finding& finding : findings_) {
        if (finding.kind == Kind::orphan_object && finding.target == source->target())
          orphans.push_back(finding.object);
      }
      for (std::size_t at = 0; at < orphans.size() && status.ok(); at += kDestroyedAtOnce) {
        const std::size_t end = std::min(orphans.size(), at + kDestroyedAtOnce);
        const std::vector<ObjectId> part(orphans.begin() + static_cast<std::ptrdiff_t>(at),
                                         orphans.begin() + static_cast<std::ptrdiff_t>(end));
        status = co_await source->destroy(part);
      }
    }
    co_return status;
  }

  MetaSource& meta_;
  const std::vector<ObjectSource*>& objects_;
  const CheckOptions& options_;
  Report& report_;
  std::optional<Namespace> names_;
  std::uint64_t as_of_ = 0;        // the last reading holds every transaction up to it
  std::vector<Finding> findings_;  // of the last reading
};

}  // namespace

Task<Status> check(MetaSource& meta, const std::vector<ObjectSource*>& objects, const CheckOptions& options,
                   Report* report) {
  Check running(meta, objects, options, *report);
  co_return co_await running.run();
}

}  // namespace rideau::check
