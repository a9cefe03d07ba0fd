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
  NodeRef node(*made);
  link_first(*made);
  nodes_.emplace(id, std::move(made));
  return node;
}

NodeRef InodeCache::update(const fs::Inode& fresh) {
  NodeRef node = get(fresh.id);
  node->transaction = std::max(node->transaction, fresh.change);
  if (node->valid && fresh.change < node->inode.change) return node;
  const bool exact = (fresh.flags & fs::kExact) != 0;
  const bool size_was_known = node->size_known;
  const fs::Inode before = node->inode;
  node->inode = fresh;
  if (node->changed) {
    keep_local_values(before, node->inode);
    node->size_known = true;
  } else if (size_was_known && !exact) {
    node->inode.size = before.size;
    node->inode.blocks = before.blocks;
  } else {
    node->size_known = exact || !fresh.is_regular();
  }
  node->valid = true;
  return node;
}

void InodeCache::forget(fs::InodeId id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  Node& node = *found->second;
  node.valid = false;
  node.size_known = false;
  if (node.pins != 0) return;
  on_evict_(node);
  unlink(node);
  nodes_.erase(found);
}

void InodeCache::drop_all() {
  for (Node* node = newest_; node != nullptr;) {
    Node* next = node->older;
    on_evict_(*node);
    node->valid = false;
    node->size_known = false;
    node->changed = false;
    node->names_complete = false;
    if (node->pins == 0) {
      unlink(*node);
      nodes_.erase(node->inode.id);
    }
    node = next;
  }
}

void InodeCache::for_each(const std::function<void(Node&)>& visit) {
  for (Node* node = newest_; node != nullptr; node = node->older) visit(*node);
}

void InodeCache::make_room() {
  for (int tries = 0; nodes_.size() >= nodes_max_ && oldest_ != nullptr && tries < kEvictionTries; ++tries) {
    Node& candidate = *oldest_;
    unlink(candidate);
    if (candidate.pins != 0) {
      link_first(candidate);
      continue;
    }
    on_evict_(candidate);
    nodes_.erase(candidate.inode.id);
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
