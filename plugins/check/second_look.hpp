// SPDX-License-Identifier: Apache-2.0
// SecondLook: judges what a reading of running servers found. Records that were read at different times do not fit
// together when something changed in between, and mostly that is all. So each finding is looked at again, in durable
// records of one moment, and is real when it is still there and nothing that it rests on has changed since the reading
// began: every change of a name, a count or a layout leaves its transaction in the inodes that it touches.
#pragma once

#include "plugins/check/namespace.hpp"

namespace rideau::check {

class SecondLook {
 public:
  // Everything is lent. `as_of`: every transaction up to it was in the reading.
  SecondLook(const Namespace& names, MetaSource& meta, const std::vector<ObjectSource*>& objects, std::uint64_t as_of)
      : names_(names), meta_(meta), objects_(objects), as_of_(as_of) {}

  Task<Status> judge(std::vector<Finding>& findings);
  std::vector<Finding> take_real() { return std::move(real_); }
  // How many cannot be judged, since they keep changing.
  std::uint64_t unsettled() const noexcept { return unsettled_; }

 private:
  enum class Verdict { real, gone, unsettled };

  static std::vector<std::string> keys_of(const Finding& finding);
  Verdict judge_values(const Finding& finding, const MetaSource::Values& values) const;
  Verdict if_unchanged(fs::InodeId inode, const std::optional<std::string>& value) const;
  Verdict judge_loop(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_entry(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_of_inode(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_inline(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_counters(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_destroy(const Finding& finding, const MetaSource::Values& values) const;
  Verdict judge_object(const Finding& finding, const MetaSource::Values& values) const;
  bool counts_directory(const Finding& finding) const;
  Task<Result<Verdict>> count_directory(const Finding& finding);
  Task<Status> keep_objects_still_there(ObjectSource& source, const std::vector<Finding*>& orphans);

  const Namespace& names_;
  MetaSource& meta_;
  const std::vector<ObjectSource*>& objects_;
  const std::uint64_t as_of_;
  std::vector<Finding> real_;
  std::uint64_t unsettled_ = 0;
};

}  // namespace rideau::check
