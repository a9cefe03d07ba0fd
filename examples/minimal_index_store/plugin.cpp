// SPDX-License-Identifier: Apache-2.0
// What the host sees of the plugin: its configuration keys, how an instance is made, and the descriptor.
#include "store.hpp"

#include <new>

namespace minimal {
namespace {

// values[i] in create() belongs to kKeys[i].
enum Key : std::uint32_t { kPath, kBytesMax, kKeyCount };

constexpr rideau::ConfigKey kKeys[kKeyCount] = {
    {.name = "path", .type = rideau::KeyType::path, .required = true, .help = "file that holds the index"},
    {.name = "bytes_max",
     .type = rideau::KeyType::size,
     .unit = "bytes",
     .default_value = "64 MiB",
     .minimum = 1 << 20,
     .maximum = 1ll << 32,
     .help = "keys and values that fit; all of them are kept in memory"},
};

rideau::Status create(rideau::Host& host, const rideau::ConfigValue* values, rideau::Instance** out) noexcept {
  Options options;
  options.path = values[kPath].text.view();
  options.bytes_max = static_cast<std::uint64_t>(values[kBytesMax].integer);
  auto* store = new (std::nothrow) MinimalIndexStore(host, std::move(options));
  if (store == nullptr) return {rideau::Code::no_space, 0, "create"};
  *out = store;
  return rideau::kOk;
}

}  // namespace

extern const rideau::PluginDescriptor kDescriptor;
const rideau::PluginDescriptor kDescriptor = {
    .kind = rideau::PluginKind::index_store,
    .name = "minimal",
    .version = "0.1.0",
    .summary = "all entries in memory, written whole to one file",
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace minimal

RIDEAU_PLUGIN(rideau::PluginKind::index_store, minimal::kDescriptor);
