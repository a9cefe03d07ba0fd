// SPDX-License-Identifier: Apache-2.0
#include "image.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace minimal {
namespace {

constexpr std::string_view kMagic = "rideau-minimal-1";

void put_number(std::string* to, std::uint32_t number) {
  to->append(reinterpret_cast<const char*>(&number), sizeof number);
}

bool take_number(std::string_view* from, std::uint32_t* number) {
  if (from->size() < sizeof *number) return false;
  std::memcpy(number, from->data(), sizeof *number);
  from->remove_prefix(sizeof *number);
  return true;
}

bool take_text(std::string_view* from, std::uint32_t size, std::string* text) {
  if (from->size() < size) return false;
  text->assign(from->substr(0, size));
  from->remove_prefix(size);
  return true;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

rideau::Status failure(const char* where) { return {rideau::Code::io_error, errno, where}; }

}  // namespace

std::string encode(const Entries& entries) {
  std::string image(kMagic);
  put_number(&image, static_cast<std::uint32_t>(entries.size()));
  for (const auto& [key, value] : entries) {
    put_number(&image, static_cast<std::uint32_t>(key.size()));
    put_number(&image, static_cast<std::uint32_t>(value.size()));
    image += key;
    image += value;
  }
  return image;
}

bool decode(const std::string& image, Entries* out) {
  out->clear();
  if (image.empty()) return true;
  std::string_view rest = image;
  if (!rest.starts_with(kMagic)) return false;
  rest.remove_prefix(kMagic.size());
  std::uint32_t count = 0;
  if (!take_number(&rest, &count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::string key;
    std::string value;
    if (!take_number(&rest, &key_size) || !take_number(&rest, &value_size)) return false;
    if (!take_text(&rest, key_size, &key) || !take_text(&rest, value_size, &value)) return false;
    out->emplace(std::move(key), std::move(value));
  }
  return rest.empty();
}

rideau::Status lock_file(const std::string& path, int* descriptor) {
  // Not the file itself, which is replaced by every write.
  const int fd = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failure("open the lock file");
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *descriptor = fd;
    return rideau::kOk;
  }
  const rideau::Status status{errno == EWOULDBLOCK ? rideau::Code::exists : rideau::Code::io_error, errno,
                              "lock the index (is it in use by another process?)"};
  ::close(fd);
  return status;
}

void close_file(int descriptor) { ::close(descriptor); }

rideau::Status read_file(const std::string& path, std::string* out) {
  out->clear();
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return errno == ENOENT ? rideau::kOk : failure("open the file");
  char piece[65536];
  for (;;) {
    const ssize_t count = ::read(file.get(), piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure("read the file");
    if (count == 0) return rideau::kOk;
    out->append(piece, static_cast<std::size_t>(count));
  }
}

rideau::Status replace_file(const std::string& path, const std::string& temporary, const std::string& bytes) {
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return failure("create the temporary file");
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t count = ::write(file.get(), bytes.data() + at, bytes.size() - at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failure("write the temporary file");
      at += static_cast<std::size_t>(count);
    }
    if (::fsync(file.get()) != 0) return failure("flush the temporary file");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failure("rename the temporary file");
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor names(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (names.get() < 0 || ::fsync(names.get()) != 0) return failure("flush the folder of the file");
  return rideau::kOk;
}

}  // namespace minimal
