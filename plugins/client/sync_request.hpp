// SPDX-License-Identifier: Apache-2.0
// The request by which a program asks the client behind a mount to make everything durable: an ioctl on any file or
// folder of it, without data.
#pragma once

#include <sys/ioctl.h>

namespace rideau::client {
constexpr unsigned long kSyncRequest = _IO('R', 1);
}
