// SPDX-License-Identifier: Apache-2.0
// An errno of a system call as a Status of a driver; `where` is static text.
#pragma once

#include "rideau/status.hpp"

namespace rideau::backend {

Status status_of(int error, const char* where) noexcept;

}  // namespace rideau::backend
