// SPDX-License-Identifier: Apache-2.0
// What the library exports: the descriptor, the table of keys, create().
#include "plugin.hpp"

#include "store.hpp"

namespace rideau::index_objects {
namespace {

enum Key : std::uint32_t { kObjectSizeMax, kKeyCount };

constexpr ConfigKey kKeys[kKeyCount] = {
    {"object_size_max", KeyType::size, "bytes", "1 MiB", 4 << 10, 256 << 20, false,
     "no object is larger; a file has one object at each of its object targets"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  const auto object_size_max = static_cast<std::uint64_t>(values[kObjectSizeMax].integer);
  if (object_size_max == 0) return {Code::invalid, 0, "object_size_max is 0"};
  *out = new IndexObjects(host, object_size_max);
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::object_store,
    .name = "index-objects",
    .version = "0.1.0",
    .summary = "small objects as records of the index of their target",
    .capabilities = kObjectPunches | kObjectMaps | kObjectChecksums,
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace rideau::index_objects

RIDEAU_PLUGIN(rideau::PluginKind::object_store, rideau::index_objects::kDescriptor);
