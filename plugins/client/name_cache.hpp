// SPDX-License-Identifier: Apache-2.0
// What names mean, as far as this client knows while it holds the lock of their directory: an inode, or that there is
// no such name. Bounded; the entry that was not used for the longest time goes first.
#pragma once

#include "plugins/fs/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace rideau::client {

class NameCache {
 public:
  // `on_lost` hears of a directory of which something that was known is known no more (not by clear()).
  explicit NameCache(std::size_t entries_max, std::function<void(fs::InodeId directory)> on_lost = {})
      : entries_max_(entries_max), on_lost_(std::move(on_lost)) {}
  NameCache(const NameCache&) = delete;
  NameCache& operator=(const NameCache&) = delete;

  // `stamp` says under which holding of the directory's lock a name is known; under another one it is not.
  // kNoInode: known not to exist. Nothing: not known.
  std::optional<fs::InodeId> find(fs::InodeId directory, std::string_view name, std::uint64_t stamp);
  // `transaction` is the change that made the name so; 0 for what a lookup told. An entry that a later change made
  // stays.
  void put(fs::InodeId directory, std::string_view name, fs::InodeId inode, std::uint64_t stamp,
           std::uint64_t transaction = 0);
  void forget(fs::InodeId directory, std::string_view name);
  void clear();
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Key {
    fs::InodeId directory;
    std::string_view name;  // into the entry's own string
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    fs::InodeId directory;
    std::string name;
    fs::InodeId inode;
    std::uint64_t transaction;
    std::uint64_t stamp;
  };

  void lose(fs::InodeId directory) {
    if (on_lost_) on_lost_(directory);
  }

  std::size_t entries_max_;
  std::function<void(fs::InodeId)> on_lost_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
};

}  // namespace rideau::client
