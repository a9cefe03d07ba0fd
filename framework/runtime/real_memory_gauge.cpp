// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/real_memory_gauge.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace rideau {
namespace {

constexpr const char* kGroups = "sys/fs/cgroup";

// The number behind a name in lines such as "MemAvailable:  12 kB" and "inactive_file 4096".
std::uint64_t number_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint64_t number = 0;
    if (words >> word >> number && word == name) return number;
  }
  return 0;
}

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// False: there is none, or it is "max".
bool read_number(const std::string& file, std::uint64_t* out) { return static_cast<bool>(std::ifstream(file) >> *out); }

}  // namespace

RealMemoryGauge::RealMemoryGauge(std::string root) : root_(std::move(root)) {
  std::istringstream lines(text_of(root_ + "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("0::/", 0) == 0) group_ = line.substr(3);
  }
}

MemoryFigures RealMemoryGauge::read() noexcept {
  try {
    const std::string machine = text_of(root_ + "proc/meminfo");
    MemoryFigures figures{number_of(machine, "MemTotal:") << 10, number_of(machine, "MemAvailable:") << 10};
    for (std::string group = group_; !group.empty(); group.resize(group.rfind('/'))) {
      const std::string folder = root_ + kGroups + group;
      std::uint64_t limit = 0;
      std::uint64_t used = 0;
      if (!read_number(folder + "/memory.max", &limit) || !read_number(folder + "/memory.current", &used)) continue;
      // Pages of files that nobody used lately are given up first, as MemAvailable counts them.
      used -= std::min(used, number_of(text_of(folder + "/memory.stat"), "inactive_file"));
      figures.total = std::min(figures.total, limit);
      figures.available = std::min(figures.available, limit - std::min(limit, used));
    }
    return figures;
  } catch (const std::exception&) {  // no memory for the text of a file
    return {};
  }
}

}  // namespace rideau
