// SPDX-License-Identifier: Apache-2.0
// Operations that answer through `done`: each takes what it needs along and is a call of FileSystem on the client's
// thread, begun anew where a server's restart cut it off.
#include "plugins/client/repeat.hpp"
#include "plugins/library/client_impl.hpp"

#include <sys/stat.h>

namespace rideau {
namespace {

using client::FileSystem;
using client::Repeat;
using client::repeated;

static_assert(Client::kRoot == fs::kRootInode);
static_assert(int{Client::kRead} == int{fs::kOpenRead} && int{Client::kWrite} == int{fs::kOpenWrite} &&
              int{Client::kTruncate} == int{fs::kOpenTruncate} && int{Client::kExclusive} == int{fs::kOpenExclusive} &&
              int{Client::kAppend} == int{fs::kOpenAppend});
static_assert(int{Client::kNoReplace} == int{fs::kRenameNoReplace} &&
              int{Client::kExchange} == int{fs::kRenameExchange});

constexpr std::uint32_t kFlagsKnown =
    Client::kRead | Client::kWrite | Client::kTruncate | Client::kExclusive | Client::kAppend;

fs::Caller to_fs(const Client::Caller& caller) {
  fs::Caller result;
  result.uid = caller.uid;
  result.gid = caller.gid;
  result.groups_known = true;
  result.groups = caller.groups;
  return result;
}

Client::Attributes to_client(const fs::Inode& inode) {
  Client::Attributes result;
  result.inode = inode.id;
  result.mode = inode.mode;
  result.link_count = inode.link_count;
  result.uid = inode.uid;
  result.gid = inode.gid;
  result.device = inode.device;
  result.size = inode.size;
  result.blocks = inode.blocks;
  result.atime_ns = inode.atime_ns;
  result.mtime_ns = inode.mtime_ns;
  result.ctime_ns = inode.ctime_ns;
  result.birth_ns = inode.birth_ns;
  return result;
}

Client::File to_client(const client::OpenFile& file) { return {file.handle, to_client(file.inode)}; }
std::string to_client(std::string text) { return text; }
std::vector<std::string> to_client(std::vector<std::string> names) { return names; }
std::size_t to_client(std::uint64_t count) { return count; }

std::vector<Client::Entry> to_client(std::vector<fs::DirectoryEntry> entries) {
  std::vector<Client::Entry> result;
  result.reserve(entries.size());
  for (fs::DirectoryEntry& entry : entries) {
    result.push_back({entry.cookie, entry.inode, entry.type, std::move(entry.name), to_client(entry.attributes)});
  }
  return result;
}

Client::Space to_client(const client::StatFileSystem& space) {
  return {space.bytes_total, space.bytes_free, space.inodes_used, space.inodes_free};
}

template <class T, class From>
Client::Result<T> to_result(Result<From> from) {
  Client::Result<T> result;
  if (from.ok()) {
    result.value = to_client(std::move(from).value());
  } else {
    result.status = to_client(from.status());
  }
  return result;
}

fs::SetAttributesRequest to_request(const Client::Caller& caller, Client::InodeId inode, const Client::Change& change) {
  fs::SetAttributesRequest request;
  request.caller = to_fs(caller);
  request.inode = inode;
  request.handle = change.handle;
  if (change.mode) {
    request.mask |= fs::kSetMode;
    request.mode = *change.mode & 07777;
  }
  if (change.uid) request.mask |= fs::kSetUid;
  request.uid = change.uid.value_or(0);
  if (change.gid) request.mask |= fs::kSetGid;
  request.gid = change.gid.value_or(0);
  if (change.size) request.mask |= fs::kSetSize | fs::kSetKillPrivileges;
  request.size = change.size.value_or(0);
  if (change.atime_ns) request.mask |= *change.atime_ns == Client::kNow ? fs::kSetAtimeNow : fs::kSetAtime;
  request.atime_ns = change.atime_ns.value_or(0);
  if (change.mtime_ns) request.mask |= *change.mtime_ns == Client::kNow ? fs::kSetMtimeNow : fs::kSetMtime;
  request.mtime_ns = change.mtime_ns.value_or(0);
  return request;
}

// The parts of a path that are to be looked up one after the other.
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

// `call` makes the call of FileSystem, and can do so several times.
template <class T, class Call>
Task<Client::Result<T>> answer(FileSystem& files, Repeat repeat, Call call) {
  auto result = co_await repeated(files, repeat, call);
  co_return to_result<T>(std::move(result));
}
template <class Call>
Task<Client::Status> answer_status(FileSystem& files, Repeat repeat, Call call) {
  const Status status = co_await repeated(files, repeat, call);
  co_return to_client(status);
}

Task<Client::Result<Client::Attributes>> find_parts(FileSystem& files, const fs::Caller& caller,
                                                    const std::vector<std::string>& parts) {
  const auto root = [&] { return files.get_attributes(fs::kRootInode); };
  Result<fs::Inode> at = co_await repeated(files, Repeat::always, root);
  for (const std::string& part : parts) {
    if (!at.ok()) break;
    const fs::InodeId directory = at->id;
    const auto next = [&] { return files.lookup(caller, directory, part); };
    at = co_await repeated(files, Repeat::always, next);
  }
  co_return to_result<Client::Attributes>(std::move(at));
}

Task<Client::Status> close_handle(FileSystem& files, fs::HandleId handle) {
  const Status flushed = co_await files.flush(handle);
  const Status released = co_await files.release(handle);
  co_return to_client(flushed.ok() ? released : flushed);
}

}  // namespace

void Client::lookup(const Caller& caller, InodeId directory, std::string_view name, Done<Attributes> done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name)](FileSystem& files) {
    return answer<Attributes>(files, Repeat::always, [&] { return files.lookup(who, directory, name); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::find(const Caller& caller, std::string_view path, Done<Attributes> done) {
  auto make = [who = to_fs(caller), parts = parts_of(path)](FileSystem& files) {
    return find_parts(files, who, parts);
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::make_directory(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                            Done<Attributes> done) {
  make_node(caller, directory, name, S_IFDIR | (mode & 07777), 0, std::move(done));
}

void Client::make_node(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                       std::uint64_t device, Done<Attributes> done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name), mode, device](FileSystem& files) {
    return answer<Attributes>(files, Repeat::unless_sent,
                              [&] { return files.make(who, directory, name, mode, device, std::string()); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::make_symlink(const Caller& caller, InodeId directory, std::string_view name, std::string_view target,
                          Done<Attributes> done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name),
               target = std::string(target)](FileSystem& files) {
    return answer<Attributes>(files, Repeat::unless_sent,
                              [&] { return files.make(who, directory, name, S_IFLNK | 0777, 0, target); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::read_link(InodeId inode, Done<std::string> done) {
  auto make = [inode](FileSystem& files) {
    return answer<std::string>(files, Repeat::always, [&files, inode] { return files.read_link(inode); });
  };
  impl_->begin<Result<std::string>>(std::move(make), std::move(done));
}

void Client::link(const Caller& caller, InodeId inode, InodeId directory, std::string_view name,
                  Done<Attributes> done) {
  auto make = [who = to_fs(caller), inode, directory, name = std::string(name)](FileSystem& files) {
    return answer<Attributes>(files, Repeat::unless_sent, [&] { return files.link(who, inode, directory, name); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::unlink(const Caller& caller, InodeId directory, std::string_view name, DoneStatus done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name)](FileSystem& files) {
    return answer_status(files, Repeat::unless_sent, [&] { return files.remove(who, directory, name, false); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::remove_directory(const Caller& caller, InodeId directory, std::string_view name, DoneStatus done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name)](FileSystem& files) {
    return answer_status(files, Repeat::unless_sent, [&] { return files.remove(who, directory, name, true); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::rename(const Caller& caller, InodeId old_directory, std::string_view old_name, InodeId new_directory,
                    std::string_view new_name, std::uint32_t flags, DoneStatus done) {
  auto make = [who = to_fs(caller), old_directory, old_name = std::string(old_name), new_directory,
               new_name = std::string(new_name), flags](FileSystem& files) {
    return answer_status(files, Repeat::unless_sent,
                         [&] { return files.rename(who, old_directory, old_name, new_directory, new_name, flags); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::read_directory(InodeId directory, std::uint64_t after, std::uint32_t entries_max, bool attributes,
                            Done<std::vector<Entry>> done) {
  auto make = [directory, after, entries_max, attributes](FileSystem& files) {
    return answer<std::vector<Entry>>(files, Repeat::always,
                                      [&] { return files.read_directory(directory, after, entries_max, attributes); });
  };
  impl_->begin<Result<std::vector<Entry>>>(std::move(make), std::move(done));
}

void Client::get_attributes(InodeId inode, Done<Attributes> done) {
  auto make = [inode](FileSystem& files) {
    return answer<Attributes>(files, Repeat::always, [&files, inode] { return files.get_attributes(inode); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::set_attributes(const Caller& caller, InodeId inode, const Change& change, Done<Attributes> done) {
  auto make = [request = to_request(caller, inode, change)](FileSystem& files) {
    return answer<Attributes>(files, Repeat::unless_sent, [&] { return files.set_attributes(request); });
  };
  impl_->begin<Result<Attributes>>(std::move(make), std::move(done));
}

void Client::get_attribute(const Caller& caller, InodeId inode, std::string_view name, Done<std::string> done) {
  auto make = [who = to_fs(caller), inode, name = std::string(name)](FileSystem& files) {
    return answer<std::string>(files, Repeat::always, [&] { return files.get_attribute(who, inode, name); });
  };
  impl_->begin<Result<std::string>>(std::move(make), std::move(done));
}

void Client::set_attribute(const Caller& caller, InodeId inode, std::string_view name, std::string_view value,
                           std::uint32_t flags, DoneStatus done) {
  auto make = [who = to_fs(caller), inode, name = std::string(name), value = std::string(value),
               flags](FileSystem& files) {
    return answer_status(files, Repeat::unless_sent,
                         [&] { return files.set_attribute(who, inode, name, value, flags); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::list_attributes(const Caller& caller, InodeId inode, Done<std::vector<std::string>> done) {
  auto make = [who = to_fs(caller), inode](FileSystem& files) {
    return answer<std::vector<std::string>>(files, Repeat::always, [&] { return files.list_attributes(who, inode); });
  };
  impl_->begin<Result<std::vector<std::string>>>(std::move(make), std::move(done));
}

void Client::remove_attribute(const Caller& caller, InodeId inode, std::string_view name, DoneStatus done) {
  auto make = [who = to_fs(caller), inode, name = std::string(name)](FileSystem& files) {
    return answer_status(files, Repeat::unless_sent, [&] { return files.remove_attribute(who, inode, name); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::create(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                    std::uint32_t flags, Done<File> done) {
  auto make = [who = to_fs(caller), directory, name = std::string(name), mode, flags](FileSystem& files) {
    return answer<File>(files, Repeat::unless_sent, [&] {
      return files.create(who, directory, name, S_IFREG | (mode & 07777), flags & kFlagsKnown);
    });
  };
  impl_->begin<Result<File>>(std::move(make), std::move(done));
}

void Client::open(const Caller& caller, InodeId inode, std::uint32_t flags, Done<File> done) {
  // A handle that a lost session may have got is gone with it.
  const Repeat repeat = (flags & kTruncate) != 0 ? Repeat::unless_sent : Repeat::always;
  auto make = [who = to_fs(caller), inode, flags, repeat](FileSystem& files) {
    return answer<File>(files, repeat, [&] { return files.open(who, inode, flags & kFlagsKnown); });
  };
  impl_->begin<Result<File>>(std::move(make), std::move(done));
}

void Client::read(HandleId handle, std::uint64_t offset, void* to, std::size_t size, Done<std::size_t> done) {
  auto make = [handle, offset, room = IoVec{to, size}](FileSystem& files) {
    return answer<std::size_t>(files, Repeat::always, [&] { return files.read(handle, offset, &room, 1); });
  };
  impl_->begin<Result<std::size_t>>(std::move(make), std::move(done));
}

void Client::write(HandleId handle, std::uint64_t offset, const void* from, std::size_t size, Done<std::size_t> done) {
  client::WriteDetails details;
  details.kill_privileges = true;
  auto make = [handle, offset, data = IoVec{const_cast<void*>(from), size}, details](FileSystem& files) mutable {
    return answer<std::size_t>(files, Repeat::unless_sent,
                               [&] { return files.write(handle, offset, &data, 1, &details); });
  };
  impl_->begin<Result<std::size_t>>(std::move(make), std::move(done));
}

void Client::fsync(HandleId handle, DoneStatus done) {
  auto make = [handle](FileSystem& files) {
    return answer_status(files, Repeat::always, [&files, handle] { return files.sync(handle, false); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::close(HandleId handle, DoneStatus done) {
  auto make = [handle](FileSystem& files) { return close_handle(files, handle); };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::sync_directory(InodeId directory, DoneStatus done) {
  auto make = [directory](FileSystem& files) {
    return answer_status(files, Repeat::always, [&files, directory] { return files.sync_directory(directory); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::sync(DoneStatus done) {
  auto make = [](FileSystem& files) {
    return answer_status(files, Repeat::always, [&files] { return files.sync_all(); });
  };
  impl_->begin<Status>(std::move(make), std::move(done));
}

void Client::stat_file_system(Done<Space> done) {
  auto make = [](FileSystem& files) {
    return answer<Space>(files, Repeat::always, [&files] { return files.stat_file_system(); });
  };
  impl_->begin<Result<Space>>(std::move(make), std::move(done));
}

}  // namespace rideau
