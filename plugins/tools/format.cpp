// SPDX-License-Identifier: Apache-2.0
// `rideau format`: makes a device or an image fit for the block-device store; what is on it is lost.
#include "backends/block_device/device_file.hpp"
#include "framework/base/uuid.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/mount_table.hpp"

#include <cstdio>

namespace rideau::tools {

int format_device(const FormatOptions& options) {
  const std::string path = absolute_path(options.device);
  block_device::DeviceFile device;
  block_device::DeviceLook look;
  Status status = device.open(path);
  if (status.ok()) status = device.look(&look);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", device.message().c_str());
    return kFailed;
  }
  if (!look.blank && !options.force) {
    std::fprintf(stderr,
                 "%s holds %s; nothing was changed. If nothing on it is needed: rideau format --force --device %s\n",
                 path.c_str(), look.contents.c_str(), path.c_str());
    return kFailed;
  }
  RealRuntime runtime;
  std::array<std::uint8_t, 16> random{};
  runtime.random(MutableBytes(random.data(), random.size()));
  const Uuid uuid = make_uuid(random);
  if (status = device.format(uuid.bytes); !status.ok()) {
    std::fprintf(stderr, "%s\n", device.message().c_str());
    return kFailed;
  }
  std::printf("%s is formatted: device %s, %llu bytes\n", path.c_str(), to_text(uuid).c_str(),
              static_cast<unsigned long long>(device.bytes()));
  return kDone;
}

}  // namespace rideau::tools
