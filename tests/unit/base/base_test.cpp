// SPDX-License-Identifier: Apache-2.0
// Goal: the small things that everything rests on: checksums against their published values, identifiers, errors.
#include "framework/base/checksum.hpp"
#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "framework/base/version.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <string>
#include <vector>

namespace rideau {
namespace {

TEST_CASE("crc32c gives the values of RFC 3720, appendix B.4, and can be chained") {
  CHECK(crc32c(Bytes(std::string_view("123456789"))) == 0xe3069283u);
  const std::vector<std::uint8_t> zeros(32, 0);
  CHECK(crc32c(Bytes(zeros.data(), zeros.size())) == 0x8a9136aau);
  const std::vector<std::uint8_t> ones(32, 0xff);
  CHECK(crc32c(Bytes(ones.data(), ones.size())) == 0x62a8ab43u);
  CHECK(crc32c(Bytes(std::string_view("6789")), crc32c(Bytes(std::string_view("12345")))) == 0xe3069283u);
  char first[] = "123";
  char second[] = "456789";
  const IoVec parts[] = {{first, 3}, {second, 6}};
  CHECK(crc32c(parts, 2, 9) == 0xe3069283u);
  CHECK(crc32c(parts, 2, 5) == crc32c(Bytes(std::string_view("12345"))));
  CHECK(crc32c(Bytes()) == 0);
}

TEST_CASE("a seed changes every hash") {
  const Bytes name(std::string_view("name"));
  CHECK(hash64(name, 1) == hash64(name, 1));
  CHECK(hash64(name, 1) != hash64(name, 2));
}

TEST_CASE("a UUID as text and back; other text is refused") {
  const std::string text = "0f0e0d0c-0b0a-4908-8706-050403020100";
  const auto parsed = parse_uuid(text);
  REQUIRE(parsed);
  CHECK(to_text(*parsed) == text);
  CHECK(parse_uuid("0F0E0D0C-0B0A-4908-8706-050403020100") == parsed);
  for (const char* bad :
       {"", "0f0e0d0c", "0f0e0d0c-0b0a-4908-8706-05040302010", "0f0e0d0c-0b0a-4908-8706-0504030201000",
        "0f0e0d0c+0b0a-4908-8706-050403020100", "0f0e0d0c-0b0a-4908-8706-05040302010g"}) {
    CHECK_FALSE(parse_uuid(bad));
  }
  const Uuid made =
      make_uuid({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  CHECK(to_text(made) == "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

TEST_CASE("no failure becomes errno 0") {
  CHECK(errno_of(kOk) == 0);
  CHECK(errno_of(posix_error(ENOTEMPTY)) == ENOTEMPTY);
  for (int code = 1; code <= static_cast<int>(Code::posix); ++code) {
    CHECK(errno_of(Status{static_cast<Code>(code), 0, nullptr}) > 0);
    CHECK(std::string(code_name(static_cast<Code>(code))) != "ok");
  }
}

TEST_CASE("the program and the package have one version") { CHECK(std::string(kVersion) == RIDEAU_PROJECT_VERSION); }

}  // namespace
}  // namespace rideau
