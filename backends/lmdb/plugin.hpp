// SPDX-License-Identifier: Apache-2.0
// The descriptor of the driver, for programs that link it statically.
#pragma once

#include "rideau/abi.hpp"

namespace rideau::lmdb {
extern const PluginDescriptor kDescriptor;
}
