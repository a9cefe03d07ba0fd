// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/edit_group.hpp"

#include "framework/base/checksum.hpp"
#include "plugins/fs/keys.hpp"

namespace rideau::mds {

std::uint8_t* Arena::allocate(std::size_t size) {
  if (size > kBlockBytes / 4) {
    large_.emplace_back(new std::uint8_t[size]);
    return large_.back().get();
  }
  if (block_used_ + size > kBlockBytes) {
    if (blocks_used_ == blocks_.size()) blocks_.emplace_back(new std::uint8_t[kBlockBytes]);
    ++blocks_used_;
    block_used_ = 0;
  }
  std::uint8_t* out = blocks_[blocks_used_ - 1].get() + block_used_;
  block_used_ += size;
  return out;
}

Bytes Arena::copy(Bytes from) {
  std::uint8_t* out = allocate(from.size);
  if (from.size != 0) std::memcpy(out, from.data, from.size);
  return {out, from.size};
}

void Arena::clear() noexcept {
  // A burst should not keep its memory for ever; the usual group should not allocate.
  constexpr std::size_t kBlocksKept = 64;
  if (blocks_.size() > kBlocksKept) blocks_.resize(kBlocksKept);
  large_.clear();
  blocks_used_ = 0;
  block_used_ = kBlockBytes;
}

namespace {
bool read_in_order(Bytes key) noexcept {
  return fs::is_kind(key, fs::KeyKind::entry) || fs::is_kind(key, fs::KeyKind::xattr);
}
// The last byte of an entry's key parts names of one hash; nearly all names are the first of theirs.
bool is_tied(Bytes key) noexcept { return fs::is_kind(key, fs::KeyKind::entry) && key.data[key.size - 1] != 0; }
}  // namespace

void EditGroup::put(Bytes key, Bytes value) {
  Item& item = item_for(key);
  if (value.size <= item.value.size) {
    // Item values lie in this group's arena, so overwriting is its own affair; erased items keep their room.
    auto* room = const_cast<std::uint8_t*>(item.value.data);
    if (value.size != 0) std::memmove(room, value.data, value.size);
    item.value.size = value.size;
  } else {
    item.value = arena_.copy(value);
    bytes_ += value.size;
  }
  item.erased = false;
}

void EditGroup::erase(Bytes key) { item_for(key).erased = true; }

const EditGroup::Item* EditGroup::find(Bytes key) const noexcept {
  if (items_.empty()) return nullptr;
  const std::uint32_t found = *const_cast<EditGroup*>(this)->slot_of(key);
  return found != 0 ? &items_[found - 1] : nullptr;
}

const EditGroup::Item* EditGroup::find_from(Bytes prefix, Bytes key) {
  // Names of one hash, which is asked at every change of a name: without ties there is at most the first.
  const bool one_hash = fs::is_kind(key, fs::KeyKind::entry) && prefix.size + 1 == key.size;
  if (one_hash && tied_count_ == 0) return is_tied(key) ? nullptr : find(key);
  if (!in_order_) put_in_order();
  const auto at = ordered_.lower_bound(key);
  if (at == ordered_.end() || !fs::has_prefix(at->first, prefix)) return nullptr;
  return &items_[at->second];
}

void EditGroup::put_in_order() {
  in_order_ = true;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (read_in_order(items_[i].key)) ordered_.emplace(items_[i].key, static_cast<std::uint32_t>(i));
  }
}

void EditGroup::clear() noexcept {
  items_.clear();
  ordered_.clear();
  in_order_ = false;
  tied_count_ = 0;
  std::fill(table_.begin(), table_.end(), 0);
  arena_.clear();
  bytes_ = 0;
}

EditGroup::Item& EditGroup::item_for(Bytes key) {
  if (2 * (items_.size() + 1) > table_.size()) grow();
  std::uint32_t* slot = slot_of(key);
  if (*slot != 0) return items_[*slot - 1];
  items_.push_back({arena_.copy(key), {}, false});
  *slot = static_cast<std::uint32_t>(items_.size());
  bytes_ += key.size;
  if (in_order_ && read_in_order(key)) ordered_.emplace(items_.back().key, *slot - 1);
  if (is_tied(key)) ++tied_count_;
  return items_.back();
}

std::uint32_t* EditGroup::slot_of(Bytes key) noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = hash64(key, 0) & mask;
  while (table_[at] != 0 && compare(items_[table_[at] - 1].key, key) != 0) at = (at + 1) & mask;
  return &table_[at];
}

void EditGroup::grow() {
  table_.assign(table_.empty() ? 1024 : 2 * table_.size(), 0);
  for (std::size_t i = 0; i < items_.size(); ++i) *slot_of(items_[i].key) = static_cast<std::uint32_t>(i + 1);
}

}  // namespace rideau::mds
