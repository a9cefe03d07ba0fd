// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/cluster_keys.hpp"

#include "framework/runtime/runtime.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

constexpr mode_t kSecret = 0600;
constexpr mode_t kOpen = 0644;
constexpr std::size_t kFileBytesMax = 1 << 20;

bool failed(const std::string& file, std::string* why) {
  *why = file + ": " + std::strerror(errno);
  if (errno == EEXIST) *why = file + " is there already, and keys are never replaced: move it away first";
  return false;
}

bool write_new_file(const std::string& file, const std::string& text, mode_t mode, std::string* why) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return failed(file, why);
  bool good = ::fchmod(fd, mode) == 0;
  for (std::size_t at = 0; good && at < text.size();) {
    const ssize_t count = ::write(fd, text.data() + at, text.size() - at);
    if (count >= 0) at += static_cast<std::size_t>(count);
    good = count >= 0 || errno == EINTR;
  }
  good = good && ::fsync(fd) == 0;
  if (!good) static_cast<void>(failed(file, why));
  ::close(fd);
  if (!good) ::unlink(file.c_str());
  return good;
}

// Both, or none.
bool write_pair(const std::string& stem, const KeyPair& pair, std::string* why) {
  if (!write_new_file(stem + ".key", pair.key, kSecret, why)) return false;
  if (write_new_file(stem + ".pem", pair.certificate, kOpen, why)) return true;
  ::unlink((stem + ".key").c_str());
  return false;
}

bool make_folder(const std::string& folder, std::string* why) {
  return ::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST || failed(folder, why);
}

bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

}  // namespace

std::int64_t now_seconds(Runtime& runtime) { return runtime.wall_ns() / 1'000'000'000; }

bool make_authority_files(const std::string& folder, const std::string& name, const Lifetime& lifetime,
                          std::string* why) {
  KeyPair pair;
  return make_authority(name, lifetime, &pair, why) && make_folder(folder, why) &&
         write_pair(folder + "/authority", pair, why);
}

bool make_node_files(const std::string& folder, const NodeKeyWish& wish, std::string* why) {
  if (!is_plain(wish.name) || wish.name == "authority") {
    *why = "\"" + wish.name + "\" is no name for a node: letters, digits, '.', '_' and '-', at most 63";
    return false;
  }
  KeyPair authority;
  KeyPair pair;
  if (!read_key_file(folder + "/" + kAuthorityCertificate, &authority.certificate, why) ||
      !read_key_file(folder + "/" + kAuthorityKey, &authority.key, why)) {
    *why += "; `rideau keys authority --dir " + folder + "` makes an authority";
    return false;
  }
  return make_node_keys(authority, wish, &pair, why) && write_pair(folder + "/" + wish.name, pair, why);
}

bool make_curve_file(const std::string& file, std::string* why) {
  CurvePair pair;
  return make_curve_pair(&pair, why) && write_new_file(file, pair.secret + "\n", kSecret, why);
}

bool read_key_file(const std::string& file, std::string* out, std::string* why) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(file, why);
  char bytes[4096];
  ssize_t count = 0;
  out->clear();
  while ((count = ::read(fd, bytes, sizeof bytes)) > 0 && out->size() < kFileBytesMax) {
    out->append(bytes, static_cast<std::size_t>(count));
  }
  const bool good = count >= 0;
  if (!good) static_cast<void>(failed(file, why));
  ::close(fd);
  return good;
}

}  // namespace rideau::tools
