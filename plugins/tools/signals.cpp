// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/signals.hpp"

#include "framework/runtime/await.hpp"
#include "rideau/host.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace rideau::tools {

StopSignals::StopSignals(std::string log_file) : log_file_(std::move(log_file)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  descriptor_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  ::signal(SIGPIPE, SIG_IGN);
}

StopSignals::~StopSignals() { ::close(descriptor_); }

Task<> StopSignals::wait(Runtime& runtime) {
  for (;;) {
    signalfd_siginfo info;
    if (::read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo != SIGHUP || log_file_.empty()) co_return;
      std::string why;
      if (!open_log_file(log_file_, &why)) std::fprintf(stderr, "%s\n", why.c_str());
      continue;
    }
    const Outcome ready =
        co_await submit([&](Completion& done) { return runtime.wait_fd(descriptor_, kWaitReadable, done); });
    if (!ready.ok()) co_return;
  }
}

bool open_log_file(const std::string& path, std::string* why) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) {
    *why = "cannot write the log " + path + ": " + std::strerror(errno);
    return false;
  }
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  ::close(file);
  return true;
}

}  // namespace rideau::tools
