// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/real_runtime.hpp"

#include <fstream>
#include <string>

namespace rideau {

Uuid RealRuntime::machine_boot() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  if (!(file >> text)) return {};
  return parse_uuid(text).value_or(Uuid{});
}

}  // namespace rideau
