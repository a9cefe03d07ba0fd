// SPDX-License-Identifier: Apache-2.0
// Where an object's file stands below the folder `objects`, and how to walk all of them in the order of their ids.
//
//   <high >> 20, 11 hex digits>/<(high >> 8) & 0xfff, 3 hex digits>/<high and low, 32 hex digits>
//
// Folders follow the id instead of a hash of it: objects that are made one after the other share a folder, so that one
// fsync makes many names durable, and a listing in the order of ids reads only the folders that it needs.
#pragma once

#include "../shared/status_of.hpp"
#include "rideau/object_store.hpp"

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace rideau::raw_file {

constexpr std::size_t kPathBytes = 64;

// A folder below `objects`; what it means durable: the names in it.
struct FolderKey {
  enum class Level : std::uint8_t { leaf = 0, middle = 1, root = 2 };
  Level level = Level::root;
  std::uint64_t prefix = 0;  // of ObjectId::high

  FolderKey parent() const noexcept {
    return level == Level::leaf ? FolderKey{Level::middle, prefix >> 12} : FolderKey{Level::root, 0};
  }
  friend constexpr auto operator<=>(const FolderKey&, const FolderKey&) noexcept = default;
};

inline FolderKey leaf_of(ObjectId id) noexcept { return {FolderKey::Level::leaf, id.high >> 8}; }

// Paths relative to the folder `objects`.
void object_path(ObjectId id, char (&path)[kPathBytes]) noexcept;
std::string object_text(ObjectId id);  // for people: 32 hex digits
void folder_path(FolderKey folder, char (&path)[kPathBytes]) noexcept;

using backend::status_of;

// The functions below block. `objects` is a descriptor of the folder.
// Appends the next ids greater than `after` in ascending order until `out` holds `capacity`.
Status list_objects(int objects, const ObjectId* after, std::uint32_t capacity, std::vector<ObjectId>& out) noexcept;
Status count_objects(int objects, std::uint64_t& count) noexcept;
// Makes the leaf folder of an object, and the one above it.
Status make_folders(int objects, FolderKey leaf) noexcept;
// Makes the names in one folder durable. With `prune`, an empty folder is removed instead and its parent made durable.
// *sync_failed is set when fsync itself failed, after which nothing is known about what is on the device.
Status sync_folder(int objects, FolderKey folder, bool prune, bool& sync_failed) noexcept;

}  // namespace rideau::raw_file
