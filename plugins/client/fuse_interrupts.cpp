// SPDX-License-Identifier: Apache-2.0
// Requests whose callers are being killed while a server is away. The kernel waits for the answer to whatever it has
// handed over, also when its caller got SIGKILL: without an answer the process would not end before the server is back.
// Such a caller never sees what it is told, so the request is answered at once, and what becomes of it goes nowhere.
// Callers who live on get no such answer: no call of a file system ends because of a signal that a program handles.
#include "plugins/client/fuse_server.hpp"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <string>

#include <linux/fuse.h>
#include <signal.h>
#include <unistd.h>

namespace rideau::client {
namespace {

constexpr std::uint64_t kLookNs = 200 * kMillisecond;

// Whether a thread has SIGKILL pending, which any deadly signal becomes.
bool is_dying(std::uint32_t thread) {
  const std::string path = "/proc/" + std::to_string(thread) + "/status";
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  char line[256];
  bool dying = false;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    std::uint64_t pending = 0;
    if (std::sscanf(line, "SigPnd: %" SCNx64, &pending) != 1 && std::sscanf(line, "ShdPnd: %" SCNx64, &pending) != 1) {
      continue;
    }
    dying = dying || (pending & (1ull << (SIGKILL - 1))) != 0;
  }
  std::fclose(file);
  return dying;
}

}  // namespace

void FuseMount::Impl::note_asked(std::uint64_t number, std::uint32_t process) noexcept {
  // The kernel's numbers are even.
  asked[number / 2 % asked.size()] = {number, process};
}

bool FuseMount::Impl::note_answered(std::uint64_t number) noexcept {
  Asked& slot = asked[number / 2 % asked.size()];
  if (slot.unique == number) slot.unique = 0;
  if (!interrupted.empty()) interrupted.erase(number);
  return given_up.empty() || given_up.erase(number) == 0;
}

void FuseMount::Impl::on_interrupt(std::uint64_t number) {
  const Asked& slot = asked[number / 2 % asked.size()];
  if (slot.unique != number || slot.process == 0) return;
  interrupted[number] = slot.process;
  if (std::exchange(watching, true)) return;
  tasks.spawn(watch_interrupted());
}

// The kernel tells of the first signal alone, and a deadly one may follow.
Task<> FuseMount::Impl::watch_interrupted() {
  while (!interrupted.empty() && !ending) {
    if (files.waits_for_server()) {
      std::vector<std::pair<std::uint64_t, std::uint32_t>> look(interrupted.begin(), interrupted.end());
      const auto keep_dying = [&look] {
        std::erase_if(look, [](const auto& one) { return !is_dying(one.second); });
        return kOk;
      };
      co_await run_blocking(runtime, keep_dying);
      for (const auto& [number, process] : look) {
        if (interrupted.erase(number) != 0) give_up(number);
      }
    }
    if (!interrupted.empty()) co_await sleep_for(runtime, kLookNs);
  }
  watching = false;
}

void FuseMount::Impl::give_up(std::uint64_t number) {
  fuse_out_header head{};
  head.len = sizeof head;
  head.error = -EINTR;
  head.unique = number;
  system_calls.fetch_add(1, std::memory_order_relaxed);
  static_cast<void>(note_answered(number));
  if (::write(fd, &head, sizeof head) == static_cast<ssize_t>(sizeof head)) given_up.insert(number);
}

}  // namespace rideau::client
