// SPDX-License-Identifier: Apache-2.0
// `rideau sync PATH`: waits until what the client of that mount wrote is durable. sync(2) does not reach a file system
// in user space; this does.
#include "plugins/client/sync_request.hpp"
#include "plugins/tools/commands.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace rideau::tools {

int sync(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), std::strerror(errno));
    return kFailed;
  }
  const int failed = ::ioctl(descriptor, client::kSyncRequest);
  const int error = errno;
  ::close(descriptor);
  if (failed == 0) return kDone;
  if (error == ENOTTY || error == EINVAL) {
    std::fprintf(stderr, "%s is not on a Rideau file system\n", path.c_str());
    return kUsage;
  }
  std::fprintf(stderr, "%s: not everything is durable: %s\n", path.c_str(), std::strerror(error));
  return kFailed;
}

}  // namespace rideau::tools
