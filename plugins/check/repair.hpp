// SPDX-License-Identifier: Apache-2.0
// Mends what one reading of the records found. What follows from that (counts that change when a name goes) shows at
// the next reading and is mended then.
#pragma once

#include "plugins/check/namespace.hpp"

namespace rideau::check {

class Repair {
 public:
  // Everything is lent. `now_ns`: for inodes that are made.
  Repair(Namespace& names, MetaSource& meta, std::int64_t now_ns) : names_(names), meta_(meta), now_ns_(now_ns) {}

  // Findings that are not mendable, and orphan objects, are passed over.
  Task<Status> mend(const std::vector<Finding>& findings);

 private:
  Task<Status> mend_one(const Finding& finding);
  Task<Status> mend_inode(const Finding& finding, const InodeInfo& info);
  Task<Status> retype(const Finding& finding);
  Task<Status> move(const Finding& finding);
  Task<Status> attach(fs::InodeId inode);
  Task<Status> find_lost_and_found();
  void count_anew();
  void make_root();
  void put_superblock();
  // As it will be after the edits so far.
  Task<Result<std::optional<std::string>>> get(const std::string& key);
  Task<Result<fs::InodeRecord*>> record(fs::InodeId inode);
  // Where an entry of this name can lie; *taken: the name is there already.
  Task<Result<fs::Cookie>> free_place(fs::InodeId directory, const std::string& name, fs::InodeId* taken);
  template <class Record>
  void put(const fs::Key& key, const Record& record);

  Namespace& names_;
  MetaSource& meta_;
  const std::int64_t now_ns_;
  Edits edits_;
  std::map<fs::InodeId, fs::InodeRecord> records_;  // changed
  fs::InodeId lost_and_found_ = fs::kNoInode;
};

}  // namespace rideau::check
