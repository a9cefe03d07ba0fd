// SPDX-License-Identifier: Apache-2.0
// The inodes this client knows something about: what it holds of each, attributes that are right meanwhile, values of
// files written here, and what the kernel above may have cached. Bounded: the inode that was not used for the longest
// time goes first; those that are pinned (open, in use by a call, with news for the metadata server) or whose lock is
// held stay.
#pragma once

#include "framework/base/result.hpp"
#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/sync.hpp"
#include "plugins/client/node_parts.hpp"
#include "plugins/fs/inode.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rideau::client {

// What is held of an inode, and how far giving it back has come (file_system_locking.cpp).
struct NodeLock {
  lock::Mode mode = lock::Mode::none;
  bool divided = false;           // in parts: a shared lock, without size, times and bytes
  bool closing = false;           // it is being given back
  bool releasing = false;         // pages are going; only data calls that the kernel may hold pages for may start
  bool sealed = false;            // no data call may start under this lock any more
  bool expiring = false;          // calls for attributes wait, too
  bool fetching = false;          // somebody asks the server for it
  bool held_up = false;           // data calls wait for a moment
  bool dropping = false;          // pages are being dropped
  lock::GrantNumber first = 0;    // grant with which it came
  lock::GrantNumber number = 0;   // newest grant; while nothing is held: the newest that was given back
  std::uint64_t stamp = 0;        // of this holding, from its beginning to its end; never the same twice
  std::uint32_t giving_back = 0;  // messages on their way that give it back
  std::uint32_t data_uses = 0;    // calls that rest on it
  std::uint32_t tellings = 0;     // messages on their way that tell size and times
  std::uint64_t failures = 0;     // of asking the server for it
  Status failure{};               // the last one
  // Calls for attributes are counted in two turns, so that one can wait for those of before.
  std::uint64_t attribute_calls = 0;
  std::uint32_t asking[2] = {};
  unsigned turn = 0;
  bool turning = false;                  // somebody waits for those of one turn
  std::uint64_t expired = 0;             // when its attributes expired in the kernel: FileSystem's count
  std::uint64_t contended_until_ns = 0;  // another client wanted it not long ago
};

struct Node {
  fs::Inode inode{};
  NodeLock lock{};
  bool valid = false;              // the attributes are right while the lock is held
  bool size_known = false;         // size and blocks are: the record was exact, the objects were asked, or written here
  bool changed = false;            // written here: size and times that the metadata server was not told yet
  bool kernel_attributes = false;  // the kernel may have the attributes
  bool nameless = false;           // made here without a name, and may still get one
  bool at_least = false;           // others may have made it larger, and changed it later, than is known here
  // Of files that are, or were under this lock, inline:
  bool inline_kept = false;        // the server has bytes of it
  bool moved_out = false;          // they are in objects, and the server was not told yet
  bool touched = false;            // there may be objects, whatever the server says
  bool refused = false;            // the server had no room: they are on their way to objects
  std::uint32_t moving_out = 0;    // tasks that take them there: where they are can be told when these have ended
  std::uint32_t handles = 0;       // of this client
  std::uint32_t writers = 0;       // of them, those that are open for writing
  std::uint32_t cuts = 0;          // how often it was cut or grown here, to a given size
  std::uint64_t change_count = 0;  // of local changes to size and times: has one come since a call was sent?
  fs::HandleId kept_open = 0;      // the server has it open for reading, nobody here: for the next who opens it. 0: not
  std::uint64_t transaction = 0;   // the highest that touched this inode, as far as known here
  std::shared_ptr<AsyncMutex> append_mutex;  // made with the first append: one at a time
  std::unique_ptr<NodeParts> parts;          // made when it is locked in parts for the first time

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
  // is older than what is known changes nothing. `covered`: under the lock that is held, so that it goes on to be
  // right; else it is right for who asked, and changes nothing that is known under the lock.
  NodeRef update(const fs::Inode& fresh, bool covered);
  // The lock goes: nothing is known any more.
  void lose(Node& node);
  // All locks are lost, and with them everything that was known. Nodes that are pinned stay, without attributes.
  void drop_all();
  // Forgets the inode, unless it is pinned or its lock is held.
  void let_go(fs::InodeId id);
  // Grants up to this number are void for inodes that are not known here: they were given back.
  void void_grants(lock::GrantNumber upto) noexcept { void_grants_ = std::max(void_grants_, upto); }
  // Of those that were not used for the longest time, some whose lock is held and that are not pinned, but for the pins
  // that go with the lock (`pins_of_lock` says how many these are).
  std::vector<NodeRef> oldest_held(std::size_t count, const std::function<std::uint32_t(const Node&)>& pins_of_lock);
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
  lock::GrantNumber void_grants_ = 0;
};

}  // namespace rideau::client
