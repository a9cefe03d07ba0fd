// SPDX-License-Identifier: Apache-2.0
// What the host sees of the plugin: its configuration keys, how an instance is made, and the descriptor.
#include "store.hpp"

#include <new>

namespace minimal {
namespace {

// values[i] in create() belongs to kKeys[i].
enum Key : std::uint32_t { kPath, kKeyCount };

constexpr rideau::ConfigKey kKeys[kKeyCount] = {
    {.name = "path",
     .type = rideau::KeyType::path,
     .required = true,
     .help = "folder of the objects; made when its parent exists"},
};

rideau::Status create(rideau::Host& host, const rideau::ConfigValue* values, rideau::Instance** out) noexcept {
  auto* store = new (std::nothrow) MinimalObjectStore(host, std::string(values[kPath].text.view()));
  if (store == nullptr) return {rideau::Code::no_space, 0, "create"};
  *out = store;
  return rideau::kOk;
}

}  // namespace

extern const rideau::PluginDescriptor kDescriptor;
const rideau::PluginDescriptor kDescriptor = {
    .kind = rideau::PluginKind::object_store,
    .name = "minimal-objects",
    .version = "0.1.0",
    .summary = "a file for each object in one folder, blocking system calls on threads of the host",
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace minimal

RIDEAU_PLUGIN(rideau::PluginKind::object_store, minimal::kDescriptor);
