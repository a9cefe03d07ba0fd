// SPDX-License-Identifier: Apache-2.0
// Open files: open, create, read, write, flush, sync, release.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {
namespace {

std::uint64_t size_of(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < count; ++i) size += parts[i].size;
  return size;
}

}  // namespace

HandleRef FileSystem::Impl::find_handle(fs::HandleId id) {
  const auto found = handles.find(id);
  return found != handles.end() ? found->second : nullptr;
}

// From the answer on: then the handle is claimed again when the server restarts. A writer counts as one later, when the
// kernel has no page any more that was read under a weaker lock.
HandleRef FileSystem::Impl::add_handle(fs::HandleId id, NodeRef node, std::uint32_t flags, const fs::Caller& caller) {
  auto handle = std::make_shared<Handle>(runtime, id, node);
  handle->flags = flags;
  handle->caller = caller;
  handle->epoch = epoch;
  if (node->inode.is_regular()) handle->data = data_of(*node);
  // What nobody was told of yet, the next one who opens the file is.
  if (handle->data != nullptr) handle->errors_heard = handle->data->errors_heard();
  handles.emplace(id, handle);
  ++node->handles;
  return handle;
}

// Under a weaker lock the kernel must have no page of a file that is open for writing, see enter().
Task<> FileSystem::Impl::drop_before_writing(NodeRef node) {
  for (;;) {
    if (node->lock.divided && node->writers == 0 && !node->parts->held.empty()) {
      co_await release_part(node, {0, lock::kExtentEnd});
    } else if (!node->lock.divided && node->lock.mode != Mode::exclusive && paged.contains(node->inode.id)) {
      co_await drop_pages_of(node);
    } else {
      co_return;
    }
  }
}

// After an open that cut the file at the metadata server: the objects follow.
Task<Status> FileSystem::Impl::cut_opened(NodeRef node, std::uint64_t old_size) {
  node->inode.size = 0;
  node->inode.blocks = 0;
  node->size_known = true;
  ++node->change_count;
  ++node->cuts;
  if (!plane.knows(node->inode.layout)) co_await learn_targets();
  if (const std::shared_ptr<FileData> data = data_of(*node); !try_follow(*node, *data)) {
    co_await data->adopt(node->inode.layout, node->inode.is_inline());
  }
  const Status status = co_await cut_objects(node, old_size, 0);
  co_return status;
}

Task<Result<OpenFile>> FileSystem::Impl::open(fs::Caller& caller, fs::InodeId inode, std::uint32_t flags) {
  NodeRef node = inodes.get(inode);
  constexpr std::uint32_t kOnlyReads = fs::kOpenRead | fs::kOpenExecute;
  if (node->kept_open != 0 && node->valid && (flags & ~kOnlyReads) == 0) {
    // Running a program needs no right to read it.
    const std::uint32_t want = (flags & fs::kOpenExecute) != 0 ? fs::kWantExecute : fs::kWantRead;
    Status status = co_await check_access(caller, node, want);
    if (!status.ok()) co_return status;
    if (HandleRef handle = open_kept(node, flags, caller); handle != nullptr) {
      status = co_await know(node, true);
      if (status.ok()) co_return OpenFile{handle->id, node->inode};
      handles.erase(handle->id);
      queue_close(handle);
      co_return status;
    }
  }
  fs::OpenRequest request;
  request.caller = caller;
  request.inode = inode;
  request.flags = flags;
  request.handle = next_handle++;
  request.knows_inline = true;
  request.wants_bytes = wants_bytes(*node, flags);
  const std::uint64_t old_size = node->size_known && !node->at_least ? node->inode.size : kUnknownSize;
  Opening unanswered({request.handle, fs::kNoInode, flags, false});
  opening.push_back(unanswered);
  const auto reply = co_await meta.open(request);
  unanswered.unlink();
  if (!reply.ok()) co_return reply.status;
  if (reply.body.inode.id != inode) co_return Status{Code::invalid, 0, "another inode was opened"};
  learn(reply.body.inode);
  node->transaction = std::max(node->transaction, reply.transaction);
  HandleRef handle = add_handle(request.handle, node, flags, caller);
  take_bytes(node, reply.body);
  const bool writes = (flags & fs::kOpenWrite) != 0 && node->inode.is_regular();
  if (writes) co_await drop_before_writing(node);
  if (handle->writes()) ++node->writers;
  Status status = kOk;
  if ((flags & fs::kOpenTruncate) != 0 && node->inode.is_regular()) status = co_await cut_opened(node, old_size);
  if (status.ok()) status = co_await know(node, true);
  if (!status.ok()) {
    handles.erase(request.handle);
    queue_close(handle);
    co_return status;
  }
  OpenFile file;
  file.handle = request.handle;
  file.inode = node->inode;  // not told: the kernel's answer to an open has no attributes
  co_return file;
}

