// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/findings.hpp"

namespace rideau::check {

const char* kind_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::damaged_superblock:
      return "damaged-superblock";
    case Kind::damaged_counters:
      return "damaged-counters";
    case Kind::damaged_inode:
      return "damaged-inode";
    case Kind::damaged_record:
      return "damaged-record";
    case Kind::unknown_record:
      return "unknown-record";
    case Kind::missing_root:
      return "missing-root";
    case Kind::stray_entry:
      return "stray-entry";
    case Kind::dangling_entry:
      return "dangling-entry";
    case Kind::wrong_entry_type:
      return "wrong-entry-type";
    case Kind::misplaced_entry:
      return "misplaced-entry";
    case Kind::repeated_entry:
      return "repeated-entry";
    case Kind::second_name:
      return "second-name";
    case Kind::wrong_first_name:
      return "wrong-first-name";
    case Kind::missing_back_link:
      return "missing-back-link";
    case Kind::stray_back_link:
      return "stray-back-link";
    case Kind::wrong_link_count:
      return "wrong-link-count";
    case Kind::wrong_entry_count:
      return "wrong-entry-count";
    case Kind::no_name:
      return "no-name";
    case Kind::forgotten:
      return "forgotten";
    case Kind::loop:
      return "loop";
    case Kind::stray_open_mark:
      return "stray-open-mark";
    case Kind::stray_attribute:
      return "stray-attribute";
    case Kind::wrong_attribute_count:
      return "wrong-attribute-count";
    case Kind::wrong_access_list:
      return "wrong-access-list";
    case Kind::stray_inline_bytes:
      return "stray-inline-bytes";
    case Kind::wrong_inline_size:
      return "wrong-inline-size";
    case Kind::wrong_counters:
      return "wrong-counters";
    case Kind::unsafe_numbers:
      return "unsafe-numbers";
    case Kind::destroy_of_living:
      return "destroy-of-living";
    case Kind::orphan_object:
      return "orphan-object";
    case Kind::unknown_target:
      return "unknown-target";
  }
  return "unknown";
}

bool is_mendable(Kind kind) noexcept {
  switch (kind) {
    case Kind::damaged_superblock:
    case Kind::unknown_record:
    case Kind::unknown_target:
      return false;
    default:
      return true;
  }
}

}  // namespace rideau::check
