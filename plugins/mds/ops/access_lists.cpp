// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/ops/access_lists.hpp"

#include "plugins/mds/ops/checks.hpp"

#include <cerrno>
#include <memory>
#include <utility>

namespace rideau::mds {

using namespace fs;

namespace {

Status check_may_set(const Caller& caller, const Inode& inode, std::string_view name, bool removes) {
  if (inode.is_symlink()) return posix_error(EOPNOTSUPP);
  if (name == kDefaultListXattr && !inode.is_directory() && !removes) return posix_error(EACCES);
  return check_owner(caller, inode);
}

std::uint32_t flag_of(std::string_view name) { return name == kAccessListXattr ? kAccessList : kDefaultList; }

void keep(Target& target, std::string_view name, std::string_view value, InodeRecord* record) {
  if ((record->inode.flags & flag_of(name)) == 0) ++record->xattr_count;
  record->inode.flags |= flag_of(name);
  target.names.put_xattr(record->inode.id, name, Bytes(value));
}

void erase(Target& target, std::string_view name, InodeRecord* record) {
  if ((record->inode.flags & flag_of(name)) == 0) return;
  if (record->xattr_count != 0) --record->xattr_count;
  record->inode.flags &= ~flag_of(name);
  target.names.erase_xattr(record->inode.id, name);
}

// What an access list does to the mode: it shows the list, and an owner outside the file's group cannot keep its
// set-group-id bit.
Status choose_mode(const Caller& caller, const AccessList& list, Inode* inode) {
  inode->mode = mode_of(list, inode->mode);
  if ((inode->mode & S_ISGID) == 0 || caller.is_root()) return kOk;
  const Status member = check_in_group(caller, inode->gid);
  if (groups_wanted(member)) return member;
  if (!member.ok()) inode->mode &= ~static_cast<std::uint32_t>(S_ISGID);
  return kOk;
}

}  // namespace

Status set_access_list(Target& target, Transaction& transaction, const SetAttributeRequest& request,
                       InodeRecord& record) {
  Result<AccessList> parsed = parse_access_list(request.value);
  if (!parsed.ok()) return parsed.status();
  if (parsed->empty()) return remove_access_list(target, transaction, request.caller, request.name, record);
  Inode& inode = record.inode;
  if (const Status status = check_may_set(request.caller, inode, request.name, false); !status.ok()) return status;
  if (const Status status = check_access_list(*parsed); !status.ok()) return status;
  const bool decides = request.name == kAccessListXattr;
  const std::uint32_t old_mode = inode.mode;
  if (decides) {
    if (const Status status = choose_mode(request.caller, *parsed, &inode); !status.ok()) return status;
  }
  const bool kept = !decides || says_more_than_mode(*parsed);
  if (!kept && inode.mode == old_mode && (inode.flags & kAccessList) == 0) return kOk;
  const std::string value = format_access_list(*parsed);
  if (const Status room = check_xattr_room(target, record, request.name, value.size()); kept && !room.ok()) return room;
  if (const Status status = transaction.claim({inode.id}); !status.ok()) return status;

  transaction.begin();
  if (kept) {
    keep(target, request.name, value, &record);
  } else {
    erase(target, request.name, &record);
  }
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

Status remove_access_list(Target& target, Transaction& transaction, const Caller& caller, std::string_view name,
                          InodeRecord& record) {
  Inode& inode = record.inode;
  if (const Status status = check_may_set(caller, inode, name, true); !status.ok()) return status;
  if ((inode.flags & flag_of(name)) == 0) return kOk;
  if (const Status status = transaction.claim({inode.id}); !status.ok()) return status;

  transaction.begin();
  erase(target, name, &record);
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

void follow_mode(Target& target, Inode* inode) {
  if (inode->access_list == nullptr) return;
  AccessList list = *inode->access_list;
  fs::follow_mode(list, inode->mode);
  target.names.put_xattr(inode->id, kAccessListXattr, Bytes(std::string_view(format_access_list(list))));
  inode->access_list = std::make_shared<const AccessList>(std::move(list));
}

Status take_lists(Target& target, const Caller& caller, const Inode& parent, Inode* inode, std::string* default_list) {
  if (inode->is_symlink()) return kOk;
  if ((parent.flags & kDefaultList) == 0) {
    inode->mode &= ~caller.umask;
    return kOk;
  }
  Result<AccessList> list = target.names.get_list(parent.id, kDefaultListXattr);
  if (!list.ok()) return list.status();
  if (inode->is_directory()) *default_list = format_access_list(*list);
  inode->mode = inherit(*list, inode->mode);
  if (says_more_than_mode(*list)) inode->access_list = std::make_shared<const AccessList>(std::move(*list));
  return kOk;
}

void keep_lists(Target& target, const std::string& default_list, InodeRecord* record) {
  if (record->inode.access_list != nullptr) {
    keep(target, kAccessListXattr, format_access_list(*record->inode.access_list), record);
  }
  if (!default_list.empty()) keep(target, kDefaultListXattr, default_list, record);
}

}  // namespace rideau::mds
