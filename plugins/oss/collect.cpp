// SPDX-License-Identifier: Apache-2.0
// What an object target tells about itself.
#include "plugins/fs/method_names.hpp"
#include "plugins/oss/oss.hpp"

namespace rideau::oss {

rpc::MethodName Oss::method_name() const noexcept { return fs::object_method_name; }

void Oss::collect(MetricList& to) const {
  const MetricLabels labels{{"target", std::to_string(options_.target)}};
  to.gauge("rideau_oss_grant_bytes", "Space that clients were promised and have not used.", labels,
           static_cast<double>(target_.grants.outstanding()));
  ObjectSpace space{};
  if (target_.store.space(&space).ok()) {
    to.gauge("rideau_oss_bytes_total", "Size of the device.", labels, static_cast<double>(space.bytes_total));
    to.gauge("rideau_oss_bytes_free", "What is free on it.", labels, static_cast<double>(space.bytes_free));
    to.gauge("rideau_oss_objects", "Objects that are kept.", labels, static_cast<double>(space.object_count));
  }
  to.gauge("rideau_boot_epoch", "Starts of this target so far.", labels, static_cast<double>(boot_epoch()));
}

}  // namespace rideau::oss
