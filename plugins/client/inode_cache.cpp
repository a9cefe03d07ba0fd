// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/inode_cache.hpp"

#include <algorithm>

namespace rideau::client {
namespace {

// A full cache looks at this many of its oldest nodes for one that may go; all pinned: it grows for the moment.
constexpr int kEvictionTries = 16;

void keep_local_values(const fs::Inode& local, fs::Inode& fresh) {
  fresh.size = local.size;
  fresh.blocks = local.blocks;
  fresh.ctime_ns = std::max(fresh.ctime_ns, local.ctime_ns);
  if (fresh.time_generation == local.time_generation) fresh.mtime_ns = std::max(fresh.mtime_ns, local.mtime_ns);
}

// Several wrote it: none of them knows less than what is so.
void keep_greater_values(const fs::Inode& local, fs::Inode& fresh) {
  fresh.size = std::max(fresh.size, local.size);
  fresh.blocks = std::max(fresh.blocks, local.blocks);
  fresh.ctime_ns = std::max(fresh.ctime_ns, local.ctime_ns);
  if (fresh.time_generation == local.time_generation) fresh.mtime_ns = std::max(fresh.mtime_ns, local.mtime_ns);
}

}  // namespace

Node* InodeCache::find(fs::InodeId id) noexcept {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return nullptr;
  Node& node = *found->second;
  if (newest_ != &node) {
    unlink(node);
    link_first(node);
  }
  return &node;
}

NodeRef InodeCache::get(fs::InodeId id) {
  if (Node* known = find(id); known != nullptr) return NodeRef(*known);
  make_room();
  auto made = std::make_unique<Node>();
  made->inode.id = id;
  made->lock.number = void_grants_;
  NodeRef node(*made);
  link_first(*made);
  nodes_.emplace(id, std::move(made));
  return node;
}

NodeRef InodeCache::update(const fs::Inode& fresh, bool covered) {
  NodeRef node = get(fresh.id);
  if (node->valid && (!covered || fresh.change < node->inode.change)) return node;
  // An answer of before a change that is known of is not what holds now.
  const bool stale = fresh.change < node->transaction;
  node->transaction = std::max(node->transaction, fresh.change);
  const bool exact = (fresh.flags & fs::kExact) != 0;
  const bool size_was_known = covered && node->size_known;
  const fs::Inode before = node->inode;
  node->inode = fresh;
  if (node->at_least) {
    // A size of before a cut is none, however large.
    const bool older = !covered || fresh.change < before.change;
    if (node->size_known && older) keep_local_values(before, node->inode);
    if (node->size_known && !older) keep_greater_values(before, node->inode);
    // What a writer left who died, the objects alone know: they are asked once, as for a whole lock.
    node->size_known = node->size_known || !fresh.is_regular();
    node->at_least = node->lock.divided || !covered;
    node->valid = covered && !stale;
    return node;
  }
  if (node->changed) {
    keep_local_values(before, node->inode);
    node->size_known = true;
  } else if (size_was_known && !exact) {
    node->inode.size = before.size;
    node->inode.blocks = before.blocks;
  } else {
    node->size_known = exact || !fresh.is_regular();
  }
  node->inline_kept = node->inline_kept || (fresh.is_inline() && fresh.size != 0);
  if (node->moved_out) node->inode.flags &= ~static_cast<std::uint32_t>(fs::kInline);
  if (node->touched) node->inode.flags &= ~static_cast<std::uint32_t>(fs::kUntouched);
  node->valid = covered && !stale;
  return node;
}

void InodeCache::let_go(fs::InodeId id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  Node& node = *found->second;
  if (node.pins != 0 || node.lock.mode != lock::Mode::none) return;
  void_grants(node.lock.number);
  on_evict_(node);
  unlink(node);
  nodes_.erase(found);
}

void InodeCache::lose(Node& node) {
  on_evict_(node);
  node.valid = false;
  node.size_known = false;
  node.changed = false;
  node.inline_kept = node.moved_out = false;
  node.at_least = false;
  node.names_complete = false;
}

void InodeCache::drop_all() {
  void_grants_ = 0;
  for (Node* node = newest_; node != nullptr;) {
    Node* next = node->older;
    lose(*node);
    // What is counted goes on: calls that rest on the lock end as they may.
    NodeLock& lock = node->lock;
    lock.mode = lock::Mode::none;
    lock.divided = lock.closing = lock.releasing = lock.sealed = lock.expiring = lock.held_up = false;
    if (node->parts != nullptr) {
      node->parts->held.clear();
      node->parts->end_known = false;
    }
    lock.first = lock.number = 0;
    if (node->pins == 0) {
      unlink(*node);
      nodes_.erase(node->inode.id);
    }
    node = next;
  }
}

std::vector<NodeRef> InodeCache::oldest_held(std::size_t count,
                                             const std::function<std::uint32_t(const Node&)>& pins_of_lock) {
  std::vector<NodeRef> found;
  for (Node* node = oldest_; node != nullptr && found.size() < count; node = node->newer) {
    const bool held = node->lock.mode != lock::Mode::none && !node->lock.closing;
    if (held && (node->pins == 0 || node->pins == pins_of_lock(*node))) found.emplace_back(*node);
  }
  return found;
}

void InodeCache::for_each(const std::function<void(Node&)>& visit) {
  for (Node* node = newest_; node != nullptr; node = node->older) visit(*node);
}

void InodeCache::make_room() {
  for (int tries = 0; nodes_.size() >= nodes_max_ && oldest_ != nullptr && tries < kEvictionTries; ++tries) {
    Node& candidate = *oldest_;
    unlink(candidate);
    if (candidate.pins != 0 || candidate.lock.mode != lock::Mode::none) {
      link_first(candidate);
      continue;
    }
    link_first(candidate);
    let_go(candidate.inode.id);
  }
}

void InodeCache::unlink(Node& node) noexcept {
  (node.newer != nullptr ? node.newer->older : newest_) = node.older;
  (node.older != nullptr ? node.older->newer : oldest_) = node.newer;
  node.newer = nullptr;
  node.older = nullptr;
}

void InodeCache::link_first(Node& node) noexcept {
  node.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &node;
  newest_ = &node;
}

}  // namespace rideau::client
