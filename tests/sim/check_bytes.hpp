// SPDX-License-Identifier: Apache-2.0
// Did every read see the right bytes? Each file has one writer, so its states form a line; a read that was called after
// one write had returned and returned before another was called must show a state between the two, at each byte.
#pragma once

#include "tests/sim/history.hpp"

#include <string>
#include <vector>

namespace rideau::sim {

// The calls on one file. Returns what is wrong; empty: nothing. With a loss, changes that no fsync made durable before
// it may be there, or not, or read as zeros; until an fsync of their writer succeeds that has not failed before.
std::string check_bytes(std::vector<DataOp> ops, const std::vector<Loss>& losses = {});

// The same of a file that several write at once. Each byte is a register: a read must show the change of some call that
// had begun before it returned, and that was not certainly followed by another one which had ended before it began.
std::string check_shared_bytes(std::vector<DataOp> ops, const std::vector<Loss>& losses = {});

}  // namespace rideau::sim
