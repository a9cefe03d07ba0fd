// SPDX-License-Identifier: Apache-2.0
// RealMemoryGauge: /proc/meminfo, and the limits of the control groups (version 2) that this process lies in.
//
// Sources: proc_meminfo(5), cgroups(7), the kernel's Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include "framework/runtime/memory_gauge.hpp"

#include <string>

namespace rideau {

class RealMemoryGauge final : public MemoryGauge {
 public:
  RealMemoryGauge() : RealMemoryGauge("/") {}
  // For tests: `root` stands for the root of the file system and ends with "/".
  explicit RealMemoryGauge(std::string root);
  MemoryFigures read() noexcept override;

 private:
  std::string root_;
  std::string group_;  // folder of the innermost control group, without the root's; empty: none
};

}  // namespace rideau