Task<Result<OpenFile>> FileSystem::Impl::create(fs::MakeRequest& request, std::uint64_t asked) {
  request.handle = next_handle++;
  const bool nameless = request.name.empty() && (request.open_flags & fs::kOpenExclusive) == 0;
  Opening unanswered({request.handle, fs::kNoInode, request.open_flags, nameless});
  opening.push_back(unanswered);
  const auto reply = co_await make(request);
  unanswered.unlink();
  if (!reply.ok()) co_return reply.status;
  NodeRef node = inodes.get(reply.body.inode.id);
  HandleRef handle = add_handle(request.handle, node, request.open_flags, request.caller);
  if (request.name.empty()) node->nameless = nameless;
  const bool writes = (request.open_flags & fs::kOpenWrite) != 0;
  if (writes) co_await drop_before_writing(node);
  if (handle->writes()) ++node->writers;
  if (!reply.body.existed && !node->size_known) {
    node->inode.size = 0;
    node->inode.blocks = 0;
    node->size_known = true;
  }
  Status status = kOk;
  const bool cuts = reply.body.existed && (request.open_flags & fs::kOpenTruncate) != 0;
  if (cuts) status = co_await cut_created(handle);
  if (status.ok()) status = co_await know(node, true);
  if (!status.ok()) {
    handles.erase(request.handle);
    queue_close(handle);
    co_return status;
  }
  OpenFile file;
  file.handle = request.handle;
  file.inode = tell(*node, asked);
  co_return file;
}

// After a create that found the file there: somebody made it just now. It is cut like any other, under its lock.
Task<Status> FileSystem::Impl::cut_created(HandleRef handle) {
  DataCall call({0, lock::kExtentEnd});
  Status status = co_await enter(handle->node, true, call);
  if (!status.ok()) co_return status;
  fs::SetAttributesRequest cut;
  cut.caller = handle->caller;
  cut.inode = handle->inode();
  cut.mask = fs::kSetSize | fs::kSetKillPrivileges;
  cut.handle = handle->id;
  co_await begin_resize(handle->node);
  const auto done = co_await set_attributes(cut, expiries);
  end_resize(*handle->node);
  leave(*handle->node, call);
  co_return done.status();
}

// A handle of a session that the metadata server has ended is opened again, unless changes made through it were lost.
Task<Status> FileSystem::Impl::usable(HandleRef handle) {
  if (handle->broken) co_return Status{Code::io_error, EIO, "changes of this open file were lost"};
  if (handle->lost_locks) co_return Status{Code::io_error, EIO, "locks of this open file were lost"};
  if (handle->epoch == epoch) co_return kOk;
  co_await handle->reopening.lock();
  Status status = kOk;
  if (handle->epoch != epoch) {
    fs::OpenRequest request;
    request.caller = handle->caller;
    request.inode = handle->inode();
    request.flags = handle->flags & ~static_cast<std::uint32_t>(fs::kOpenTruncate | fs::kOpenExclusive);
    request.handle = handle->id;
    request.knows_inline = true;
    const std::uint64_t before = epoch;
    const auto reply = co_await meta.open(request);
    status = reply.status;
    if (status.ok() && epoch == before) handle->epoch = before;
  }
  handle->reopening.unlock();
  if (!status.ok()) co_return Status{Code::io_error, EIO, "the file could not be opened again"};
  co_return kOk;
}

