// SPDX-License-Identifier: Apache-2.0
// The model that an ObjectStore is compared with.
#include "sdk/testkit/model_object.hpp"

#include <algorithm>

namespace rideau {

void ModelObjects::write(ObjectId id, std::uint64_t offset, std::string_view bytes) {
  std::string& object = objects_[id];
  if (bytes.empty()) return;
  if (object.size() < offset + bytes.size()) object.resize(offset + bytes.size(), '\0');
  object.replace(offset, bytes.size(), bytes);
}

void ModelObjects::truncate(ObjectId id, std::uint64_t size) { objects_[id].resize(size, '\0'); }

void ModelObjects::punch(ObjectId id, std::uint64_t offset, std::uint64_t size) {
  std::string& object = objects_.at(id);
  if (offset >= object.size()) return;
  const std::size_t count = std::min<std::uint64_t>(size, object.size() - offset);
  object.replace(offset, count, count, '\0');
}

std::string_view ModelObjects::read(ObjectId id, std::uint64_t offset, std::uint64_t size) const {
  const std::string& object = objects_.at(id);
  if (offset >= object.size()) return {};
  return std::string_view(object).substr(offset, size);
}

std::vector<ObjectId> ModelObjects::list(const ObjectId* after, std::size_t capacity) const {
  std::vector<ObjectId> ids;
  for (auto at = after == nullptr ? objects_.begin() : objects_.upper_bound(*after);
       at != objects_.end() && ids.size() < capacity; ++at) {
    ids.push_back(at->first);
  }
  return ids;
}

}  // namespace rideau
