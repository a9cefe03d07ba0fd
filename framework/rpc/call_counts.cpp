// SPDX-License-Identifier: Apache-2.0
#include "framework/rpc/call_counts.hpp"

namespace rideau::rpc {

void CallCounts::collect(MetricList& to, const Names& names, const MetricLabels& labels, MethodName method_name) const {
  for (std::size_t number = 0; number < methods_.size(); ++number) {
    const Method& method = methods_[number];
    if (method.took.count() == 0) continue;
    const char* known = method_name != nullptr ? method_name(static_cast<std::uint16_t>(number)) : nullptr;
    MetricLabels with_method = labels;
    with_method.push_back({"method", known != nullptr ? known : std::to_string(number)});
    to.counter(names.total, "Calls that were answered.", with_method, method.took.count());
    to.counter(names.failed, "Calls among them whose answer was an error.", with_method, method.failed);
    to.histogram(names.seconds, "From the call to its answer.", std::move(with_method), method.took);
  }
}

}  // namespace rideau::rpc
