// SPDX-License-Identifier: Apache-2.0
// Goal: a log line has time, level, node and message, stays one line whatever is logged, and levels change at run time.
#include "framework/observe/log.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include <unistd.h>

using namespace rideau;

TEST_CASE("lines of a file") {
  std::string folder = (std::filesystem::temp_directory_path() / "rideau-log-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::string why;
  {
    const std::unique_ptr<Logger> logger = make_file_logger("mds0", folder + "/mds0.log", Level::info, &why);
    REQUIRE(logger != nullptr);
    logger->debug("hidden %d", 1);
    logger->set_level(Level::debug);
    logger->debug("shown {} %s %d", "text", 7);
    logger->write(Level::warning, "two\nlines\x1b[2J");
  }
  std::ifstream in(folder + "/mds0.log");
  std::stringstream all;
  all << in.rdbuf();
  std::filesystem::remove_all(folder);
  INFO(all.str());
  const std::string time = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d)";
  const std::regex expected(time + " debug +mds0 shown \\{\\} text 7\n" + time + " warning mds0 two lines \\[2J\n");
  CHECK(std::regex_match(all.str(), expected));
}

TEST_CASE("a file that cannot be opened") {
  std::string why;
  CHECK(make_file_logger("mds0", "/proc/nowhere/x.log", Level::info, &why) == nullptr);
  CHECK_FALSE(why.empty());
}

TEST_CASE("a memory logger keeps the last lines") {
  MemoryLogger logger(Level::info, 2);
  logger.debug("no");
  logger.info("one");
  logger.warning("two");
  logger.error("%s", std::string(5000, 'x').c_str());
  REQUIRE(logger.lines().size() == 2);
  CHECK(logger.lines()[0] == "warning two");
  CHECK(logger.lines()[1].size() < 2100);
  Level level = Level::info;
  CHECK(parse_level("error", &level));
  CHECK(level == Level::error);
  CHECK_FALSE(parse_level("loud", &level));
}
