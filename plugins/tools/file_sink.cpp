// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/file_sink.hpp"

#include "framework/runtime/await.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace rideau::tools {

FileSink::~FileSink() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_path(path_).c_str());
}

bool FileSink::open(const std::string& path, std::string* why) {
  if (::access(path.c_str(), F_OK) == 0) {
    *why = path + " is there already; choose another name or remove it";
    return false;
  }
  const std::string partial = partial_path(path);
  const int made = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made < 0) {
    *why = "cannot make " + partial + ": " + std::strerror(errno);
    if (errno == EEXIST) *why += "; another backup writes it, or one that was cut off has left it: then remove it";
    return false;
  }
  path_ = path;
  descriptor_ = made;
  return true;
}

Task<Status> FileSink::write(Bytes bytes) {
  const int file = descriptor_;
  const auto work = [file, bytes] {
    for (std::size_t at = 0; at < bytes.size;) {
      const ssize_t size = ::write(file, bytes.data + at, bytes.size - at);
      if (size > 0) at += static_cast<std::size_t>(size);
      if (size < 0 && errno != EINTR) return Status{Code::io_error, errno, "write the file"};
    }
    return kOk;
  };
  const Status done = co_await run_blocking(runtime_, work);
  if (done.ok()) bytes_ += bytes.size;
  co_return done;
}

Task<Status> FileSink::finish() {
  const int file = descriptor_;
  const auto work = [this, file] {
    if (::fsync(file) != 0) return Status{Code::io_error, errno, "write the file"};
    // link(2) refuses to replace.
    if (::link(partial_path(path_).c_str(), path_.c_str()) != 0) return Status{Code::exists, errno, "name the file"};
    const std::size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool durable = directory >= 0 && ::fsync(directory) == 0;
    if (directory >= 0) ::close(directory);
    return durable ? kOk : Status{Code::io_error, errno, "write the folder of the file"};
  };
  const Status done = co_await run_blocking(runtime_, work);
  co_return done;
}

}  // namespace rideau::tools
