// SPDX-License-Identifier: Apache-2.0
// Small files, whose bytes go to the metadata server with size and times and come with the answer to an open: when they
// are told, and how a file leaves for objects. Whoever writes one has its exclusive lock.
//
// Moving out: the bytes are written to objects, durably where the server had some, and only then the server is told to
// drop its own. Until it has heard, the file is what the server has.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <cerrno>
#include <utility>

namespace rideau::client {

Task<Result<std::string>> FileSystem::Impl::read_inline(fs::InodeId inode) {
  auto reply = co_await meta.read_inline(inode);
  if (!reply.ok()) co_return reply.status;
  if (!reply.body.is_inline) co_return posix_error(EIO, "the bytes of a file are somewhere else");
  RIDEAU_MARK(inline_bytes_fetched);
  co_return std::move(reply.body.bytes);
}

void FileSystem::Impl::inline_due(fs::InodeId inode) {
  due.insert(inode);
  if (!std::exchange(sending_due, true)) tasks->spawn(send_due());
}

Task<> FileSystem::Impl::send_due() {
  co_await yield_now(runtime);
  while (!due.empty()) {
    Node* node = inodes.find(*due.begin());
    due.erase(due.begin());
    if (node == nullptr || !node->changed) continue;
    NodeRef kept(*node);
    static_cast<void>(co_await send_size(std::move(kept)));
  }
  sending_due = false;
}

bool FileSystem::Impl::wants_bytes(Node& node, std::uint32_t flags) {
  if ((flags & fs::kOpenTruncate) != 0) return false;
  if (node.valid && (!node.inode.is_regular() || !node.inode.is_inline())) return false;
  const std::shared_ptr<FileData> data = plane.find(node.inode.id);
  return data == nullptr || !node.valid || !data->has_inline(node.inode.size);
}

// Without the lock nobody knows for how long they are right.
void FileSystem::Impl::take_bytes(NodeRef node, const fs::OpenReply& reply) {
  const bool covered = node->valid && node->lock.mode != Mode::none && !node->lock.closing;
  if (!reply.has_bytes || !covered || node->changed || !node->inode.is_inline()) return;
  if (reply.bytes.size() == node->inode.size) data_of(*node)->put_inline(Bytes(reply.bytes));
}

fs::InlineBytes FileSystem::Impl::inline_news(const Node& node, const fs::SizeUpdate& update) {
  fs::InlineBytes news;
  news.moved_out = node.moved_out;
  if (!node.inode.is_inline()) return news;
  const std::shared_ptr<FileData> data = plane.find(node.inode.id);
  const std::optional<Bytes> unsent = data != nullptr ? data->unsent_inline(update.size) : std::nullopt;
  news.present = unsent.has_value();
  if (unsent) news.bytes = unsent->view();
  return news;
}

Task<Result<std::uint64_t>> FileSystem::Impl::write_bytes(HandleRef handle, std::uint64_t offset, const IoVec* data,
                                                          std::uint32_t parts, const Buffers* lent) {
  Node& node = *handle->node;
  if (node.inode.is_inline()) {
    const Result<bool> kept = co_await handle->data->write_inline(offset, data, parts, node.inode.size);
    if (!kept.ok()) co_return kept.status();
    std::uint64_t size = 0;
    for (std::uint32_t i = 0; i < parts; ++i) size += data[i].size;
    if (*kept) co_return size;
    handle->touched = true;
    const Status moved = co_await move_out(handle->node, true);
    if (!moved.ok()) co_return moved;
  }
  handle->touched = true;
  auto result = co_await handle->data->write(offset, data, parts, lent);
  co_return result;
}

// Meanwhile the size is not told: the server would have it without the bytes, and nothing would be news any more here.
Task<Status> FileSystem::Impl::move_out(NodeRef node, bool opened) {
  ++node->moving_out;
  const Status moved = co_await move_bytes_out(node, opened);
  --node->moving_out;
  sent.wake_all();
  co_return moved;
}

Task<Status> FileSystem::Impl::move_bytes_out(NodeRef node, bool opened) {
  const std::uint64_t before = epoch;
  const bool untouched = (node->inode.flags & fs::kUntouched) != 0;
  if (!opened && untouched) {
    // There may be objects from here on, whatever becomes of this client.
    fs::CloseRequest touched;
    touched.items.push_back({node->inode.id, 0, {}});
    const MetaReply<Nothing> told = co_await meta.close(touched);
    if (!told.ok()) co_return told.status;
  }
  if (!plane.knows(node->inode.layout)) co_await learn_targets();
  const std::shared_ptr<FileData> data = data_of(*node);
  const bool durable = node->inline_kept && !RIDEAU_PLANTED_BUG(moves_out_before_it_is_safe);
  const bool cut_first = !opened || !untouched;
  node->touched = true;
  node->inode.flags &= ~static_cast<std::uint32_t>(fs::kUntouched);
  if (durable) RIDEAU_MARK(inline_bytes_moved_durably);
  const Status status = co_await data->move_out(node->inode.size, cut_first, durable);
  if (epoch != before) co_return Status{Code::io_error, EIO, "the lock was lost while a file was moved out"};
  if (status.ok() && node->inode.is_inline()) {
    RIDEAU_MARK(inline_file_moved_out);
    node->inode.flags &= ~static_cast<std::uint32_t>(fs::kInline);
    node->moved_out = true;
    mark_changed(*node);
  }
  if (!status.ok() && !data->has_inline(node->inode.size)) {
    // What was not told is lost, as who has the file open hears: it is again what the server has.
    node->valid = node->size_known = node->changed = false;
  }
  co_return status;
}

Task<bool> FileSystem::Impl::move_refused(NodeRef node) {
  RIDEAU_MARK(inline_bytes_refused);
  ++refusals;
  const std::uint64_t before = epoch;
  // Who cuts the file must know where its bytes are: he waits for this, or this for him.
  while (epoch == before && resizing.contains(node->inode.id)) co_await sent.wait();
  if (epoch != before) co_return false;
  ++node->lock.tellings;
  for (PendingClose& item : closes) {
    if (&*item.handle->node == &*node) item.handle->touched = true;
  }
  const Status status = co_await move_out(node, false);
  --node->lock.tellings;
  sent.wake_all();
  if (epoch != before) co_return false;
  node->refused = false;
  if (!status.ok()) {
    const std::shared_ptr<FileData> data = plane.find(node->inode.id);
    if (data != nullptr) data->lose_inline(status);
    node->valid = node->size_known = node->changed = false;
  }
  co_return status.ok();
}

Task<> FileSystem::Impl::move_all_refused(std::vector<NodeRef> nodes) {
  for (const NodeRef& node : nodes) {
    const bool stays = stay(*node);  // else who gives the lock back tells it himself
    if (stays && node->inode.is_inline()) co_await move_refused(node);
    if (stays) leave(*node);
    node->refused = false;
  }
  kick_closes();
}

// The server cuts what it has; what it does not know of goes with the call.
Task<MetaReply<fs::InodeReply>> FileSystem::Impl::resize_inline(fs::SetAttributesRequest& request, NodeRef node) {
  const std::uint64_t before = epoch;
  const std::uint64_t old_size = node->inode.size;
  const std::shared_ptr<FileData> data = data_of(*node);
  MetaReply<fs::InodeReply> reply;
  std::string bytes;
  if (request.size != 0 && (request.size > old_size || data->unsent_inline(old_size))) {
    reply.status = co_await data->load_inline(node->inode.size);
    if (!reply.ok()) co_return reply;
    const std::optional<Bytes> all = data->all_inline(node->inode.size);
    if (epoch != before || !all) {
      reply.status = rpc::kNeverSent;
      co_return reply;
    }
    bytes = all->view();
    bytes.resize(request.size, '\0');
    request.bytes.present = true;
    request.bytes.bytes = bytes;
  }
  const std::uint64_t change_count = node->change_count;
  reply = co_await meta.set_attributes(request);
  if (!reply.ok()) co_return reply;
  if (epoch != before) {
    reply.status = rpc::kOutcomeUnknown;
    co_return reply;
  }
  learn(reply.body.inode);
  if (request.bytes.present) node->inline_kept = true;
  if (node->change_count == change_count && (request.bytes.present || request.size == 0)) data->told_inline();
  node->inode.size = request.size;
  node->inode.blocks = (request.size + 511) / 512;
  node->size_known = true;
  ++node->change_count;
  reply.status = co_await data->truncate(old_size, request.size);
  co_return reply;
}

}  // namespace rideau::client
