// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/model_fs.hpp"

#include "framework/base/checksum.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>

namespace rideau::sim {

namespace {
// Numbers for inodes of calls that were never answered, until another call tells the real one.
constexpr fs::InodeId kFirstUnknown = 1ull << 62;

// Of a call on an inode: right also where there never was one, for who made it may have lost that with its client.
bool is_gone_answer(const NameOp& op) { return op.error == ENOENT || op.error == ESTALE; }
}  // namespace

void ModelNames::add_directory(fs::InodeId inode) {
  Node& node = nodes_[inode];
  node.type = S_IFDIR;
  node.links = 1;
}

const ModelNames::Node* ModelNames::alive_directory(fs::InodeId inode) const {
  const auto found = nodes_.find(inode);
  if (found == nodes_.end() || found->second.type != S_IFDIR || found->second.links == 0) return nullptr;
  return &found->second;
}

fs::InodeId ModelNames::child(fs::InodeId directory, const std::string& name) const {
  const Node* node = alive_directory(directory);
  if (node == nullptr) return fs::kNoInode;
  const auto found = node->children.find(name);
  return found == node->children.end() ? fs::kNoInode : found->second;
}

std::uint32_t ModelNames::link_count(const Node& node) const {
  if (node.type != S_IFDIR || node.links == 0) return node.links;
  std::uint32_t count = 2;
  for (const auto& [name, inode] : node.children) count += nodes_.at(inode).type == S_IFDIR ? 1 : 0;
  return count;
}

bool ModelNames::inside(fs::InodeId inode, fs::InodeId ancestor) const {
  for (; inode != fs::kNoInode; inode = nodes_.at(inode).parent) {
    if (inode == ancestor) return true;
  }
  return false;
}

void ModelNames::drop_name(fs::InodeId directory, const std::string& name) {
  auto& children = nodes_[directory].children;
  --nodes_[children.at(name)].links;
  children.erase(name);
}

void ModelNames::learn(fs::InodeId directory, const std::string& name, fs::InodeId inode) {
  const fs::InodeId there = child(directory, name);
  if (there < kFirstUnknown || inode == fs::kNoInode || nodes_.count(inode) != 0) return;
  nodes_[inode] = std::move(nodes_.at(there));
  nodes_.erase(there);
  for (auto& [id, node] : nodes_) {
    if (node.parent == there) node.parent = inode;
    for (auto& [entry, at] : node.children) {
      if (at == there) at = inode;
    }
  }
}

bool ModelNames::apply_unknown(const NameOp& op) {
  NameOp done = op;
  done.error = 0;
  const fs::InodeId fresh = kFirstUnknown + op.invoked;
  switch (op.call) {
    case NameCall::create_or_open:
      if (child(op.directory, op.name) != fs::kNoInode) return false;
      [[fallthrough]];
    case NameCall::create:
      done.result = fresh;
      return make(done, S_IFREG);
    case NameCall::make_directory:
      done.result = fresh;
      return make(done, S_IFDIR);
    case NameCall::make_symlink:
      done.result = fresh;
      return make(done, S_IFLNK);
    case NameCall::link: {
      const auto target = nodes_.find(op.inode);
      if (target == nodes_.end()) return false;
      done.link_count = target->second.links + 1;
      return link(done);
    }
    case NameCall::unlink:
      return remove(done, false);
    case NameCall::remove_directory:
      return remove(done, true);
    case NameCall::rename:
      return rename(done);
    default:
      return false;
  }
}

bool ModelNames::apply(const NameOp& op) {
  if (op.error == 0 && op.call == NameCall::list) {
    for (const auto& [name, inode] : op.entries) learn(op.directory, name, inode);
  } else if (op.error == 0 && (op.call == NameCall::lookup || op.call == NameCall::create_or_open)) {
    learn(op.directory, op.name, op.result);
  }
  switch (op.call) {
    case NameCall::lookup: {
      const fs::InodeId there = child(op.directory, op.name);
      if (op.error == ESTALE) return alive_directory(op.directory) == nullptr;
      if (op.error == ENOENT) return there == fs::kNoInode;
      return op.error == 0 && there != fs::kNoInode && there == op.result && nodes_.at(there).type == op.type;
    }
    case NameCall::create:
      return make(op, S_IFREG);
    case NameCall::create_or_open:
      return create_or_open(op);
    case NameCall::make_directory:
      return make(op, S_IFDIR);
    case NameCall::make_symlink:
      return make(op, S_IFLNK);
    case NameCall::link:
      return link(op);
    case NameCall::unlink:
      return remove(op, false);
    case NameCall::remove_directory:
      return remove(op, true);
    case NameCall::rename:
      return rename(op);
    case NameCall::list:
      return list(op);
    case NameCall::attributes:
      return attributes(op);
    case NameCall::read_link: {
      const auto found = nodes_.find(op.inode);
      if (is_gone_answer(op)) return found == nodes_.end() || found->second.links == 0;
      if (found == nodes_.end()) return false;
      if (found->second.type != S_IFLNK) return op.error == EINVAL;
      return op.error == 0 && found->second.target == op.other_name;
    }
  }
  return false;
}

bool ModelNames::make(const NameOp& op, std::uint32_t type) {
  const bool directory_gone = alive_directory(op.directory) == nullptr;
  const bool exists = child(op.directory, op.name) != fs::kNoInode;
  if (op.error == ENOENT || op.error == ESTALE) return directory_gone;
  if (op.error == EEXIST) return exists;
  if (op.error != 0 || directory_gone || exists || nodes_.count(op.result) != 0) return false;
  Node& made = nodes_[op.result];
  made.type = type;
  made.links = 1;
  if (type == S_IFDIR) made.parent = op.directory;
  if (type == S_IFLNK) made.target = op.other_name;
  nodes_[op.directory].children[op.name] = op.result;
  return true;
}

bool ModelNames::create_or_open(const NameOp& op) {
  const fs::InodeId there = child(op.directory, op.name);
  // The kernel may open by inode what it found by name just before: then the file can be gone at any time.
  if (op.error == ENOENT || op.error == ESTALE) return true;
  if (there == fs::kNoInode) return make(op, S_IFREG);
  const std::uint32_t type = nodes_.at(there).type;
  if (op.error == EISDIR) return type == S_IFDIR;
  if (op.error == ELOOP) return type == S_IFLNK;
  return op.error == 0 && type == S_IFREG && there == op.result;
}

bool ModelNames::link(const NameOp& op) {
  const auto target = nodes_.find(op.inode);
  const bool exists = child(op.directory, op.name) != fs::kNoInode;
  // Its creation was lost; the new name is looked at first.
  if (target == nodes_.end()) return is_gone_answer(op) || (op.error == EEXIST && exists);
  const bool directory_gone = alive_directory(op.directory) == nullptr;
  const bool gone = target->second.links == 0;
  if (op.error == ENOENT || op.error == ESTALE) return directory_gone || gone;
  if (op.error == EEXIST) return exists;
  if (op.error == EPERM) return target->second.type == S_IFDIR;
  if (op.error != 0 || directory_gone || exists || gone || target->second.type == S_IFDIR) return false;
  ++target->second.links;
  nodes_[op.directory].children[op.name] = op.inode;
  return op.link_count == target->second.links;
}

bool ModelNames::remove(const NameOp& op, bool directory) {
  const fs::InodeId there = child(op.directory, op.name);
  if (op.error == ESTALE) return alive_directory(op.directory) == nullptr;
  if (op.error == ENOENT) return there == fs::kNoInode;
  if (there == fs::kNoInode) return false;
  const Node& victim = nodes_.at(there);
  const bool is_directory = victim.type == S_IFDIR;
  if (op.error == EISDIR) return !directory && is_directory;
  if (op.error == ENOTDIR) return directory && !is_directory;
  if (op.error == ENOTEMPTY) return directory && is_directory && !victim.children.empty();
  if (op.error != 0 || directory != is_directory || !victim.children.empty()) return false;
  drop_name(op.directory, op.name);
  return true;
}

bool ModelNames::rename(const NameOp& op) {
  const bool gone = alive_directory(op.directory) == nullptr || alive_directory(op.other_directory) == nullptr;
  const fs::InodeId moved = child(op.directory, op.name);
  const fs::InodeId target = child(op.other_directory, op.other_name);
  if (op.error == ESTALE) return gone;
  if (op.error == ENOENT) return gone || moved == fs::kNoInode;
  // The kernel looks up the two names one after the other, and refuses by itself what it must not replace: the old name
  // may have gone in between.
  if (op.error == EEXIST && (op.flags & fs::kRenameNoReplace) != 0 && target != fs::kNoInode) return true;
  if (gone || moved == fs::kNoInode) return false;
  const bool moves_directory = nodes_.at(moved).type == S_IFDIR;
  const bool over_directory = target != fs::kNoInode && nodes_.at(target).type == S_IFDIR;
  const bool into_itself = moves_directory && inside(op.other_directory, moved);
  const bool not_empty = over_directory && !nodes_.at(target).children.empty();
  const bool no_replace = (op.flags & fs::kRenameNoReplace) != 0 && target != fs::kNoInode;
  if (op.error == EINVAL) return into_itself;
  if (op.error == EISDIR) return !moves_directory && over_directory;
  if (op.error == ENOTDIR) return moves_directory && target != fs::kNoInode && !over_directory;
  if (op.error == ENOTEMPTY) return not_empty;
  if (op.error == EEXIST) return no_replace || not_empty;
  if (op.error != 0 || into_itself || no_replace) return false;
  if (target == moved) return true;  // two names of one file: nothing happens
  if (target != fs::kNoInode && (moves_directory != over_directory || not_empty)) return false;
  if (target != fs::kNoInode) drop_name(op.other_directory, op.other_name);
  nodes_[op.directory].children.erase(op.name);
  nodes_[op.other_directory].children[op.other_name] = moved;
  if (moves_directory) nodes_[moved].parent = op.other_directory;
  return true;
}

bool ModelNames::list(const NameOp& op) const {
  const Node* node = alive_directory(op.directory);
  if (op.error == ENOENT || op.error == ESTALE) return node == nullptr;
  if (op.error != 0) return false;
  if (op.in_steps) {  // no single state, but no name twice
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    return std::adjacent_find(op.entries.begin(), op.entries.end(), same) == op.entries.end();
  }
  if (node == nullptr) return op.entries.empty();
  return std::map<std::string, fs::InodeId>(op.entries.begin(), op.entries.end()) == node->children &&
         op.entries.size() == node->children.size();
}

bool ModelNames::attributes(const NameOp& op) const {
  const auto found = nodes_.find(op.inode);
  if (is_gone_answer(op)) return found == nodes_.end() || found->second.links == 0;
  if (found == nodes_.end()) return false;
  return op.error == 0 && op.type == found->second.type && op.link_count == link_count(found->second);
}

std::uint64_t ModelNames::hash() const {
  const std::string text = to_text();
  return hash64(Bytes(text), 0);
}

std::string ModelNames::to_text() const {
  std::string text;
  for (const auto& [inode, node] : nodes_) {
    text += std::to_string(inode) +
            (node.type == S_IFDIR   ? "d"
             : node.type == S_IFLNK ? "l"
                                    : "f") +
            std::to_string(node.links);
    if (node.parent != fs::kNoInode) text += " in " + std::to_string(node.parent);
    for (const auto& [name, at] : node.children) text += " " + name + ":" + std::to_string(at);
    text += "\n";
  }
  return text;
}

}  // namespace rideau::sim
