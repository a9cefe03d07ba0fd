// SPDX-License-Identifier: Apache-2.0
// Names and errno values of status codes.
#include "framework/base/result.hpp"

#include <cerrno>

namespace rideau {

int errno_of(Status status) noexcept {
  if (status.ok()) return 0;
  switch (status.code) {
    case Code::ok:
      return 0;
    case Code::unsupported:
      return EOPNOTSUPP;
    case Code::invalid:
      return EINVAL;
    case Code::not_found:
      return ENOENT;
    case Code::exists:
      return EEXIST;
    case Code::no_space:
      return ENOSPC;
    case Code::corrupt:
      return EIO;
    case Code::check_failed:
      return EAGAIN;
    case Code::timed_out:
      return ETIMEDOUT;
    case Code::cancelled:
      return EINTR;
    case Code::too_large:
      return E2BIG;
    case Code::busy:
      return EBUSY;
    case Code::refused:
      return EACCES;
    case Code::posix:
      return status.os_error != 0 ? status.os_error : EIO;
    case Code::closed:
    case Code::io_error:
      return EIO;
  }
  return EIO;
}

const char* code_name(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::unsupported:
      return "unsupported";
    case Code::invalid:
      return "invalid";
    case Code::not_found:
      return "not found";
    case Code::exists:
      return "exists";
    case Code::no_space:
      return "no space";
    case Code::io_error:
      return "input/output error";
    case Code::corrupt:
      return "corrupt";
    case Code::check_failed:
      return "check failed";
    case Code::closed:
      return "closed";
    case Code::timed_out:
      return "timed out";
    case Code::cancelled:
      return "cancelled";
    case Code::too_large:
      return "too large";
    case Code::busy:
      return "busy";
    case Code::refused:
      return "refused";
    case Code::posix:
      return "error";
  }
  return "unknown status";
}

}  // namespace rideau
