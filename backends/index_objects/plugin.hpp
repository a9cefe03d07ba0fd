// SPDX-License-Identifier: Apache-2.0
// The descriptor, for programs that link this driver statically.
#pragma once

#include "rideau/abi.hpp"

namespace rideau::index_objects {

extern const PluginDescriptor kDescriptor;

}  // namespace rideau::index_objects
