// SPDX-License-Identifier: Apache-2.0
// ModelNames: what POSIX says about names, in as few lines as possible. It takes a call together with what it answered
// and says whether that answer is right in this state; a right one changes the state. Where several errors apply, each
// is right.
#pragma once

#include "tests/sim/history.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace rideau::sim {

class ModelNames {
 public:
  // A directory that is there from the begin and is never removed.
  void add_directory(fs::InodeId inode);
  bool apply(const NameOp& op);
  // A call of which nobody knows whether it was carried out: as if it was, here. False: it could not be, or it changes
  // nothing.
  bool apply_unknown(const NameOp& op);
  std::uint64_t hash() const;
  std::string to_text() const;

 private:
  struct Node {
    std::uint32_t type = 0;
    std::uint32_t links = 0;            // names of it; of directories 1, and 0 once removed
    fs::InodeId parent = fs::kNoInode;  // of directories
    std::string target;                 // of symbolic links
    std::map<std::string, fs::InodeId> children;
  };

  const Node* alive_directory(fs::InodeId inode) const;
  fs::InodeId child(fs::InodeId directory, const std::string& name) const;
  std::uint32_t link_count(const Node& node) const;
  bool inside(fs::InodeId inode, fs::InodeId ancestor) const;
  // A call tells the number of an inode that was made by a call without an answer.
  void learn(fs::InodeId directory, const std::string& name, fs::InodeId inode);
  void drop_name(fs::InodeId directory, const std::string& name);
  bool make(const NameOp& op, std::uint32_t type);
  bool create_or_open(const NameOp& op);
  bool link(const NameOp& op);
  bool remove(const NameOp& op, bool directory);
  bool rename(const NameOp& op);
  bool list(const NameOp& op) const;
  bool attributes(const NameOp& op) const;

  std::map<fs::InodeId, Node> nodes_;
};

}  // namespace rideau::sim
