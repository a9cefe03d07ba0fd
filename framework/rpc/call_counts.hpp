// SPDX-License-Identifier: Apache-2.0
// Calls by method: how many, how many of them failed, how long they took. Both sides of a session keep one.
#pragma once

#include "framework/observe/metrics.hpp"

#include <cstdint>
#include <vector>

namespace rideau::rpc {

// For people; null: only its number is known.
using MethodName = const char* (*)(std::uint16_t method);

class CallCounts {
 public:
  // Methods beyond it are counted as method 0: a peer may send any number.
  static constexpr std::uint16_t kMethodsMax = 64;

  void add(std::uint16_t method, bool ok, std::uint64_t took_ns) {
    if (method >= kMethodsMax) method = 0;
    if (method >= methods_.size()) methods_.resize(method + 1u);
    if (!ok) ++methods_[method].failed;
    methods_[method].took.add(took_ns);
  }

  struct Names {
    const char* total;
    const char* failed;
    const char* seconds;
  };
  void collect(MetricList& to, const Names& names, const MetricLabels& labels, MethodName method_name) const;

 private:
  struct Method {
    std::uint64_t failed = 0;
    LatencyHistogram took;
  };
  std::vector<Method> methods_;  // by number
};

}  // namespace rideau::rpc
