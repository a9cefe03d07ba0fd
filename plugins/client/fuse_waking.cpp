// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/fuse_waking.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

namespace rideau::client {
namespace {

constexpr int kWaitMs = 100;
constexpr auto kLookEvery = std::chrono::microseconds(100);

std::string first_line(pid_t process, const char* file) {
  std::ifstream in("/proc/" + std::to_string(process) + "/" + file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The state stands behind the name, which is in parentheses and may have any other character.
bool runnable(pid_t process) {
  const std::string line = first_line(process, "stat");
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string::npos && name_end + 2 < line.size() && line[name_end + 2] == 'R';
}

}  // namespace

void WakingProcesses::add(pid_t process) noexcept {
  const std::size_t last = (next_ + kKept - 1) % kKept;
  if (count_ != 0 && processes_[last] == process) return;
  processes_[next_] = process;
  next_ = (next_ + 1) % kKept;
  count_ = std::min(count_ + 1, kKept);
}

void WakingProcesses::wait() const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWaitMs);
  for (std::size_t i = 0; i < count_; ++i) {
    const pid_t process = processes_[i];
    if (process == 0) {
      // Of another process namespace: time is all there is.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (!runnable(process)) continue;
    const std::string before = first_line(process, "schedstat");
    while (std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kLookEvery);
      if (!runnable(process) || first_line(process, "schedstat") != before) break;
    }
  }
}

}  // namespace rideau::client
