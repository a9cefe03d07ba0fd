// SPDX-License-Identifier: Apache-2.0
// ModelObjects: what an ObjectStore must do, as simply as it can be said. Whole objects in memory: for small ones.
#pragma once

#include "rideau/object_store.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

class ModelObjects {
 public:
  using Objects = std::map<ObjectId, std::string>;

  void write(ObjectId id, std::uint64_t offset, std::string_view bytes);
  void truncate(ObjectId id, std::uint64_t size);
  void punch(ObjectId id, std::uint64_t offset, std::uint64_t size);
  void remove(ObjectId id) { objects_.erase(id); }

  bool exists(ObjectId id) const { return objects_.contains(id); }
  // What a read returns; short at the end. The object exists.
  std::string_view read(ObjectId id, std::uint64_t offset, std::uint64_t size) const;
  std::uint64_t size(ObjectId id) const { return objects_.at(id).size(); }
  std::vector<ObjectId> list(const ObjectId* after, std::size_t capacity) const;
  const Objects& objects() const noexcept { return objects_; }

 private:
  Objects objects_;
};

}  // namespace rideau