// The file lies elsewhere than when it was last read or written here.
Task<Status> FileSystem::Impl::follow(Node& node, FileData& data) {
  const std::uint64_t before = epoch;
  RIDEAU_MARK(layout_followed);
  co_await data.adopt(node.inode.layout, node.inode.is_inline());
  co_return epoch == before ? kOk : Status{Code::closed, 0, "the metadata server restarted"};
}

// The kernel takes new bytes into its pages before it sends them, and lets go of the pages. If they were dropped
// meanwhile and are read again, they must not come back without what a WRITE of before brings.
Task<> FileSystem::Impl::behind_writes(Node& node, DataCall& call, std::uint64_t last, bool put_off) {
  bool told = false;
  while (any_writing(node, call.range, last, put_off)) {
    if (node.parts != nullptr) {
      node.parts->waiting.push_back(call);
      if (!node.parts->going.empty() && !std::exchange(told, true)) gate_changed.wake_all();
    }
    co_await gate_changed.wait();
    if (call.is_linked()) call.unlink();
  }
}

template <class Read>
Task<Result<std::uint64_t>> FileSystem::Impl::read(fs::HandleId id, std::uint64_t offset, std::uint64_t wanted,
                                                   bool fills_pages, Read read) {
  HandleRef handle = find_handle(id);
  if (handle == nullptr || (handle->flags & (fs::kOpenRead | fs::kOpenExecute)) == 0) co_return posix_error(EBADF);
  if (handle->data == nullptr) co_return posix_error(handle->node->inode.is_directory() ? EISDIR : EINVAL);
  Status status = co_await usable(handle);
  if (!status.ok()) co_return status;
  if (wanted == 0 || offset >= limits::kFileBytesMax) co_return std::uint64_t{0};
  Node& node = *handle->node;
  DataCall call({offset, offset + std::min(wanted, limits::kFileBytesMax - offset)});
  call.fills_pages = fills_pages && kernel != nullptr;
  if (call.fills_pages && !writing.empty() && !RIDEAU_PLANTED_BUG(reads_past_writes)) {
    co_await behind_writes(node, call, writes_begun, false);
  }
  status = co_await enter(handle->node, false, call);
  if (!status.ok()) co_return status;
  Result<std::uint64_t> result = std::uint64_t{0};
  status = co_await know(handle->node, true);
  // Others may have made the file larger.
  const bool ends_here = node.lock.divided && !node.parts->end_known && call.range.end > node.inode.size;
  if (status.ok() && ends_here) status = co_await ask_size(handle->node);
  if (status.ok() && ends_here) status = co_await know(handle->node, true);
  if (status.ok()) {
    if (!try_follow(node, *handle->data)) status = co_await follow(node, *handle->data);
    std::uint64_t size = node.inode.size;
    // Nothing is read ahead beyond what is held.
    if (node.lock.divided) size = std::min(size, node.parts->held.reach(call.range.begin, Mode::shared));
    if (status.ok() && offset < size) result = co_await read(*handle->data, size);
  }
  if (!status.ok()) result = status;
  leave(node, call);
  co_return result;
}

Task<Result<std::uint64_t>> FileSystem::Impl::write(HandleRef handle, std::uint64_t offset, const IoVec* data,
                                                    std::uint32_t parts, std::uint64_t size, WriteDetails* details) {
  Node& node = *handle->node;
  const Status known = co_await know(handle->node, true);
  if (!known.ok()) co_return known;
  if (!try_follow(node, *handle->data)) {
    const Status followed = co_await follow(node, *handle->data);
    if (!followed.ok()) co_return followed;
  }
  if (offset > limits::kFileBytesMax) co_return posix_error(EFBIG);
  if (details != nullptr) details->offset = offset;
  const std::uint64_t before = epoch;
  handle->wrote = true;
  auto result = co_await write_bytes(handle, offset, data, parts, details != nullptr ? details->lent : nullptr);
  const std::uint64_t done = result.ok() ? *result : 0;
  if (epoch == before && done > 0) node.inode.size = std::max(node.inode.size, offset + done);
  const bool refused = errno_of(result.status()) == EFBIG;
  // Behind the end others may have written by now.
  const bool ends_here = !node.lock.divided || node.parts->end_known;
  if (epoch == before && !refused && !node.inode.is_inline() && ends_here && done < size &&
      offset + size > node.inode.size) {
    co_await handle->data->cut_failed(std::min(offset + size, limits::kFileBytesMax), node.inode.size);
  }
  if (epoch != before) {
    handle->broken = true;
    co_return Status{Code::io_error, EIO, "the lock was lost while writing"};
  }
  if (done == 0) co_return result;
  // An estimate until the targets have told: no more than a file without holes has.
  const std::uint64_t blocks = std::min(node.inode.blocks + (*result + 511) / 512, (node.inode.size + 511) / 512);
  node.inode.blocks = std::max({node.inode.blocks, blocks, handle->data->blocks_hint()});
  changed_bytes(node);
  co_return result;
}

