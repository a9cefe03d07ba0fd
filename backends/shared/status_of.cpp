// SPDX-License-Identifier: Apache-2.0
#include "status_of.hpp"

#include <cerrno>

namespace rideau::backend {

Status status_of(int error, const char* where) noexcept {
  switch (error) {
    case 0:
      return kOk;
    case ENOENT:
      return {Code::not_found, error, where};
    case ENOSPC:
    case EDQUOT:
      return {Code::no_space, error, where};
    case EFBIG:
      return {Code::too_large, error, where};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {Code::busy, error, where};
    case EACCES:
    case EPERM:
      return {Code::refused, error, where};
    default:
      return {Code::io_error, error, where};
  }
}

}  // namespace rideau::backend
