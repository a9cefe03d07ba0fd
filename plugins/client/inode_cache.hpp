// SPDX-License-Identifier: Apache-2.0
// The inodes this client knows something about: attributes that hold while it has the lock, values of files written
// here, and what the kernel above may have cached. Bounded: the inode that was not used for the longest time goes
// first; those that are pinned (open, in use by a call, with news for the metadata server) stay.
#pragma once

#include "framework/runtime/sync.hpp"
#include "plugins/fs/inode.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

namespace rideau::client {

struct Node {
  fs::Inode inode{};
  bool valid = false;              // the attributes are right while the lock is held
  bool size_known = false;         // size and blocks are: the record was exact, the objects were asked, or written here
  bool changed = false;            // written here: size and times that the metadata server was not told yet
  bool kernel_attributes = false;  // the kernel may have the attributes
  std::uint32_t writers = 0;       // handles of this client that are open for writing
  std::uint64_t change_count = 0;  // of local changes to size and times: has one come since a call was sent?
  std::uint64_t transaction = 0;   // the highest that touched this inode, as far as known here
  std::shared_ptr<AsyncMutex> append_mutex;  // made with the first append: one at a time

  // Of directories: whether the answer of a lookup may be kept. It may not when a name changed while it was under way.
  std::uint64_t name_changes = 0;
  std::uint32_t name_changes_running = 0;
  bool names_complete = false;  // made here: the name cache has every name there is

  // The cache's own.
  std::uint32_t pins = 0;
  Node* newer = nullptr;
  Node* older = nullptr;
};

// Pins a node while it lives.
class NodeRef {
 public:
  NodeRef() = default;
  explicit NodeRef(Node& node) noexcept : node_(&node) { ++node.pins; }
  NodeRef(const NodeRef& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) ++node_->pins;
  }
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef() {
    if (node_ != nullptr) --node_->pins;
  }
  Node* operator->() const noexcept { return node_; }
  Node& operator*() const noexcept { return *node_; }
  explicit operator bool() const noexcept { return node_ != nullptr; }

 private:
  Node* node_ = nullptr;
};

class InodeCache {
 public:
  // `on_evict` hears of each node that goes for lack of room or by drop_all(), before it goes.
  InodeCache(std::size_t nodes_max, std::function<void(Node&)> on_evict)
      : nodes_max_(nodes_max), on_evict_(std::move(on_evict)) {}
  InodeCache(const InodeCache&) = delete;
  InodeCache& operator=(const InodeCache&) = delete;

  Node* find(fs::InodeId id) noexcept;  // null: unknown
  NodeRef get(fs::InodeId id);          // made when unknown, then without attributes
  // What the metadata server said. Values written here win over the record's until it was told of them; an answer that
  // is older than what is known changes nothing.
  NodeRef update(const fs::Inode& fresh);
  void forget(fs::InodeId id);  // the inode is gone; a pinned node only loses its attributes
  // Nothing is known any more. Nodes that are pinned stay, without attributes.
  void drop_all();
  // Most recently used first; `visit` must not add or remove nodes.
  void for_each(const std::function<void(Node&)>& visit);
  std::size_t size() const noexcept { return nodes_.size(); }

 private:
  void unlink(Node& node) noexcept;
  void link_first(Node& node) noexcept;
  void make_room();

  std::size_t nodes_max_;
  std::function<void(Node&)> on_evict_;
  std::unordered_map<fs::InodeId, std::unique_ptr<Node>> nodes_;
  Node* newest_ = nullptr;
  Node* oldest_ = nullptr;
};

}  // namespace rideau::client