void FileSystem::Impl::changed_bytes(Node& node) {
  node.size_known = true;
  const std::int64_t now = server_now_ns();
  node.inode.mtime_ns = std::max(node.inode.mtime_ns, now);  // as the record takes it
  node.inode.ctime_ns = std::max(node.inode.ctime_ns, now);
  mark_changed(node);
}

// What a change of bytes takes from a file that has it: set-id bits when the writer may not keep them, a capability
// always.
std::uint32_t FileSystem::Impl::privileges_to_kill(const Node& node, bool set_id) {
  std::uint32_t kills = 0;
  if (set_id && (node.inode.mode & (S_ISUID | S_ISGID)) != 0) kills |= fs::kSetKillPrivileges;
  if ((node.inode.flags & fs::kCapability) != 0) kills |= fs::kSetKillCapability;
  return kills;
}

Task<Status> FileSystem::Impl::kill_privileges(HandleRef handle, std::uint32_t kills, const fs::Caller& writer) {
  fs::SetAttributesRequest request;
  request.caller = writer;
  request.inode = handle->inode();
  request.mask = kills;
  request.handle = handle->id;
  const auto reply = co_await meta.set_attributes(request);
  if (!reply.ok()) co_return reply.status;
  learn(reply.body.inode);
  if (kernel != nullptr) {
    kernel->expire_attributes(request.inode);
    co_await kernel->settle();
  }
  co_return kOk;
}

Task<Status> FileSystem::Impl::sync(HandleRef handle) {
  Node& node = *handle->node;
  co_await behind_stored(node);
  co_await until_unsealed(handle->node);
  // Without the lock the file may have moved to other targets, and what was written here is durable there. Whoever
  // knows that it has not asks those that it is on.
  if (handle->data != nullptr && node.lock.mode == Mode::none) static_cast<void>(co_await know(handle->node, false));
  const bool stayed = stay(node);
  if (handle->data != nullptr && !try_follow(node, *handle->data)) {
    co_await handle->data->adopt(node.inode.layout, node.inode.is_inline());
  }
  Status status = kOk;
  for (bool was_inline = true; status.ok() && was_inline;) {
    was_inline = node.inode.is_inline();
    if (handle->data != nullptr && !was_inline) status = co_await handle->data->sync();
    if (status.ok() && node.changed) status = co_await send_size(handle->node);
    was_inline = was_inline && !node.inode.is_inline();  // moved out by that: its objects are not durable yet
  }
  if (handle->data != nullptr) {
    const Status early = handle->data->take_error(&handle->errors_heard);
    if (!early.ok()) status = early;
  }
  if (stayed) leave(node);
  if (status.ok() && node.transaction > meta_session.durable()) status = co_await meta.sync(node.transaction);
  co_return status;
}

// The calls of the interface.

Task<Result<OpenFile>> FileSystem::create(fs::Caller caller, fs::InodeId parent, std::string name, std::uint32_t mode,
                                          std::uint32_t flags) {
  const std::uint64_t asked = impl_->expiries;
  fs::MakeRequest request;
  request.caller = std::move(caller);
  request.parent = parent;
  request.name = name;
  request.mode = (mode & S_IFMT) == 0 ? mode | S_IFREG : mode;
  request.open = true;
  request.open_flags = flags;
  auto result = co_await impl_->create(request, asked);
  co_return result;
}

