// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/progress.hpp"

#include "plugins/tools/process.hpp"

#include <cstdio>

#include <unistd.h>

namespace rideau::tools {

namespace {
constexpr std::uint64_t kEveryMs = 100;
constexpr char kBeginOfLine[] = "\r\x1b[K";  // and the rest of it erased
}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputs(kBeginOfLine, stderr);
}

void Progress::tell(const std::string& text) {
  if (!terminal_ || clock_ms() < next_ms_) return;
  next_ms_ = clock_ms() + kEveryMs;
  shown_ = true;
  std::fprintf(stderr, "%s%s", kBeginOfLine, text.c_str());
  std::fflush(stderr);
}

}  // namespace rideau::tools
