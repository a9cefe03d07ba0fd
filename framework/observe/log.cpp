// SPDX-License-Identifier: Apache-2.0
// What all loggers share, and the two that touch nothing outside.
#include "framework/observe/log.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace rideau {
namespace {

constexpr std::size_t kLineBytesMax = 2048;

}  // namespace

void Logger::write(Level level, std::string_view message) noexcept {
  if (!enabled(level)) return;
  char line[kLineBytesMax];
  const std::size_t size = std::min(message.size(), sizeof line);
  std::transform(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size), line, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f ? ' ' : c;
  });
  put(level, {line, size});
}

#define RIDEAU_LOG_FORMATTED(level_of_line)                                 \
  if (!enabled(level_of_line)) return;                                      \
  char line[kLineBytesMax];                                                 \
  va_list arguments;                                                        \
  va_start(arguments, format);                                              \
  const int written = std::vsnprintf(line, sizeof line, format, arguments); \
  va_end(arguments);                                                        \
  if (written < 0) return;                                                  \
  write(level_of_line, {line, std::min(static_cast<std::size_t>(written), sizeof line - 1)})

void Logger::debug(const char* format, ...) noexcept { RIDEAU_LOG_FORMATTED(Level::debug); }
void Logger::info(const char* format, ...) noexcept { RIDEAU_LOG_FORMATTED(Level::info); }
void Logger::warning(const char* format, ...) noexcept { RIDEAU_LOG_FORMATTED(Level::warning); }
void Logger::error(const char* format, ...) noexcept { RIDEAU_LOG_FORMATTED(Level::error); }

#undef RIDEAU_LOG_FORMATTED

void MemoryLogger::put(Level level, std::string_view line) noexcept {
  if (lines_.size() >= lines_max_) lines_.pop_front();
  lines_.push_back(std::string(level_name(level)) + " " + std::string(line));
}

bool MemoryLogger::contains(std::string_view text) const noexcept {
  return std::any_of(lines_.begin(), lines_.end(),
                     [text](const std::string& line) { return line.find(text) != std::string::npos; });
}

const char* level_name(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "unknown";
}

bool parse_level(std::string_view text, Level* out) noexcept {
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    if (text == level_name(level)) {
      *out = level;
      return true;
    }
  }
  return false;
}

}  // namespace rideau
