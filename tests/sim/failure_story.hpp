// SPDX-License-Identifier: Apache-2.0
// One page about a run that failed, out of its whole account: what went on, on all nodes, while the call that shows the
// failure was under way.
#pragma once

#include <string>

namespace rideau::sim {

// `account`: what SimWorld traced. `problem`: what the checkers said. Calls that they name stand there as
// "[178 to 184] client2.1 ...", or "[178 to never]" when they have not returned. Of the first, which shows the failure,
// and of the last before it the page has the requests of the client's kernel and each message with the trace id of what
// the client asked meanwhile; of the others when they began and returned; and what befell everybody: faults, starts,
// ends, warnings. Without any call it has these alone.
std::string tell_failure(const std::string& account, const std::string& problem);

}  // namespace rideau::sim
