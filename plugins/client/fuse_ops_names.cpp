// SPDX-License-Identifier: Apache-2.0
// Requests about names: LOOKUP, MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME, READLINK, ACCESS, directories.
#include "plugins/client/fuse_server.hpp"
#include "plugins/client/fuse_special_files.hpp"
#include "plugins/client/open_names.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

namespace rideau::client {
namespace {

using Server = FuseMount::Impl;

bool is_special(const fs::Inode& inode) { return !inode.is_directory() && !inode.is_regular() && !inode.is_symlink(); }

Task<Status> check_special(Server& server, const fs::Caller& caller, fs::InodeId inode) {
  std::uint32_t want = fs::kWantRead | fs::kWantWrite;
  const auto begin = [&] { return server.files.access(caller, inode, want); };
  Status allowed = co_await repeated(server.files, Repeat::always, begin);
  if (errno_of(allowed) != EACCES) co_return allowed;
  // A process that was taken off its CPU on the way to its wait runs on before long.
  constexpr std::uint64_t kPatienceNs = 5 * kSecond;
  std::optional<std::uint32_t> told;
  const auto look = [&told, process = caller.process] {
    told = wanted_of_special_file(process);
    return kOk;
  };
  co_await run_blocking(server.runtime, look);
  for (std::uint64_t waited = 0, pause = 50 * kMicrosecond; !told.has_value() && waited < kPatienceNs; pause *= 2) {
    co_await sleep_for(server.runtime, pause);
    waited += pause;
    co_await run_blocking(server.runtime, look);
  }
  want = told.value_or(want);
  allowed = co_await repeated(server.files, Repeat::always, begin);
  co_return allowed;
}

Task<> lookup(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId parent, std::string name) {
  const std::uint64_t token = server.names_token(parent);
  const auto begin = [&] { return server.files.lookup(caller, parent, name); };
  Result<fs::Inode> found = co_await repeated(server.files, Repeat::always, begin);
  const double seconds = server.name_seconds(parent, token);
  if (!found.ok() && errno_of(found.status()) == ENOENT && seconds > 0) {
    fuse_entry_param absent{};
    absent.entry_timeout = seconds;
    fuse_reply_entry(req, &absent);
    co_return;
  }
  if (found.ok() && !server.options.default_permissions && is_special(*found) && !open_to_all(*found)) {
    const Status allowed = co_await check_special(server, caller, found->id);
    if (!allowed.ok()) found = allowed;
  }
  server.reply_entry(req, server.name_seconds(parent, token), found);
}

Task<> make(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId parent, std::string name, std::uint32_t mode,
            std::uint64_t device, std::string target) {
  const std::uint64_t token = server.names_token(parent);
  const auto begin = [&] { return server.files.make(caller, parent, name, mode, device, target); };
  const Result<fs::Inode> made = co_await repeated(server.files, Repeat::unless_sent, begin);
  server.reply_entry(req, server.name_seconds(parent, token), made);
}

Task<> link(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, fs::InodeId parent,
            std::string name) {
  // The kernel guards hard links by permissions that it does not know here.
  const bool guarded = !server.options.default_permissions && !caller.is_root() && kernel_guards_links();
  const std::uint64_t token = server.names_token(parent);
  const auto begin = [&] { return server.files.link(caller, inode, parent, name, guarded); };
  const Result<fs::Inode> linked = co_await repeated(server.files, Repeat::unless_sent, begin);
  server.reply_entry(req, server.name_seconds(parent, token), linked);
}

Task<> remove(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId parent, std::string name, bool directory) {
  const auto begin = [&] { return server.files.remove(caller, parent, name, directory); };
  const Status status = co_await repeated(server.files, Repeat::unless_sent, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> rename(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId old_parent, std::string old_name,
              fs::InodeId new_parent, std::string new_name, std::uint32_t flags) {
  const auto begin = [&] { return server.files.rename(caller, old_parent, old_name, new_parent, new_name, flags); };
  const Status status = co_await repeated(server.files, Repeat::unless_sent, begin);
  fuse_reply_err(req, errno_of(status));
}

Task<> read_link(Server& server, fuse_req_t req, fs::InodeId inode) {
  const auto begin = [&] { return server.files.read_link(inode); };
  const Result<std::string> target = co_await repeated(server.files, Repeat::always, begin);
  if (target.ok()) {
    fuse_reply_readlink(req, target->c_str());
  } else {
    fuse_reply_err(req, errno_of(target.status()));
  }
}

// One entry in the form of READDIR or READDIRPLUS; returns the bytes it needs, which may be more than there is room.
std::size_t add_entry(Server& server, fuse_req_t req, double name_seconds, char* room, std::size_t size,
                      const fs::DirectoryEntry& entry, bool plus) {
  const auto next = static_cast<off_t>(entry.cookie);
  fuse_entry_param param{};
  if (entry.attributes.id != fs::kNoInode) {
    server.fill_entry(name_seconds, entry.attributes, &param);
  } else {
    param.attr.st_ino = entry.inode;  // no node: the kernel takes the name alone
    param.attr.st_mode = entry.type;
  }
  if (plus) return fuse_add_direntry_plus(req, room, size, entry.name.c_str(), &param, next);
  return fuse_add_direntry(req, room, size, entry.name.c_str(), &param.attr, next);
}

Task<> read_directory(Server& server, fuse_req_t req, fs::InodeId directory, std::size_t size, fs::Cookie after,
                      bool plus) {
  // Names of usual length fill the room about once; what does not fit is asked for again.
  const std::size_t entry_bytes = plus ? 168 : 40;
  const std::uint32_t entries_max = static_cast<std::uint32_t>(std::clamp<std::size_t>(size / entry_bytes, 1, 4096));
  const std::uint64_t token = server.names_token(directory);
  const auto begin = [&] { return server.files.read_directory(directory, after, entries_max, plus); };
  const auto entries = co_await repeated(server.files, Repeat::always, begin);
  if (!entries.ok()) {
    fuse_reply_err(req, errno_of(entries.status()));
    co_return;
  }
  const double seconds = server.name_seconds(directory, token);
  std::vector<char> room(size);
  std::size_t used = 0;
  for (const fs::DirectoryEntry& entry : *entries) {
    const std::size_t needed = add_entry(server, req, seconds, room.data() + used, size - used, entry, plus);
    if (needed > size - used) break;
    used += needed;
  }
  if (plus) server.carries_attributes(req);
  fuse_reply_buf(req, room.data(), used);
}

Task<> open_directory(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId directory, fuse_file_info file) {
  const auto begin = [&] { return server.files.access(caller, directory, fs::kWantRead); };
  const Status allowed = co_await repeated(server.files, Repeat::always, begin);
  if (allowed.ok()) {
    fuse_reply_open(req, &file);
  } else {
    fuse_reply_err(req, errno_of(allowed));
  }
}

Task<> access(Server& server, fuse_req_t req, fs::Caller caller, fs::InodeId inode, std::uint32_t want) {
  const auto begin = [&] { return server.files.access(caller, inode, want); };
  const Status allowed = co_await repeated(server.files, Repeat::always, begin);
  fuse_reply_err(req, errno_of(allowed));
}

Task<> sync_directory(Server& server, fuse_req_t req, fs::InodeId directory) {
  const Status status = co_await server.files.sync_directory(directory);
  fuse_reply_err(req, errno_of(status));
}

void on_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(lookup(server, req, server.caller(req), parent, name));
}
void on_mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  Server& server = server_of(req);
  server.tasks.spawn(make(server, req, server.caller(req), parent, name, mode, device, {}));
}
void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  Server& server = server_of(req);
  const std::uint32_t type_and_mode = S_IFDIR | (mode & 07777);
  server.tasks.spawn(make(server, req, server.caller(req), parent, name, type_and_mode, 0, {}));
}
void on_symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(make(server, req, server.caller(req), parent, name, S_IFLNK | 0777, 0, target));
}
void on_link(fuse_req_t req, fuse_ino_t inode, fuse_ino_t parent, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(link(server, req, server.caller(req), inode, parent, name));
}
void on_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(remove(server, req, server.caller(req), parent, name, false));
}
void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Server& server = server_of(req);
  server.tasks.spawn(remove(server, req, server.caller(req), parent, name, true));
}
void on_rename(fuse_req_t req, fuse_ino_t old_parent, const char* old_name, fuse_ino_t new_parent, const char* new_name,
               unsigned flags) {
  Server& server = server_of(req);
  if ((flags & ~(fs::kRenameNoReplace | fs::kRenameExchange)) != 0) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  server.tasks.spawn(rename(server, req, server.caller(req), old_parent, old_name, new_parent, new_name, flags));
}
void on_readlink(fuse_req_t req, fuse_ino_t inode) {
  Server& server = server_of(req);
  server.tasks.spawn(read_link(server, req, inode));
}
void on_opendir(fuse_req_t req, fuse_ino_t inode, fuse_file_info* file) {
  Server& server = server_of(req);
  if (server.options.default_permissions) {
    fuse_reply_open(req, file);
  } else {
    server.tasks.spawn(open_directory(server, req, server.caller(req), inode, *file));
  }
}
void on_access(fuse_req_t req, fuse_ino_t inode, int mask) {
  Server& server = server_of(req);
  const std::uint32_t want = static_cast<std::uint32_t>(mask) & (fs::kWantRead | fs::kWantWrite | fs::kWantExecute);
  server.tasks.spawn(access(server, req, server.caller(req), inode, want));
}
void on_releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info*) { fuse_reply_err(req, 0); }
void on_readdir(fuse_req_t req, fuse_ino_t inode, std::size_t size, off_t after, fuse_file_info*) {
  Server& server = server_of(req);
  const std::size_t room = std::min(size, kTransferBytesMax);
  server.tasks.spawn(read_directory(server, req, inode, room, static_cast<fs::Cookie>(after), false));
}
void on_readdirplus(fuse_req_t req, fuse_ino_t inode, std::size_t size, off_t after, fuse_file_info*) {
  Server& server = server_of(req);
  const std::size_t room = std::min(size, kTransferBytesMax);
  server.tasks.spawn(read_directory(server, req, inode, room, static_cast<fs::Cookie>(after), true));
}
void on_fsyncdir(fuse_req_t req, fuse_ino_t inode, int, fuse_file_info*) {
  Server& server = server_of(req);
  server.tasks.spawn(sync_directory(server, req, inode));
}
// The file system keeps no node for the kernel: nodes are found by their number.
void on_forget(fuse_req_t req, fuse_ino_t, std::uint64_t) { fuse_reply_none(req); }
void on_forget_multi(fuse_req_t req, std::size_t, fuse_forget_data*) { fuse_reply_none(req); }

}  // namespace

void add_name_operations(fuse_lowlevel_ops& ops) {
  ops.lookup = on_lookup;
  ops.mknod = on_mknod;
  ops.mkdir = on_mkdir;
  ops.symlink = on_symlink;
  ops.link = on_link;
  ops.unlink = on_unlink;
  ops.rmdir = on_rmdir;
  ops.rename = on_rename;
  ops.readlink = on_readlink;
  ops.opendir = on_opendir;
  ops.access = on_access;
  ops.releasedir = on_releasedir;
  ops.readdir = on_readdir;
  ops.readdirplus = on_readdirplus;
  ops.fsyncdir = on_fsyncdir;
  ops.forget = on_forget;
  ops.forget_multi = on_forget_multi;
}

}  // namespace rideau::client
