// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/method_names.hpp"

#include "plugins/fs/meta_calls.hpp"
#include "plugins/fs/object_calls.hpp"

namespace rideau::fs {

const char* meta_method_name(std::uint16_t method) noexcept {
  switch (static_cast<MetaMethod>(method)) {
    case MetaMethod::lookup:
      return "lookup";
    case MetaMethod::get_attributes:
      return "get_attributes";
    case MetaMethod::set_attributes:
      return "set_attributes";
    case MetaMethod::make:
      return "make";
    case MetaMethod::open:
      return "open";
    case MetaMethod::close:
      return "close";
    case MetaMethod::read_link:
      return "read_link";
    case MetaMethod::link:
      return "link";
    case MetaMethod::remove:
      return "remove";
    case MetaMethod::rename:
      return "rename";
    case MetaMethod::read_directory:
      return "read_directory";
    case MetaMethod::get_attribute:
      return "get_attribute";
    case MetaMethod::set_attribute:
      return "set_attribute";
    case MetaMethod::list_attributes:
      return "list_attributes";
    case MetaMethod::remove_attribute:
      return "remove_attribute";
    case MetaMethod::stat_file_system:
      return "stat_file_system";
    case MetaMethod::sync:
      return "sync";
    case MetaMethod::lock:
      return "lock";
    case MetaMethod::unlock:
      return "unlock";
    case MetaMethod::scan_records:
      return "scan_records";
    case MetaMethod::get_records:
      return "get_records";
    case MetaMethod::set_advisory_lock:
      return "set_advisory_lock";
    case MetaMethod::test_advisory_lock:
      return "test_advisory_lock";
    case MetaMethod::cancel_advisory_lock:
      return "cancel_advisory_lock";
    case MetaMethod::reclaim:
      return "reclaim";
    case MetaMethod::read_inline:
      return "read_inline";
    case MetaMethod::lock_extent:
      return "lock_extent";
  }
  return nullptr;
}

const char* object_method_name(std::uint16_t method) noexcept {
  switch (static_cast<ObjectMethod>(method)) {
    case ObjectMethod::read:
      return "read";
    case ObjectMethod::write:
      return "write";
    case ObjectMethod::truncate:
      return "truncate";
    case ObjectMethod::punch:
      return "punch";
    case ObjectMethod::stat:
      return "stat";
    case ObjectMethod::sync:
      return "sync";
    case ObjectMethod::destroy:
      return "destroy";
    case ObjectMethod::list:
      return "list";
    case ObjectMethod::allocate:
      return "allocate";
    case ObjectMethod::find_data:
      return "find_data";
    case ObjectMethod::fence:
      return "fence";
    case ObjectMethod::verify:
      return "verify";
    case ObjectMethod::stat_file_system:
      return "stat_file_system";
  }
  return nullptr;
}

}  // namespace rideau::fs
