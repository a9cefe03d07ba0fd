// SPDX-License-Identifier: Apache-2.0
// What the library exports: the descriptor, the table of keys, create().
#include "plugin.hpp"

#include "store.hpp"
#include "uring_device.hpp"

namespace rideau::block_device {
namespace {

enum Key : std::uint32_t {
  kDevice,
  kPath,
  kImageSize,
  kQueueDepth,
  kMapCache,
  kDiscard,
  kSmallObjectMax,
  kDeferredWriteMax,
  kKeyCount
};

constexpr ConfigKey kKeys[kKeyCount] = {
    {"device", KeyType::text, "", "", 0, 0, false,
     "block device or image that `rideau format` has formatted, an absolute path; empty: the image at path"},
    {"path", KeyType::path, "", "", 0, 0, true, "image that is used without a device; a new target makes it"},
    {"image_size", KeyType::size, "bytes", "16 GiB", 16 << 20, std::int64_t{1} << 44, false,
     "size of an image that is made; it is sparse, and does not change later"},
    {"queue_depth", KeyType::integer, "", "32", 1, 1024, false,
     "calls that are worked on at the same time; each has 1.1 MiB of memory"},
    {"map_cache", KeyType::size, "bytes", "64 MiB", 1 << 20, std::int64_t{1} << 40, false,
     "memory for the maps of objects that are not being used"},
    {"discard", KeyType::boolean, "", "true", 0, 0, false, "tell the device which blocks are free again"},
    {"small_object_max", KeyType::size, "bytes", "4 KiB", 0, kSmallBytesMax, false,
     "objects of at most so many bytes are kept in the index, under the same checksum; 0: none"},
    {"deferred_write_max", KeyType::size, "bytes", "1 KiB", 0, kPatchBytesMax / 2, false,
     "writes of at most so many bytes over parts of blocks go to the index first, and to the device later; 0: none"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  DeviceOptions options;
  options.path = std::string(values[kDevice].text.view());
  if (options.path.empty()) {
    options.path = std::string(values[kPath].text.view());
    options.image_bytes = static_cast<std::uint64_t>(values[kImageSize].integer) / kBlockBytes * kBlockBytes;
  }
  options.discard = values[kDiscard].integer != 0;
  StoreSettings settings;
  settings.queue_depth = static_cast<std::uint32_t>(values[kQueueDepth].integer);
  settings.map_cache_bytes = static_cast<std::uint64_t>(values[kMapCache].integer);
  settings.small_object_max = static_cast<std::uint64_t>(values[kSmallObjectMax].integer);
  settings.deferred_write_max = static_cast<std::uint64_t>(values[kDeferredWriteMax].integer);
  if (options.path.empty() || options.path.front() != '/') {
    host.log(Level::error, "block-device: device must be an absolute path");
    return {Code::invalid, 0, "device is not an absolute path"};
  }
  if (settings.queue_depth == 0) {
    host.log(Level::error, "block-device: queue_depth must be more than 0");
    return {Code::invalid, 0, "queue_depth is 0"};
  }
  options.queue_depth = 4 * settings.queue_depth;  // a call may be several transfers
  *out = new BlockStore(host, std::make_unique<UringDevice>(host, std::move(options)), settings);
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::object_store,
    .name = "block-device",
    .version = "0.1.0",
    .summary = "objects on a raw device or an image, with a checksum for every block",
    .capabilities = kObjectPunches | kObjectAllocates | kObjectMaps | kObjectChecksums,
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace rideau::block_device

RIDEAU_PLUGIN(rideau::PluginKind::object_store, rideau::block_device::kDescriptor);
