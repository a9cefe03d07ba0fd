// SPDX-License-Identifier: Apache-2.0
// A message between nodes as the account of a run shows it: which call or answer, of which slot, with its trace id.
#pragma once

#include "rideau/buffer.hpp"

#include <string>

namespace rideau::sim {

// `to_objects`: of or from an object server, whose calls have other names.
std::string message_text(Bytes head, bool to_objects);

}  // namespace rideau::sim
