// SPDX-License-Identifier: Apache-2.0
// What a mount tells about itself.
#include "framework/observe/metrics.hpp"
#include "plugins/client/fuse_server.hpp"
#include "plugins/client/request_names.hpp"

namespace rideau::client {
void FuseMount::collect(MetricList& to) const {
  for (std::uint32_t opcode = 0; opcode < Impl::kOpcodes; ++opcode) {
    if (impl_->requests_by_kind[opcode] == 0) continue;
    const char* name = request_name(opcode);
    to.counter("rideau_fuse_requests_total", "Requests of the kernel.",
               {{"request", name != nullptr ? name : std::to_string(opcode)}}, impl_->requests_by_kind[opcode]);
  }
  to.counter("rideau_system_calls_total", "System calls by the part that made them.", {{"part", "fuse"}},
             impl_->system_calls.load(std::memory_order_relaxed));
}

}  // namespace rideau::client
