// SPDX-License-Identifier: Apache-2.0
// NamespaceStore: records of the namespace, typed, through the pending overlay. Reading never waits. What a damaged
// record hides is an error of the one call that met it.
#pragma once

#include "framework/base/result.hpp"
#include "plugins/fs/records.hpp"
#include "plugins/mds/committer.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::mds {

// An entry of a directory, as far as its key and record tell.
struct FoundEntry {
  fs::Cookie cookie = 0;
  fs::InodeId inode = fs::kNoInode;
  std::uint32_t type = 0;
};

class NamespaceStore {
 public:
  NamespaceStore(Committer& committer, Logger& log) : committer_(committer), log_(log) {}
  void set_hash_seed(std::uint64_t seed) noexcept { hash_seed_ = seed; }

  // Changes that are not durable yet, of the inodes that were read, or found to be gone, since the last call of
  // forget_seen().
  const std::vector<std::uint64_t>& seen() const noexcept { return seen_; }
  void forget_seen() noexcept { seen_.clear(); }

  // With its access control list, if it has one. ESTALE when there is no such inode.
  Status get(fs::InodeId inode, fs::InodeRecord* to);
  // The same for a directory in which a name is looked up: that others added names to it does not count as seen.
  Status get_to_search(fs::InodeId directory, fs::InodeRecord* to);
  // The directory's record, put with this change, has gained a name since `before`, and nothing else has changed.
  void note_growth(fs::InodeId directory, std::uint64_t before, std::uint64_t change);
  // The same for an inode that an entry names: not being there is damage.
  Status get_named(fs::InodeId inode, fs::InodeRecord* to);
  // ENOENT when there is no such name; *free then is the cookie a new entry would get, 0 when none is left.
  Status find_entry(fs::InodeId directory, std::string_view name, FoundEntry* found, fs::Cookie* free);
  // The first entry with a cookie greater than `after`; not_found at the end. `name` is valid until the next call.
  Status next_entry(fs::InodeId directory, fs::Cookie after, FoundEntry* found, std::string_view* name);
  // An access control list that the inode is said to have, by the name of its attribute.
  Result<fs::AccessList> get_list(fs::InodeId inode, std::string_view name);
  Status get_xattr(fs::InodeId inode, std::string_view name, Bytes* value);  // not_found
  // The first attribute whose name is greater than `after` (empty: the first).
  Status next_xattr(fs::InodeId inode, std::string_view after, std::string* name);

  // The bytes of an inline file, a view. EIO where they are not there as the inode's record says.
  Status get_inline(const fs::Inode& inode, Bytes* bytes);

  void put(const fs::InodeRecord& record);
  void erase_inode(fs::InodeId inode, std::uint64_t change);
  void put_entry(fs::InodeId directory, fs::Cookie cookie, std::string_view name, fs::InodeId inode,
                 std::uint32_t type);
  void erase_entry(fs::InodeId directory, fs::Cookie cookie) { committer_.erase(fs::entry_key(directory, cookie)); }
  void put_xattr(fs::InodeId inode, std::string_view name, Bytes value);
  void erase_xattr(fs::InodeId inode, std::string_view name) { committer_.erase(fs::xattr_key(inode, name)); }
  void put_inline(fs::InodeId inode, Bytes bytes);  // none: there is no record
  void put_mark(const fs::Key& key);
  void erase(const fs::Key& key) { committer_.erase(key); }
  template <class Record>
  void put_record(const fs::Key& key, const Record& record) {
    fs::encode(record, key, scratch_);
    committer_.put(key, Bytes(scratch_.data(), scratch_.size()));
  }

  Committer& committer() noexcept { return committer_; }

 private:
  Status damaged(Status status, const char* what, std::uint64_t id);

  Committer& committer_;
  Logger& log_;
  std::uint64_t hash_seed_ = 0;
  fs::RecordBuffer scratch_;
  std::vector<std::uint64_t> seen_;
  // Of directories whose last change only added a name: that change, and the last one of another kind.
  struct Growth {
    std::uint64_t last = 0;
    std::uint64_t other = 0;
  };
  std::map<fs::InodeId, Growth> growths_;
  std::map<fs::InodeId, std::uint64_t> gone_;  // with which change; those that are not durable, and some more
};

}  // namespace rideau::mds
