// SPDX-License-Identifier: Apache-2.0
// The descriptor of this driver, for programs that link its static form.
#pragma once

namespace rideau {
struct PluginDescriptor;
}

namespace rideau::zeromq {
extern const PluginDescriptor kDescriptor;
}
