// SPDX-License-Identifier: Apache-2.0
// When every record was read: what inodes say of themselves against what was counted.
#include "plugins/check/namespace.hpp"

#include <algorithm>

namespace rideau::check {

using namespace fs;

void Namespace::end() {
  if (!superblock_read) {
    if (findings.empty()) add(Kind::damaged_superblock, "there is no superblock");
    return;
  }
  if (find(kRootInode) == nullptr) add(Kind::missing_root, "the root directory is not there").inode = kRootInode;
  for (InodeInfo& inode : inodes_) judge_inode(inode);
  judge_back_links();
  judge_reach();
  judge_counters();
}

void Namespace::judge_inode(InodeInfo& inode) {
  const std::string who = (inode.is_directory() ? "directory " : "inode ") + std::to_string(inode.id);
  const auto note = [&](Kind kind, const std::string& text) { add(kind, who + " " + text).inode = inode.id; };
  const bool root = inode.id == kRootInode;
  if (inode.is_directory() && inode.size != inode.entries) {
    note(Kind::wrong_entry_count,
         "says " + std::to_string(inode.size) + " entries and has " + std::to_string(inode.entries));
  }
  if (inode.xattrs != inode.xattr_count) {
    note(Kind::wrong_attribute_count,
         "says " + std::to_string(inode.xattr_count) + " extended attributes and has " + std::to_string(inode.xattrs));
  }
  if (inode.is_inline && inode.size != inode.inline_bytes) {
    note(Kind::wrong_inline_size,
         "says " + std::to_string(inode.size) + " bytes and has " + std::to_string(inode.inline_bytes) + " beside it");
  }
  if (inode.lists != inode.lists_said) {
    const bool missing = (inode.lists_said & ~inode.lists) != 0;
    note(Kind::wrong_access_list, missing ? "says that it has an access control list and has none"
                                          : "has an access control list and does not say so");
  }
  if (inode.names == 0 && !root) {
    if (inode.link_count != 0) {
      note(Kind::no_name, "has no name");
    } else if (!inode.open_unlinked) {
      note(Kind::forgotten, "was unlinked and nobody would purge it");
    }
    return;
  }
  const std::uint32_t links = inode.is_directory() ? 2 + inode.subdirectories : inode.names;
  if (inode.link_count != links) {
    note(Kind::wrong_link_count,
         "says " + std::to_string(inode.link_count) + " links and has " + std::to_string(links));
  }
  const bool first_known = inode.link_parent != kNoInode;
  if (!root && !inode.first_name_seen && (first_known || inode.is_directory())) {
    note(Kind::wrong_first_name, "says that it has a name where it has none");
  }
}

// Both lists in one order: what only one of them has is wrong.
void Namespace::judge_back_links() {
  std::sort(other_names_.begin(), other_names_.end());
  std::sort(back_links_.begin(), back_links_.end());
  std::vector<Name> wrong;
  const auto note = [&](Kind kind, const char* text) {
    for (const Name& name : wrong) {
      Finding& finding = add(kind, "inode " + std::to_string(name.inode) + text + std::to_string(name.directory));
      finding.key = std::string(Bytes(back_link_key(name.inode, name.directory, name.cookie)).view());
      finding.inode = name.inode;
      finding.directory = name.directory;
      finding.cookie = name.cookie;
    }
    wrong.clear();
  };
  std::set_difference(other_names_.begin(), other_names_.end(), back_links_.begin(), back_links_.end(),
                      std::back_inserter(wrong));
  note(Kind::missing_back_link, " has no back link of its name in directory ");
  std::set_difference(back_links_.begin(), back_links_.end(), other_names_.begin(), other_names_.end(),
                      std::back_inserter(wrong));
  note(Kind::stray_back_link, " has a back link of a name that is not there, in directory ");
}

// Up from every directory until something known. One that is met again on the way up lies in a loop.
void Namespace::judge_reach() {
  std::set<InodeId> told;
  if (InodeInfo* root = find(kRootInode); root != nullptr) root->reaches_root = true;
  std::vector<InodeInfo*> way;
  for (InodeInfo& inode : inodes_) {
    if (!inode.is_directory() || inode.reaches_root) continue;
    way.clear();
    InodeInfo* at = &inode;
    while (at != nullptr && !at->reaches_root && std::find(way.begin(), way.end(), at) == way.end()) {
      way.push_back(at);
      at = at->named_in != kNoInode ? find(at->named_in) : nullptr;
    }
    const bool reaches = at != nullptr && at->reaches_root;
    for (InodeInfo* one : way) one->reaches_root = reaches;
    if (at == nullptr || reaches) continue;
    // From `at` on the way is the loop.
    const auto begin = std::find(way.begin(), way.end(), at);
    const InodeInfo* least = *std::min_element(begin, way.end(), [](auto* a, auto* b) { return a->id < b->id; });
    if (!told.insert(least->id).second) continue;
    Finding& finding = add(Kind::loop, "directory " + std::to_string(least->id) + " lies in itself, " +
                                           std::to_string(way.end() - begin) + " directories up");
    finding.inode = least->id;
    finding.directory = least->named_in;
    finding.cookie = least->named_cookie;
    for (auto one = begin; one != way.end(); ++one) finding.loop.push_back((*one)->id);
    finding.key = std::string(Bytes(entry_key(least->named_in, least->named_cookie)).view());
  }
}

void Namespace::judge_counters() {
  if (!counters_read) {
    const bool told = std::any_of(findings.begin(), findings.end(),
                                  [](const Finding& one) { return one.kind == Kind::damaged_counters; });
    if (!told) add(Kind::damaged_counters, "there are no counters").key = Bytes(counters_key()).view();
  } else if (counters.inodes != inode_count || counters.entries != entry_count || counters.transaction < change_max) {
    add(Kind::wrong_counters, "the target says " + std::to_string(counters.inodes) + " inodes and " +
                                  std::to_string(counters.entries) + " entries at transaction " +
                                  std::to_string(counters.transaction) + ", and has " + std::to_string(inode_count) +
                                  " and " + std::to_string(entry_count) + " at " + std::to_string(change_max));
  }
  if (counter_max >= superblock.counter_reserved) {
    add(Kind::unsafe_numbers, "inode number " + std::to_string(counter_max) + " is in use and not reserved");
  }
}

}  // namespace rideau::check