Task<Result<OpenFile>> FileSystem::open(fs::Caller caller, fs::InodeId inode, std::uint32_t flags) {
  // The kernel treats an open that cuts like any cut, see set_attributes.
  const bool cuts = (flags & fs::kOpenTruncate) != 0;
  NodeRef node = impl_->inodes.get(inode);
  DataCall call({0, lock::kExtentEnd});
  if (cuts) {
    const Status status = co_await impl_->enter(node, true, call);
    if (!status.ok()) co_return status;
    co_await impl_->begin_resize(node);
  }
  auto result = co_await impl_->open(caller, inode, flags);
  if (cuts) impl_->end_resize(*node);
  if (cuts) impl_->leave(*node, call);
  co_return result;
}

Task<Status> FileSystem::release(fs::HandleId id) {
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr) co_return posix_error(EBADF);
  if (handle->writes()) co_await impl_->behind_stored(*handle->node);
  impl_->handles.erase(id);
  co_await impl_->advisory.on_release(handle->inode(), id);
  impl_->queue_close(std::move(handle));
  co_return kOk;
}

Task<Result<std::uint64_t>> FileSystem::read(fs::HandleId id, std::uint64_t offset, const IoVec* room,
                                             std::uint32_t parts) {
  return impl_->read(id, offset, size_of(room, parts), true,
                     [offset, room, parts](FileData& data, std::uint64_t file_size) {
                       return data.read(offset, room, parts, file_size);
                     });
}

Task<Result<std::uint64_t>> FileSystem::read(fs::HandleId id, std::uint64_t offset, std::uint64_t size, ReadSink& sink,
                                             bool fills_pages) {
  return impl_->read(id, offset, size, fills_pages, [offset, size, &sink](FileData& data, std::uint64_t file_size) {
    return data.read(offset, size, file_size, sink);
  });
}

// What is done at the metadata server before a write waits for others there, so no part of a file is held meanwhile:
// its set-id bits go first. An append takes everything from the end on, as far as known.
Task<Status> FileSystem::Impl::enter_write(HandleRef handle, std::uint64_t offset, std::uint64_t size,
                                           WriteDetails* details, DataCall& call) {
  Node& node = *handle->node;
  const bool appends = handle->appends(details);
  const auto kills = [&] { return privileges_to_kill(node, details != nullptr && details->kill_privileges); };
  bool killed = false;
  for (;;) {
    if (appends) {
      call.range = {node.valid || node.size_known ? node.inode.size : 0, lock::kExtentEnd};
    } else if (offset < limits::kFileBytesMax) {
      call.range = {offset, offset + std::min(size, limits::kFileBytesMax - offset)};
    }
    Status status = co_await enter(handle->node, true, call);
    if (!status.ok()) co_return status;
    // Not in one expression: g++ 12 would wait for both.
    if (appends) {
      status = co_await know_end(handle->node);
    } else {
      status = co_await know(handle->node, true);
    }
    const bool fits = !appends || call.range.begin <= node.inode.size;
    const bool in_parts = node.lock.divided;
    if (status.ok() && (fits || !in_parts) && (kills() == 0 || killed)) co_return kOk;
    if (in_parts || !status.ok()) leave(node, call);
    if (!status.ok()) co_return status;
    if (!fits && in_parts) continue;
    const fs::Caller& writer = details != nullptr ? details->caller : handle->caller;
    status = co_await kill_privileges(handle, kills(), writer);
    killed = true;
    if (status.ok() && !in_parts) co_return kOk;
    if (!status.ok()) {
      if (!in_parts) leave(node, call);
      co_return status;
    }
  }
}

std::shared_ptr<Buffer> FileSystem::lend_buffer() { return impl_->plane.lend_buffer(); }

