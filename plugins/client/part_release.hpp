// SPDX-License-Identifier: Apache-2.0
// What giving back a part of a file must leave alone for data calls that wait meanwhile (file_system_extents.cpp says
// why), and what it leaves of a grant that comes later.
#pragma once

#include "plugins/client/node_parts.hpp"

#include <cstdint>
#include <vector>

namespace rideau::client {

// The range in whole pages of the smallest size that kernels have.
lock::Extent in_whole_pages(lock::Extent range) noexcept;

// Where the range is to be given back in two pieces, since a WRITE that waits has a page behind the border and what is
// before it must not wait for that; 0: it goes in one piece.
std::uint64_t border_in(const DataCalls& waiting, lock::Extent range) noexcept;

// What of the range the kernel may have in its pages: what is held, but for the pages of READs that wait.
std::vector<lock::Extent> pages_to_drop(const NodeParts& parts, lock::Extent range);

// What is held of a grant that came just now: all but what was given back after the server had granted it.
std::vector<lock::Extent> left_of_grant(const NodeParts& parts, lock::Extent range, lock::GrantNumber number);

}  // namespace rideau::client
