// SPDX-License-Identifier: Apache-2.0
// The log of one node: lines for people, and the ring of events. A Logger is passed to whoever logs; there is no global
// one. What a line looks like and where it goes is the sink's affair: standard error or a file (log_sinks.cpp), memory
// or nothing (here, for the simulator and tests, which read no clock).
#pragma once

#include "framework/observe/event_ring.hpp"
#include "rideau/host.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace rideau {

// Thread-safe: a plugin may log from a blocking job.
class Logger {
 public:
  virtual ~Logger() = default;

  bool enabled(Level level) const noexcept { return level >= level_.load(std::memory_order_relaxed); }
  Level level() const noexcept { return level_.load(std::memory_order_relaxed); }
  void set_level(Level level) noexcept { level_.store(level, std::memory_order_relaxed); }

  // Where events go; null: nowhere. Lent; on the node's thread.
  void set_events(EventRing* events) noexcept { events_ = events; }
  EventRing* events() const noexcept { return events_; }
  void note(const TraceEvent& event) noexcept {
    if (events_ != nullptr) events_->add(event);
  }

  // One line. Control characters are replaced, so that nobody can forge a second one.
  void write(Level level, std::string_view message) noexcept;

  // As printf; formatted only when the level is enabled.
  void debug(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));
  void info(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));
  void warning(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));
  void error(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

 protected:
  explicit Logger(Level level) noexcept : level_(level) {}

 private:
  virtual void put(Level level, std::string_view line) noexcept = 0;
  std::atomic<Level> level_;
  EventRing* events_ = nullptr;
};

// Keeps the last lines in memory as "level message"; one thread only.
class MemoryLogger final : public Logger {
 public:
  explicit MemoryLogger(Level level = Level::debug, std::size_t lines_max = 1024) noexcept
      : Logger(level), lines_max_(lines_max) {}
  const std::deque<std::string>& lines() const noexcept { return lines_; }
  bool contains(std::string_view text) const noexcept;

 private:
  void put(Level level, std::string_view line) noexcept override;
  std::size_t lines_max_;
  std::deque<std::string> lines_;
};

class NullLogger final : public Logger {
 public:
  NullLogger() noexcept : Logger(Level::error) {}

 private:
  void put(Level, std::string_view) noexcept override {}
};

const char* level_name(Level level) noexcept;
// "debug", "info", "warning", "error"; false for anything else.
bool parse_level(std::string_view text, Level* out) noexcept;

// Lines of "time level node message" on standard error.
std::unique_ptr<Logger> make_stderr_logger(std::string_view node, Level level);
// The same, appended to a file. Null when the file cannot be opened; then *why says so.
std::unique_ptr<Logger> make_file_logger(std::string_view node, const std::string& path, Level level, std::string* why);

}  // namespace rideau
