// SPDX-License-Identifier: Apache-2.0
// EditGroup: edits of many transactions that one commit writes, with only the last edit of each key. Found by key
// through a hash table. Directory entries and extended attributes are also read in order, through an index that is made
// when somebody first does so: most groups are committed before.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/index_store.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace rideau::mds {

// Memory that only grows until everything in it is forgotten at once.
class Arena {
 public:
  std::uint8_t* allocate(std::size_t size);
  Bytes copy(Bytes from);
  void clear() noexcept;  // keeps one block for the next use

 private:
  static constexpr std::size_t kBlockBytes = 64 * 1024;
  std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;
  std::vector<std::unique_ptr<std::uint8_t[]>> large_;
  std::size_t block_used_ = kBlockBytes;
  std::size_t blocks_used_ = 0;
};

class EditGroup {
 public:
  struct Item {
    Bytes key;
    Bytes value;
    bool erased = false;
  };

  void put(Bytes key, Bytes value);
  void erase(Bytes key);
  // Null: this group says nothing of the key.
  const Item* find(Bytes key) const noexcept;
  // The first item, erased ones included, whose key is not less than `key` and begins with `prefix`, which begins as a
  // key that is read in order.
  const Item* find_from(Bytes prefix, Bytes key);
  void clear() noexcept;

  bool empty() const noexcept { return items_.empty(); }
  std::size_t edit_count() const noexcept { return items_.size(); }
  std::uint64_t bytes() const noexcept { return bytes_; }  // of keys and values that were taken in
  const std::vector<Item>& items() const noexcept { return items_; }

 private:
  struct KeyLess {
    bool operator()(Bytes a, Bytes b) const noexcept { return compare(a, b) < 0; }
  };
  Item& item_for(Bytes key);
  std::uint32_t* slot_of(Bytes key) noexcept;
  void grow();
  void put_in_order();

  Arena arena_;
  std::vector<Item> items_;
  std::vector<std::uint32_t> table_;  // index into items_ plus 1; 0: free
  std::map<Bytes, std::uint32_t, KeyLess> ordered_;
  bool in_order_ = false;         // `ordered_` is made and kept
  std::uint32_t tied_count_ = 0;  // entries that share their name's hash with another one
  std::uint64_t bytes_ = 0;
};

}  // namespace rideau::mds
