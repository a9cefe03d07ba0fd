// SPDX-License-Identifier: Apache-2.0
// FIFOs, devices and sockets. The kernel opens them itself, and without `default_permissions` it neither looks at their
// mode nor sends a request; all that is seen of an open is the LOOKUP of the name. So names of those that are not open
// to all are never kept by the kernel, and the LOOKUP of somebody who may not both read and write is answered by what
// the system call that he is in wants to do.
#pragma once

#include <cstdint>
#include <optional>

namespace rideau::client {

// The rights (fs::Want) to a special file that the process needs for the system call it waits in: none for calls that
// only look at it or handle its name. Reading and writing for every call that is not known, and when the call cannot
// be told. Nothing: the process has sent its request and does not wait yet; ask again in a moment. Blocks: it reads
// /proc.
std::optional<std::uint32_t> wanted_of_special_file(std::int32_t process);

}  // namespace rideau::client
