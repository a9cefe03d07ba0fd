// SPDX-License-Identifier: Apache-2.0
// What the check found: each kind of damage with what is done about it.
#pragma once

#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace rideau::check {

enum class Kind : std::uint32_t {
  damaged_superblock,     // not mended: nothing else of the target can be judged without it
  damaged_counters,       // counted anew
  damaged_inode,          // goes, and with it its names and objects: without the layout its bytes are in no order
  damaged_record,         // any other record that cannot be read: it goes
  unknown_record,         // of a kind or version that this program does not know: then nothing is mended
  missing_root,           // made anew
  stray_entry,            // in a directory that is not there: goes
  dangling_entry,         // of an inode that is not there: goes
  wrong_entry_type,       // set to the inode's
  misplaced_entry,        // where no lookup finds it: moved
  repeated_entry,         // a second entry of a name: goes
  second_name,            // of a directory: goes
  wrong_first_name,       // of an inode, in its record: set
  missing_back_link,      // made
  stray_back_link,        // goes
  wrong_link_count,       // set
  wrong_entry_count,      // of a directory: set
  no_name,                // an inode that no directory names: into lost+found
  forgotten,              // an unlinked inode that nobody would purge: marked, so that the next start purges it
  loop,                   // directories that name each other and hang on nothing: one of them into lost+found
  stray_open_mark,        // goes
  stray_attribute,        // of an inode that is not there: goes
  wrong_attribute_count,  // set
  wrong_access_list,      // an inode that is said to have a list and has none, or the other way round: said as it is
  stray_inline_bytes,     // of an inode that is not there or has its bytes in objects: go
  wrong_inline_size,      // of an inode whose bytes lie beside it: set to how many there are
  wrong_counters,         // set
  unsafe_numbers,         // inode numbers that could be given again: reserved
  destroy_of_living,      // a record that would cost a file its objects: goes
  orphan_object,          // destroyed
  unknown_target,         // a layout on a target that the cluster does not have: left alone
};

const char* kind_name(Kind kind) noexcept;  // "dangling-entry"
bool is_mendable(Kind kind) noexcept;

struct Finding {
  Kind kind = Kind::damaged_record;
  std::string text;  // for people
  std::string key;   // of the record it is about
  fs::InodeId inode = fs::kNoInode;
  fs::InodeId directory = fs::kNoInode;
  fs::Cookie cookie = 0;
  fs::TargetId target = 0;
  ObjectId object{};
  std::vector<fs::InodeId> loop;  // the directories of one
  bool mended = false;

  // Equal when the same damage is met again.
  auto identity() const {
    return std::make_tuple(kind, inode, directory, cookie, target, object.high, object.low, key);
  }
};

struct Report {
  std::vector<Finding> findings;
  std::uint64_t inodes = 0;
  std::uint64_t entries = 0;
  std::uint64_t objects = 0;
  std::uint32_t passes = 0;
  // Of running servers: what looked wrong and could not be judged, since it changed each time it was read.
  std::uint64_t unsettled = 0;

  bool clean() const noexcept { return findings.empty(); }
  std::size_t left() const noexcept {
    std::size_t count = 0;
    for (const Finding& finding : findings) count += finding.mended ? 0 : 1;
    return count;
  }
};

}  // namespace rideau::check
