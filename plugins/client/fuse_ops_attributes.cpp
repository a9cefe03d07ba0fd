// SPDX-License-Identifier: Apache-2.0
// Requests about attributes: GETATTR, SETATTR, STATFS, extended attributes; and the request to sync, an IOCTL.
#include "plugins/client/fuse_server.hpp"
#include "plugins/client/sync_request.hpp"

#include <cerrno>
#include <string>

namespace rideau::client {
namespace {

using Server = FuseMount::Impl;

Task<> get_attributes(Server& server, fuse_req_t req, fs::InodeId inode, bool to_read) {
  const auto begin = [&] { return server.files.get_attributes(inode, to_read); };
  const Result<fs::Inode> found = co_await repeated(server.files, Repeat::always, begin);
  server.reply_attributes(req, found);
}

Task<> set_attributes(Server& server, fuse_req_t req, fs::SetAttributesRequest wanted) {
  const auto begin = [&] { return server.files.set_attributes(wanted); };
  const Result<fs::Inode> done = co_await repeated(server.files, Repeat::unless_sent, begin);
  server.reply_attributes(req, done);
}

Task<> stat_file_system(Server& server, fuse_req_t req) {
  const auto begin = [&] { return server.files.stat_file_system(); };
  const Result<StatFileSystem> found = co_await repeated(server.files, Repeat::always, begin);
  if (!found.ok()) {
    fuse_reply_err(req, errno_of(found.status()));
    co_return;
  }
  constexpr std::uint64_t kUnit = 4096;
  struct statvfs out {};
  out.f_bsize = kUnit;
  out.f_frsize = kUnit;
  out.f_blocks = found->bytes_total / kUnit;
  out.f_bfree = found->bytes_free / kUnit;
  out.f_bavail = out.f_bfree;
  out.f_files = found->inodes_used + found->inodes_free;
  out.f_ffree = found->inodes_free;
  out.f_favail = out.f_ffree;
  out.f_namemax = limits::kNameBytesMax;
  fuse_reply_statfs(req, &out);
}

// A value or a list of names: its size when there is no room for anything, itself when it fits.
void reply_bytes(fuse_req_t req, const std::string& bytes, std::size_t room) {
  if (room == 0) {
    fuse_reply_xattr(req, bytes.size());
  } else if (bytes.size() > room) {
    fuse_reply_err(req, ERANGE);
  } else {
    fuse_reply_buf(req, bytes.data(), bytes.size());
  }
}

Task<> get_attribute(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, std::string name,
                     std::size_t room) {
  // Without waiting for anybody: who asks whether the mount is alive asks for a name that is not served.
  const Status served = FileSystem::check_attribute_name(name);
  if (!served.ok()) {
    fuse_reply_err(req, errno_of(served));
    co_return;
  }
  const auto begin = [&] { return server.files.get_attribute(caller, inode, name); };
  const Result<std::string> value = co_await repeated(server.files, Repeat::always, begin);
  if (value.ok()) {
    reply_bytes(req, *value, room);
  } else {
    fuse_reply_err(req, errno_of(value.status()));
  }
}

Task<> list_attributes(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, std::size_t room) {
  const auto begin = [&] { return server.files.list_attributes(caller, inode); };
  const auto names = co_await repeated(server.files, Repeat::always, begin);
  if (!names.ok()) {
    fuse_reply_err(req, errno_of(names.status()));
    co_return;
  }
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  if (list.size() > limits::kXattrListBytesMax) {
    fuse_reply_err(req, E2BIG);
  } else {
    reply_bytes(req, list, room);
  }
}

Task<> set_attribute(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, std::string name,
                     std::string value, std::uint32_t flags) {
  const auto begin = [&] { return server.files.set_attribute(caller, inode, name, value, flags); };
  const Status status = co_await repeated(server.files, Repeat::unless_sent, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> remove_attribute(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, std::string name) {
  const auto begin = [&] { return server.files.remove_attribute(caller, inode, name); };
  const Status status = co_await repeated(server.files, Repeat::unless_sent, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> sync_all(Server& server, fuse_req_t req) {
  const Status status = co_await server.files.sync_all();
  if (status.ok()) {
    fuse_reply_ioctl(req, 0, nullptr, 0);
  } else {
    fuse_reply_err(req, errno_of(status));
  }
}

std::uint32_t set_mask(int to_set) {
  std::uint32_t mask = 0;
  if ((to_set & FUSE_SET_ATTR_MODE) != 0) mask |= fs::kSetMode;
  if ((to_set & FUSE_SET_ATTR_UID) != 0) mask |= fs::kSetUid;
  if ((to_set & FUSE_SET_ATTR_GID) != 0) mask |= fs::kSetGid;
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) mask |= fs::kSetSize;
  // With "now" the kernel sends both bits and a time of its own.
  if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0) {
    mask |= fs::kSetAtimeNow;
  } else if ((to_set & FUSE_SET_ATTR_ATIME) != 0) {
    mask |= fs::kSetAtime;
  }
  if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    mask |= fs::kSetMtimeNow;
  } else if ((to_set & FUSE_SET_ATTR_MTIME) != 0) {
    mask |= fs::kSetMtime;
  }
  return mask;
}

// The kernel names an open file where it asks on behalf of a read, or of lseek(2); for fstat(2) it does not.
void on_getattr(fuse_req_t req, fuse_ino_t inode, fuse_file_info* file) {
  Server& server = server_of(req);
  server.tasks.spawn(get_attributes(server, req, inode, file != nullptr));
}
void on_setattr(fuse_req_t req, fuse_ino_t inode, struct stat* wanted, int to_set, fuse_file_info* file) {
  Server& server = server_of(req);
  fs::SetAttributesRequest request;
  request.caller = server.caller(req);
  request.inode = inode;
  request.mask = set_mask(to_set);
  if (server.kills_privileges) request.mask |= fs::kSetKillPrivileges;
  request.mode = wanted->st_mode & 07777;
  request.uid = wanted->st_uid;
  request.gid = wanted->st_gid;
  request.size = static_cast<std::uint64_t>(wanted->st_size);
  request.atime_ns = nanoseconds(wanted->st_atim);
  request.mtime_ns = nanoseconds(wanted->st_mtim);
  if (file != nullptr) request.handle = file->fh;
  server.tasks.spawn(set_attributes(server, req, std::move(request)));
}
void on_statfs(fuse_req_t req, fuse_ino_t) {
  Server& server = server_of(req);
  server.tasks.spawn(stat_file_system(server, req));
}
void on_getxattr(fuse_req_t req, fuse_ino_t inode, const char* name, std::size_t room) {
  Server& server = server_of(req);
  server.tasks.spawn(get_attribute(server, req, server.caller(req), inode, name, room));
}
void on_listxattr(fuse_req_t req, fuse_ino_t inode, std::size_t room) {
  Server& server = server_of(req);
  server.tasks.spawn(list_attributes(server, req, server.caller(req), inode, room));
}
void on_setxattr(fuse_req_t req, fuse_ino_t inode, const char* name, const char* value, std::size_t size, int flags) {
  Server& server = server_of(req);
  server.tasks.spawn(set_attribute(server, req, server.caller(req), inode, name, std::string(value, size),
                                   static_cast<std::uint32_t>(flags)));
}
void on_removexattr(fuse_req_t req, fuse_ino_t inode, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(remove_attribute(server, req, server.caller(req), inode, name));
}

void on_ioctl(fuse_req_t req, fuse_ino_t, unsigned command, void*, fuse_file_info*, unsigned, const void*, std::size_t,
              std::size_t) {
  Server& server = server_of(req);
  if (command != kSyncRequest) {
    fuse_reply_err(req, ENOTTY);
    return;
  }
  server.tasks.spawn(sync_all(server, req));
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& ops) {
  ops.getattr = on_getattr;
  ops.setattr = on_setattr;
  ops.statfs = on_statfs;
  ops.getxattr = on_getxattr;
  ops.listxattr = on_listxattr;
  ops.setxattr = on_setxattr;
  ops.removexattr = on_removexattr;
  ops.ioctl = on_ioctl;
}

}  // namespace rideau::client
