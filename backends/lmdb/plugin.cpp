// SPDX-License-Identifier: Apache-2.0
// What the driver tells the host about itself: its configuration keys and how to make an instance.
#include "plugin.hpp"
#include "store.hpp"

namespace rideau::lmdb {
namespace {

enum Key : std::size_t { kPath, kMapSize, kMaxReaders, kSync, kCompact, kKeyCount };

constexpr ConfigKey kKeys[kKeyCount] = {
    {"path", KeyType::path, "", "", 0, 0, true, "folder of the index; made when its parent exists"},
    {"map_size", KeyType::size, "bytes", "16 GiB", std::int64_t{1} << 20, std::int64_t{1} << 46, false,
     "the most the index can grow to; address space of this size is reserved at start"},
    {"max_readers", KeyType::integer, "", "256", 1, 65536, false, "snapshots that may exist at one time"},
    {"sync", KeyType::boolean, "", "true", 0, 0, false,
     "make commits durable; false is for benchmarks, a power cut then loses the index"},
    {"compact", KeyType::boolean, "", "false", 0, 0, false,
     "at start, write the file anew without unused pages; `rideau compact` does it once"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  Environment::Options options;
  options.path.assign(values[kPath].text.data, values[kPath].text.size);
  options.map_size = static_cast<std::uint64_t>(values[kMapSize].integer);
  options.max_readers = static_cast<std::uint32_t>(values[kMaxReaders].integer);
  options.sync = values[kSync].integer != 0;
  options.compact = values[kCompact].integer != 0;
  if (options.path.empty() || options.map_size < (1u << 20) || options.max_readers == 0) {
    host.log(Level::error, "lmdb: path must not be empty, map_size at least 1 MiB, max_readers at least 1");
    return {Code::invalid, 0, "configuration of the index"};
  }
  *out = new Store(host, options);
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {sizeof(PluginDescriptor),
                                      PluginKind::index_store,
                                      "lmdb",
                                      "0.1.0",
                                      "ordered index in an LMDB map: zero-copy reads, one writer, group commit",
                                      0,
                                      kKeys,
                                      kKeyCount,
                                      0,
                                      &create};

}  // namespace rideau::lmdb

RIDEAU_PLUGIN(rideau::PluginKind::index_store, rideau::lmdb::kDescriptor);
