// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/name_cache.hpp"

#include "framework/base/checksum.hpp"

namespace rideau::client {

std::size_t NameCache::KeyHash::operator()(const Key& key) const noexcept {
  return static_cast<std::size_t>(hash64(Bytes(key.name), key.directory));
}

std::optional<fs::InodeId> NameCache::find(fs::InodeId directory, std::string_view name, std::uint64_t stamp) {
  const auto found = index_.find(Key{directory, name});
  if (found == index_.end() || found->second->stamp != stamp) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->inode;
}

void NameCache::put(fs::InodeId directory, std::string_view name, fs::InodeId inode, std::uint64_t stamp,
                    std::uint64_t transaction) {
  const auto found = index_.find(Key{directory, name});
  if (found != index_.end()) {
    Entry& entry = *found->second;
    if (entry.stamp == stamp && transaction < entry.transaction) return;
    entry.inode = inode;
    entry.stamp = stamp;
    entry.transaction = transaction;
    entries_.splice(entries_.begin(), entries_, found->second);
    return;
  }
  if (entries_max_ == 0) {
    lose(directory);
    return;
  }
  if (entries_.size() >= entries_max_) {
    const Entry& oldest = entries_.back();
    const fs::InodeId loser = oldest.directory;
    index_.erase(Key{oldest.directory, oldest.name});
    entries_.pop_back();
    lose(loser);
  }
  entries_.push_front(Entry{directory, std::string(name), inode, transaction, stamp});
  const Entry& added = entries_.front();
  index_.emplace(Key{added.directory, added.name}, entries_.begin());
}

void NameCache::forget(fs::InodeId directory, std::string_view name) {
  lose(directory);
  const auto found = index_.find(Key{directory, name});
  if (found == index_.end()) return;
  const auto place = found->second;
  index_.erase(found);
  entries_.erase(place);
}

void NameCache::clear() {
  index_.clear();
  entries_.clear();
}

}  // namespace rideau::client
