// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/mount_table.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

// Spaces and the like stand in the table as \ooo (proc(5)).
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8)));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> mounted_from(const std::string& absolute) {
  constexpr std::string_view kOurs = " - fuse.rideau ";
  std::ifstream table("/proc/self/mountinfo");
  std::optional<std::string> source;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    if (unescaped(word) != absolute) continue;
    source.reset();  // the last one mounted there counts
    const std::size_t type = line.find(kOurs);
    if (type == line.npos) continue;
    const std::size_t begin = type + kOurs.size();
    source = unescaped(line.substr(begin, line.find(' ', begin) - begin));
  }
  return source;
}

namespace {

int run_program(const std::vector<const char*>& words) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (const char* word : words) arguments.push_back(const_cast<char*>(word));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

std::string absolute_path(const std::string& path) {
  std::string whole = path;
  if (whole.empty() || whole[0] != '/') {
    char here[4096];
    if (::getcwd(here, sizeof here) != nullptr) whole = std::string(here) + "/" + path;
  }
  // Only the parent is resolved: the last part may be a dead mount.
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  const std::size_t slash = whole.rfind('/');
  const std::string parent = slash == 0 ? "/" : whole.substr(0, slash);
  const std::string name = whole.substr(slash + 1);
  if (name == "." || name == "..") {
    char* real = ::realpath(whole.c_str(), nullptr);
    std::string result = real != nullptr ? real : whole;
    std::free(real);
    return result;
  }
  char* real = ::realpath(parent.c_str(), nullptr);
  std::string result = real != nullptr ? real : parent;
  std::free(real);
  if (name.empty()) return result;
  return result == "/" ? "/" + name : result + "/" + name;
}

MountState mount_state(const std::string& absolute) {
  if (!is_mounted(absolute)) return MountState::none;
  // Not stat(), which the kernel may still answer from its cache, nor statfs() or open(), which may wait for a server
  // that is away: an attribute of this name the client refuses itself, and the kernel asks it each
  // time.
  const ssize_t size = ::getxattr(absolute.c_str(), "rideau.alive", nullptr, 0);
  return size < 0 && (errno == ENOTCONN || errno == ECONNABORTED) ? MountState::stale : MountState::alive;
}

bool lies_in(const std::string& inner, const std::string& outer) {
  if (inner == outer || outer == "/") return true;
  return inner.size() > outer.size() && inner.compare(0, outer.size(), outer) == 0 && inner[outer.size()] == '/';
}

bool unmount(const std::string& absolute, bool lazy, std::string* why) {
  if (::umount2(absolute.c_str(), (lazy ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW) == 0) return true;
  const int error = errno;
  if (error == EPERM) {
    const char* program = "fusermount3";
    const int status =
        lazy ? run_program({program, "-u", "-z", absolute.c_str()}) : run_program({program, "-u", absolute.c_str()});
    if (status == 0) return true;
    *why = status == 127 ? "fusermount3 is missing: install the package fuse3, or unmount as root"
                         : "fusermount3 could not unmount " + absolute;
    return false;
  }
  *why = "cannot unmount " + absolute + ": " + std::strerror(error);
  if (error == EBUSY) *why += "; a program works in it (`fuser -vm " + absolute + "` shows which)";
  return false;
}

}  // namespace rideau::tools
