// SPDX-License-Identifier: Apache-2.0
// What the metadata server must still hear of files: handles that were closed, sizes and times of what was written. It
// is told in batches, soon after a close; of an inode always before its lock is given back.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>

namespace rideau::client {
namespace {

// A call is on its way that tells of it. Another one waits for its answer: the server may take the later one first.
bool is_told(const Node& node) noexcept { return node.lock.tellings != 0 && !RIDEAU_PLANTED_BUG(tells_out_of_turn); }

}  // namespace

void FileSystem::Impl::mark_changed(Node& node) {
  node.changed = true;
  ++node.change_count;
  changed.try_emplace(node.inode.id, NodeRef(node));
}

void FileSystem::Impl::queue_close(HandleRef handle) {
  Node& node = *handle->node;
  if (handle->writes()) {
    RIDEAU_ASSERT(node.writers > 0);
    --node.writers;
  }
  RIDEAU_ASSERT(node.handles > 0);
  // A share that nobody uses keeps the others from having the file whole.
  if (--node.handles == 0 && node.lock.divided) start_release(handle->node);
  if (handle->epoch != epoch || handle->broken) return;  // the server has forgotten it
  if (keep_open(*handle)) return;
  const bool dirty = handle->data != nullptr && handle->data->dirty();
  closes.push_back(PendingClose{handle});
  if (dirty && handle->writes()) {
    tasks->spawn(flush_released(std::move(handle)));
  } else {
    kick_closes();
  }
}

bool FileSystem::Impl::keep_open(const Handle& handle) {
  Node& node = *handle.node;
  const bool covered = node.valid && node.lock.mode != Mode::none && !node.lock.divided && !node.lock.closing;
  if (handle.writes() || !node.inode.is_regular() || !covered || stopped) return false;
  if (node.inode.link_count == 0 || node.kept_open != 0 || kept_opens >= kKeptOpensMax) return false;
  node.kept_open = handle.id;
  ++kept_opens;
  return true;
}

HandleRef FileSystem::Impl::open_kept(NodeRef node, std::uint32_t flags, const fs::Caller& caller) {
  const bool covered = node->valid && node->lock.mode != Mode::none && !node->lock.divided && !node->lock.closing;
  if (node->kept_open == 0 || !covered) return nullptr;
  --kept_opens;
  return add_handle(std::exchange(node->kept_open, 0), node, flags, caller);
}

void FileSystem::Impl::end_kept(Node& node) {
  if (node.kept_open == 0) return;
  --kept_opens;
  close_kept(node, std::exchange(node.kept_open, 0));
}

void FileSystem::Impl::close_kept(Node& node, fs::HandleId id) {
  auto handle = std::make_shared<Handle>(runtime, id, NodeRef(node));
  handle->flags = fs::kOpenRead;
  handle->epoch = epoch;
  closes.push_back(PendingClose{std::move(handle)});
  kick_closes();
}

// The size is told when the bytes are at their targets: a crash in between must not leave a record that calls itself
// exact.
Task<> FileSystem::Impl::flush_released(HandleRef handle) {
  static_cast<void>(co_await handle->data->flush());
  kick_closes();
}

void FileSystem::Impl::kick_closes() {
  if (sending || stopped) return;
  if (closes.size() >= kCloseItemsMax) {
    close_alarm.clear();
    tasks->spawn(send_ready());
  } else if (!close_alarm.pending()) {
    close_alarm.set(kCloseDelayNs);
  }
}

bool FileSystem::Impl::ready(const PendingClose& item) const {
  if (item.handle->node->refused) return false;
  return item.handle->data == nullptr || !item.handle->writes() || !item.handle->data->dirty();
}

Task<> FileSystem::Impl::send_ready() {
  if (sending) co_return;
  const Status status = co_await send_batch(false);
  if (!status.ok()) log.warning("telling the metadata server of closed files: %s", code_name(status.code));
}

fs::SizeUpdate FileSystem::Impl::size_update(Node& node) {
  fs::SizeUpdate update;
  update.present = node.lock.mode != Mode::none && node.size_known && node.inode.is_regular();
  if (update.present && (resizing.contains(node.inode.id) || node.moving_out != 0)) {
    // The record will say what the cut leaves, or where the bytes went. Whatever was to be told is told afterwards.
    mark_changed(node);
    update.present = false;
  }
  if (!update.present) return update;
  const std::shared_ptr<FileData> data = plane.find(node.inode.id);
  if (data != nullptr) node.inode.blocks = std::max(node.inode.blocks, data->blocks_hint());
  update.size = node.inode.size;
  update.blocks = node.inode.blocks;
  update.mtime_ns = node.inode.mtime_ns;
  update.time_generation = node.inode.time_generation;
  update.at_least = node.at_least;
  return update;
}

FileSystem::Impl::Telling FileSystem::Impl::begin_telling(NodeRef node, const fs::InlineBytes& bytes) {
  ++node->lock.tellings;  // the lock does not go before this has come to the server
  const std::uint64_t change_count = node->change_count;
  return Telling{std::move(node), change_count, bytes.present, bytes.moved_out};
}

void FileSystem::Impl::told(const Telling& one, std::uint64_t transaction) {
  Node& node = *one.node;
  node.transaction = std::max(node.transaction, transaction);
  if (one.moved_out) node.moved_out = false;
  if (one.bytes) node.inline_kept = true;
  if (node.change_count != one.change_count) return;  // written again meanwhile
  node.changed = false;
  const std::shared_ptr<FileData> data = one.bytes ? plane.find(node.inode.id) : nullptr;
  if (data != nullptr) data->told_inline();
}

// Sends queued closes and news, at most one call's worth. `everything`: also what is not ready, and files still open.
Task<Status> FileSystem::Impl::send_batch(bool everything) {
  sending = true;
  const std::uint64_t before = epoch;
  fs::CloseRequest request;
  std::vector<Telling> tellings;
  const auto is_here = [&tellings](const Node& node) {
    const auto is_node = [&node](const Telling& one) { return &*one.node == &node; };
    return std::any_of(tellings.begin(), tellings.end(), is_node);
  };
  std::uint64_t bytes = 0;  // of inline files
  std::vector<PendingClose> taken;
  for (auto item = closes.begin();
       item != closes.end() && request.items.size() < kCloseItemsMax && bytes < kInlineBytesPerCall;) {
    Node& node = *item->handle->node;
    if ((!everything && !ready(*item)) || (item->handle->writes() && is_told(node) && !is_here(node))) {
      ++item;
      continue;
    }
    fs::CloseItem entry;
    entry.inode = node.inode.id;
    entry.handle = item->handle->id;
    if (item->handle->writes()) entry.update = size_update(node);
    entry.untouched = !item->handle->touched;
    if (entry.update.present) {
      entry.bytes = inline_news(node, entry.update);
      bytes += entry.bytes.bytes.size();
      tellings.push_back(begin_telling(item->handle->node, entry.bytes));
    }
    request.items.push_back(entry);
    taken.push_back(std::move(*item));
    item = closes.erase(item);
  }
  for (auto entry = changed.begin();
       entry != changed.end() && request.items.size() < kCloseItemsMax && bytes < kInlineBytesPerCall; ++entry) {
    Node& node = *entry->second;
    if (!node.changed || (!everything && (node.writers != 0 || node.refused))) continue;
    if (is_told(node) || is_here(node)) continue;
    const std::shared_ptr<FileData> data = plane.find(node.inode.id);
    if (!everything && data != nullptr && data->dirty()) continue;
    fs::CloseItem update;
    update.inode = node.inode.id;
    update.update = size_update(node);
    if (!update.update.present) continue;
    update.bytes = inline_news(node, update.update);
    update.untouched = node.inode.is_inline() && !node.touched;
    bytes += update.bytes.bytes.size();
    tellings.push_back(begin_telling(entry->second, update.bytes));
    request.items.push_back(update);
  }
  Status status = kOk;
  std::uint64_t transaction = 0;
  if (!request.items.empty()) {
    const MetaReply<Nothing> reply = co_await meta.close(request);
    status = reply.status;
    transaction = reply.transaction;
  }
  std::vector<NodeRef> refused;
  for (const Telling& one : tellings) --one.node->lock.tellings;
  if (epoch == before) {
    if (status.ok()) {
      for (const Telling& one : tellings) told(one, transaction);
    } else if (status.code == Code::no_space) {
      // Nothing of it was done. What the server has no room for goes to objects, and all is told once more.
      for (const Telling& one : tellings) {
        if (one.bytes) refused.push_back(one.node);
      }
      closes.insert(closes.begin(), std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
    }
    std::erase_if(changed, [](const auto& entry) { return !entry.second->changed; });
  }
  sending = false;
  sent.wake_all();
  if (!refused.empty()) {
    status = kOk;
    for (const NodeRef& node : refused) node->refused = true;
    if (!everything) tasks->spawn(move_all_refused(std::move(refused)));
    if (everything) co_await move_all_refused(std::move(refused));
  }
  const bool more = std::any_of(closes.begin(), closes.end(), [this](const PendingClose& item) { return ready(item); });
  if (more && bytes >= kInlineBytesPerCall) {
    tasks->spawn(send_ready());
  } else if (more) {
    kick_closes();
  }
  co_return status;
}

Task<Status> FileSystem::Impl::send_everything() {
  const std::uint64_t before = epoch;
  close_alarm.clear();
  // What comes meanwhile (when the lock stays) is not waited for.
  std::size_t calls_left = (closes.size() + changed.size()) / kCloseItemsMax + 2;
  calls_left = 2 * (calls_left + 2 * plane.dirty_bytes() / kInlineBytesPerCall);
  for (;;) {
    while (sending) co_await sent.wait();
    if (epoch != before) co_return Status{Code::closed, 0, "the metadata server restarted"};
    const auto cannot_go = [](const Node& node) { return node.moving_out != 0 || is_told(node); };
    const auto news_wait = [&](const auto& entry) { return cannot_go(*entry.second); };
    const auto close_waits = [&](const auto& item) { return item.handle->writes() && cannot_go(*item.handle->node); };
    if (std::any_of(changed.begin(), changed.end(), news_wait) ||
        std::any_of(closes.begin(), closes.end(), close_waits)) {
      co_await sent.wait();
      continue;
    }
    const auto is_news = [](const auto& entry) { return entry.second->changed; };
    if (closes.empty() && std::none_of(changed.begin(), changed.end(), is_news)) co_return kOk;
    if (calls_left-- == 0) co_return kOk;
    const Status status = co_await send_batch(true);
    if (!status.ok()) co_return status;
  }
}

Task<Status> FileSystem::Impl::send_size(NodeRef node) {
  const auto cannot_go = [&] { return resizing.contains(node->inode.id) || node->moving_out != 0 || is_told(*node); };
  while (cannot_go()) co_await sent.wait();
  if (!node->changed) co_return kOk;
  fs::CloseRequest request;
  fs::CloseItem item;
  item.inode = node->inode.id;
  item.update = size_update(*node);
  if (!item.update.present) co_return kOk;
  item.bytes = inline_news(*node, item.update);
  item.untouched = node->inode.is_inline() && !node->touched;
  const std::uint64_t before = epoch;
  const Telling telling = begin_telling(node, item.bytes);
  request.items.push_back(item);
  const MetaReply<Nothing> reply = co_await meta.close(request);
  --node->lock.tellings;
  sent.wake_all();
  if (reply.ok()) told(telling, reply.transaction);
  if (reply.status.code == Code::no_space && epoch == before && telling.bytes) {
    const bool moved = co_await move_refused(node);
    if (moved) co_return co_await send_size(node);
  }
  if (!node->changed) changed.erase(node->inode.id);
  const auto waits = [&node](const PendingClose& close) { return &*close.handle->node == &*node; };
  if (std::any_of(closes.begin(), closes.end(), waits)) kick_closes();
  co_return reply.status;
}

}  // namespace rideau::client