Task<Result<std::uint64_t>> FileSystem::write(fs::HandleId id, std::uint64_t offset, const IoVec* data,
                                              std::uint32_t parts, WriteDetails* details) {
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr || !handle->writes() || handle->data == nullptr) co_return posix_error(EBADF);
  const std::uint64_t size = size_of(data, parts);
  if (size == 0) co_return std::uint64_t{0};
  const bool of_map = details != nullptr && details->pages;
  if (of_map && impl_->lost_pages(handle->inode())) {
    co_return Status{Code::io_error, EIO, "what was stored was lost with the session"};
  }
  Impl::Writing writing(*handle->node, {offset, offset + std::min(size, limits::kFileBytesMax)}, ++impl_->writes_begun);
  impl_->writing.push_back(writing);
  Status status = co_await impl_->usable(handle);
  if (!status.ok()) {
    impl_->end_writing(writing);
    co_return status;
  }
  DataCall call({0, lock::kExtentEnd});
  call.behind = writing.number;
  if (of_map) {
    status = co_await impl_->write_pages(handle, offset, data, parts, size, *details);
    impl_->end_writing(writing);
    if (!status.ok()) co_return status;
    co_return size;
  }
  status = co_await impl_->enter_write(handle, offset, size, details, call);
  if (!status.ok()) {
    impl_->end_writing(writing);
    co_return status;
  }
  // Two appends must not choose the same end of the file.
  std::shared_ptr<AsyncMutex> appending;
  std::uint64_t place = offset;
  if (handle->appends(details)) {
    if (handle->node->append_mutex == nullptr)
      handle->node->append_mutex = std::make_shared<AsyncMutex>(impl_->runtime);
    appending = handle->node->append_mutex;
    co_await appending->lock();
    place = handle->node->inode.size;
  }
  auto result = co_await impl_->write(handle, place, data, parts, size, details);
  if (appending != nullptr) appending->unlock();
  impl_->leave(*handle->node, call);
  impl_->end_writing(writing);
  if (result.ok() && details != nullptr && details->offset != offset && impl_->kernel != nullptr) {
    // The kernel chose another place for the bytes: what it has of the file there is wrong. Before the answer, so that
    // nobody's next question meets it.
    co_await impl_->attributes_told(handle->node);
    co_await impl_->kernel->drop_pages(handle->inode());
  }
  co_return result;
}

Task<Status> FileSystem::flush(fs::HandleId id, std::uint64_t lock_owner) {
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr) co_return posix_error(EBADF);
  // What closed the file is said; that locks were not given up is for the log, since no program can do more about it.
  static_cast<void>(co_await impl_->advisory.on_close(handle->inode(), id, lock_owner));
  if (handle->writes()) co_await impl_->behind_stored(*handle->node);
  if (handle->broken) co_return Status{Code::io_error, EIO, "changes of this open file were lost"};
  // Who only reads must not take the error away from who wrote.
  const bool tells = handle->data != nullptr && handle->writes();
  co_return tells ? handle->data->take_error(&handle->errors_heard) : kOk;
}

Task<Status> FileSystem::set_lock(AdvisoryLock lock, Interruption* interruption) {
  HandleRef handle = impl_->find_handle(lock.handle);
  if (handle == nullptr) co_return posix_error(EBADF);
  Status status = co_await impl_->usable(handle);
  if (!status.ok()) co_return status;
  status = co_await impl_->advisory.set(handle->inode(), lock, interruption);
  co_return status;
}

Task<Result<AdvisoryConflict>> FileSystem::test_lock(AdvisoryLock lock) {
  HandleRef handle = impl_->find_handle(lock.handle);
  if (handle == nullptr) co_return posix_error(EBADF);
  const Status status = co_await impl_->usable(handle);
  if (!status.ok()) co_return status;
  auto result = co_await impl_->advisory.test(handle->inode(), lock);
  co_return result;
}

Task<Status> FileSystem::sync(fs::HandleId id, bool data_only) {
  static_cast<void>(data_only);  // the size belongs to the data, and both travel in one call
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr) co_return posix_error(EBADF);
  Status status = co_await impl_->usable(handle);
  if (!status.ok()) co_return status;
  status = co_await impl_->sync(handle);
  // The server may have been lost before the call or under way, when what it had to be told was forgotten.
  if (std::exchange(handle->lost_changes, false) || handle->broken) {
    co_return Status{Code::io_error, EIO, "changes of this file were lost with the metadata server"};
  }
  co_return status;
}

}  // namespace rideau::client
