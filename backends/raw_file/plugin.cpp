// SPDX-License-Identifier: Apache-2.0
// What the library exports: the descriptor, the table of keys, create().
#include "plugin.hpp"

#include "store.hpp"

namespace rideau::raw_file {
namespace {

enum Key : std::uint32_t { kPath, kOpenFilesMax, kQueueDepth, kDirectWriteMin, kChecksums, kKeyCount };

constexpr ConfigKey kKeys[kKeyCount] = {
    {"path", KeyType::path, "", "", 0, 0, true, "folder of the store; made when only its parent exists"},
    {"open_files_max", KeyType::integer, "", "1024", 16, 1'000'000, false,
     "descriptors of objects that are kept open; at least queue_depth"},
    {"queue_depth", KeyType::integer, "", "64", 1, 4096, false, "calls that are worked on at the same time"},
    {"direct_write_min", KeyType::size, "bytes", "256 KiB", 0, 16 << 20, false,
     "aligned writes of at least so much go around the kernel's cache (O_DIRECT); 0: none"},
    {"checksums", KeyType::boolean, "", "false", 0, 0, false,
     "keep a checksum for every block in the index of the target, and verify it at each read"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  Settings settings;
  settings.path = std::string(values[kPath].text.view());
  settings.open_files_max = static_cast<std::uint32_t>(values[kOpenFilesMax].integer);
  settings.queue_depth = static_cast<std::uint32_t>(values[kQueueDepth].integer);
  settings.direct_write_min = static_cast<std::uint64_t>(values[kDirectWriteMin].integer);
  settings.checksums = values[kChecksums].integer != 0;
  while (settings.path.size() > 1 && settings.path.back() == '/') settings.path.pop_back();
  if (settings.path.empty()) {
    host.log(Level::error, "raw-file: path is empty; name the folder of the store");
    return {Code::invalid, 0, "path is empty"};
  }
  if (settings.queue_depth == 0 || settings.open_files_max < settings.queue_depth) {
    host.log(Level::error, "raw-file: open_files_max must be at least queue_depth, and both more than 0");
    return {Code::invalid, 0, "open_files_max is less than queue_depth"};
  }
  *out = new RawFileStore(host, std::move(settings));
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::object_store,
    .name = "raw-file",
    .version = "0.1.0",
    .summary = "one sparse file an object, through io_uring, with a checksum for every block if wanted",
    .capabilities = kObjectPunches | kObjectAllocates | kObjectMaps | kObjectChecksums | kObjectOutlivesProcess,
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace rideau::raw_file

RIDEAU_PLUGIN(rideau::PluginKind::object_store, rideau::raw_file::kDescriptor);
