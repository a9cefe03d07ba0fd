// SPDX-License-Identifier: Apache-2.0
// Loggers that write to the world, on spdlog. The only file that knows it.
#include "framework/observe/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace rideau {
namespace {

spdlog::level::level_enum spdlog_level(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

class SpdlogLogger final : public Logger {
 public:
  SpdlogLogger(std::string_view node, spdlog::sink_ptr sink, Level level)
      : Logger(level), logger_(std::string(node), std::move(sink)) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %-7l %n %v");
    logger_.set_level(spdlog::level::trace);
    logger_.flush_on(spdlog::level::info);
  }

 private:
  void put(Level level, std::string_view line) noexcept override {
    logger_.log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
  }
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<Logger> make_stderr_logger(std::string_view node, Level level) {
  return std::make_unique<SpdlogLogger>(node, std::make_shared<spdlog::sinks::stderr_sink_mt>(), level);
}

std::unique_ptr<Logger> make_file_logger(std::string_view node, const std::string& path, Level level,
                                         std::string* why) {
  try {
    return std::make_unique<SpdlogLogger>(node, std::make_shared<spdlog::sinks::basic_file_sink_mt>(path), level);
  } catch (const std::exception& failure) {
    *why = failure.what();
    return nullptr;
  }
}

}  // namespace rideau
