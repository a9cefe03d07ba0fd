// SPDX-License-Identifier: Apache-2.0
// The descriptor, for programs that link this driver statically.
#pragma once

#include "rideau/abi.hpp"

namespace rideau::block_device {

extern const PluginDescriptor kDescriptor;

}  // namespace rideau::block_device
