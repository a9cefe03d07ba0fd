// SPDX-License-Identifier: Apache-2.0
// Goal: sizes and durations mean what they say, and what makes no sense is no value instead of a wrong one.
#include "framework/config/units.hpp"

#include <catch2/catch.hpp>

using namespace rideau;

TEST_CASE("sizes") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("64 KiB") == 65536);
  CHECK(parse_size("64KiB") == 65536);
  CHECK(parse_size(" 1 GiB ") == 1 << 30);
  CHECK(parse_size("2 MB") == 2'000'000);
  CHECK(parse_size("8191 PiB") == 8191ll << 50);
  for (const char* bad :
       {"", " ", "KiB", "-1", "+1", "1.5 GiB", "1 kib", "1 K", "1 KiB x", "8192 PiB", "99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad).has_value());
  }
}

TEST_CASE("durations need a unit") {
  CHECK(parse_duration_ns("20 us") == 20'000);
  CHECK(parse_duration_ns("5s") == 5'000'000'000);
  CHECK(parse_duration_ns("2 h") == 7'200'000'000'000);
  for (const char* bad : {"", "5", "-5 s", "5 sec", "1e3 s", "9223372036854775807 s"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration_ns(bad).has_value());
  }
}

TEST_CASE("what is written parses back to the same") {
  for (const std::int64_t value : {0ll, 1ll, 1023ll, 1024ll, 1536ll, 1ll << 20, 1000ll, 123456789ll, 3ll << 50}) {
    CHECK(parse_size(size_text(value)) == value);
    CHECK(parse_duration_ns(duration_text(value)) == value);
  }
  CHECK(size_text(65536) == "64 KiB");
  CHECK(duration_text(5'000'000'000) == "5 s");
}
