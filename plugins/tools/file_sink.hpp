// SPDX-License-Identifier: Apache-2.0
// A new file as the end of a stream. It is written beside its place and gets its name when it is whole and durable.
#pragma once

#include "framework/runtime/byte_sink.hpp"
#include "framework/runtime/runtime.hpp"

#include <cstdint>
#include <string>

namespace rideau::tools {

class FileSink final : public ByteSink {
 public:
  explicit FileSink(Runtime& runtime) : runtime_(runtime) {}
  ~FileSink();  // what did not finish goes
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  static std::string partial_path(const std::string& path) { return path + ".partial"; }
  // False when there is such a file already, or it cannot be made.
  bool open(const std::string& path, std::string* why);
  Task<Status> write(Bytes bytes) override;
  // Durable under its name; exists when somebody else has taken it meanwhile.
  Task<Status> finish();
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  Runtime& runtime_;
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
};

}  // namespace rideau::tools
