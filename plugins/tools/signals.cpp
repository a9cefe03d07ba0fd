// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/signals.hpp"

#include "framework/runtime/await.hpp"
#include "rideau/host.hpp"

#include <csignal>

#include <sys/signalfd.h>
#include <unistd.h>

namespace rideau::tools {

StopSignals::StopSignals() {
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
    if (::read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) co_return;
    const Outcome ready =
        co_await submit([&](Completion& done) { return runtime.wait_fd(descriptor_, kWaitReadable, done); });
    if (!ready.ok()) co_return;
  }
}

}  // namespace rideau::tools
