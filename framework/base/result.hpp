// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or the Status that says why there is none. Expected failures are values; nothing here throws.
#pragma once

#include "framework/base/assert.hpp"
#include "rideau/status.hpp"

#include <optional>
#include <utility>

namespace rideau {

template <class T = void>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design, `return value;`
  Result(Status failure) : status_(failure) { RIDEAU_ASSERT(!failure.ok()); }  // NOLINT

  bool ok() const noexcept { return value_.has_value(); }
  Status status() const noexcept { return status_; }
  T& value() & {
    RIDEAU_ASSERT(ok());
    return *value_;
  }
  const T& value() const& {
    RIDEAU_ASSERT(ok());
    return *value_;
  }
  T&& value() && {
    RIDEAU_ASSERT(ok());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_{};
  std::optional<T> value_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Status status) : status_(status) {}  // NOLINT
  bool ok() const noexcept { return status_.ok(); }
  Status status() const noexcept { return status_; }

 private:
  Status status_{};
};

// An errno as a Status: what POSIX operations answer with.
constexpr Status posix_error(int error, const char* where = nullptr) noexcept { return {Code::posix, error, where}; }

// The errno that a caller of the file system sees for a Status; 0 for ok. Never 0 for a failure.
int errno_of(Status status) noexcept;

// "no_space (No space left on device) in append segment"; for logs and messages.
const char* code_name(Code code) noexcept;

}  // namespace rideau
