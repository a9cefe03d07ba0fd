// SPDX-License-Identifier: Apache-2.0
// All records of a metadata target, read once in key order and held against each other. Keeps about 100 bytes an inode.
#pragma once

#include "plugins/check/findings.hpp"
#include "plugins/check/sources.hpp"
#include "plugins/fs/records.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::check {

struct InodeInfo {
  fs::InodeId id = fs::kNoInode;
  // Of the record.
  std::uint32_t mode = 0;
  std::uint32_t link_count = 0;
  std::uint64_t size = 0;
  fs::InodeId link_parent = fs::kNoInode;
  fs::Cookie link_cookie = 0;
  std::uint32_t xattr_count = 0;
  std::uint32_t lists_said = 0;  // kAccessList, kDefaultList
  std::uint32_t layout = 0;      // index into Namespace::layouts
  std::uint32_t layout_generation = 0;
  bool is_inline = false;
  // Counted.
  std::uint32_t names = 0;
  std::uint32_t subdirectories = 0;
  std::uint64_t entries = 0;
  std::uint32_t xattrs = 0;
  std::uint64_t inline_bytes = 0;
  std::uint32_t lists = 0;  // kAccessList, kDefaultList: those that are there
  bool first_name_seen = false;
  bool open_unlinked = false;
  bool reaches_root = false;
  // Of a directory: its entry.
  fs::InodeId named_in = fs::kNoInode;
  fs::Cookie named_cookie = 0;

  bool is_directory() const noexcept { return (mode & S_IFMT) == S_IFDIR; }
};

constexpr std::uint32_t kLists = fs::kAccessList | fs::kDefaultList;

class Namespace {
 public:
  // Records arrive in key order, each once; then end().
  void take(const std::string& key, const std::string& value);
  void end();

  const InodeInfo* find(fs::InodeId inode) const noexcept { return const_cast<Namespace*>(this)->find(inode); }
  InodeInfo* find(fs::InodeId inode) noexcept;
  // Whether a file, or what is still to be destroyed of one, has this object on this target. What a crash left of files
  // whose making was lost is destroyed by the next start, and no damage.
  bool owns(fs::TargetId target, ObjectId object) const;
  // The targets of the layouts that there are.
  std::set<fs::TargetId> targets() const;

  fs::Superblock superblock;
  fs::Counters counters;
  bool superblock_read = false;
  bool counters_read = false;
  std::uint64_t inode_count = 0;
  std::uint64_t entry_count = 0;
  std::uint64_t counter_max = 0;  // of inode numbers in use of the target's sequence
  std::uint64_t change_max = 0;   // transactions
  std::vector<Finding> findings;

 private:
  struct Name {
    fs::InodeId inode;
    fs::InodeId directory;
    fs::Cookie cookie;
    auto operator<=>(const Name&) const = default;
  };

  Finding& add(Kind kind, std::string text);
  void add_damaged(Kind kind, const std::string& key, Status why);
  void take_inode(const std::string& key, Bytes value);
  void take_entry(const std::string& key, Bytes value);
  void take_directory_name(InodeInfo& directory, InodeInfo& child, fs::Cookie cookie, const std::string& key);
  bool is_repeated(fs::InodeId directory, fs::Cookie cookie, std::string_view name);
  void take_xattr(const std::string& key, Bytes value);
  void take_inline(const std::string& key, Bytes value);
  void take_back_link(const std::string& key, Bytes value);
  void take_open_mark(const std::string& key, Bytes value);
  void take_destroy(const std::string& key, Bytes value);
  template <class Record>
  void take_plain(const std::string& key, Bytes value);
  bool is_lost_create(fs::InodeId inode) const;
  void judge_inode(InodeInfo& inode);
  void judge_back_links();
  void judge_reach();
  void judge_counters();

  std::vector<InodeInfo> inodes_;  // by id
  std::set<fs::InodeId> unknown_;  // there, and made by a newer version
  std::vector<Name> other_names_;  // of inodes that are no directories, the first ones apart
  std::vector<Name> back_links_;
  std::map<std::vector<fs::TargetId>, std::uint32_t> layout_numbers_;
  std::vector<std::vector<fs::TargetId>> layouts_;
  std::map<std::pair<fs::InodeId, std::uint32_t>, std::vector<fs::TargetId>> destroys_;
  // The entries of the last directory with one hash.
  fs::InodeId bucket_directory_ = fs::kNoInode;
  std::uint64_t bucket_hash_ = 0;
  std::set<std::string> bucket_names_;
};

}  // namespace rideau::check
