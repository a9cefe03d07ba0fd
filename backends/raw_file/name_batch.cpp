// SPDX-License-Identifier: Apache-2.0
// The blocking part of making and removing files.
#include "name_batch.hpp"

#include "home.hpp"

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace rideau::raw_file {
namespace {

void run_step(Home& home, NameStep& step) noexcept {
  if (step.removes) {
    step.result = home.free_files().remove(home.objects(), step.path, std::exchange(step.fd, -1));
    return;
  }
  const int fd = home.free_files().make(home.objects(), step.path);
  step.result = fd < 0 ? fd : 0;
  step.fd = fd < 0 ? -1 : fd;
  if (fd < 0 || step.bytes == nullptr) return;
  ssize_t count = 0;
  do {
    count = ::pwritev(fd, step.bytes, step.parts, static_cast<off_t>(step.offset));
  } while (count < 0 && errno == EINTR);
  // A failure is told by the op's own write, which follows.
  step.written = count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

}  // namespace

NameBatch::~NameBatch() {
  for (const NameStep& step : steps) {
    if (step.fd >= 0) ::close(step.fd);
  }
}

void NameBatch::run(Home& home) noexcept {
  const std::uint64_t before = home.free_files().system_calls();
  for (NameStep& step : steps) {
    run_step(home, step);
    if (step.bytes != nullptr && step.result == 0) ++system_calls;  // the write
  }
  system_calls += home.free_files().system_calls() - before;
}

}  // namespace rideau::raw_file
