// SPDX-License-Identifier: Apache-2.0
// Goal: memory that other processes can map: what was taken is found in it, what was put back has no pages, and what
// was cut off is private for good.
#include "framework/runtime/real_shared_memory.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace rideau {
namespace {

constexpr std::size_t kUnit = 64 << 10;

// The same file, as another process maps it.
struct Other {
  explicit Other(const SharedMemory& memory)
      : size(memory.size()),
        bytes(static_cast<std::uint8_t*>(
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory.descriptor(), 0))) {
    REQUIRE(bytes != MAP_FAILED);
  }
  ~Other() { ::munmap(bytes, size); }
  std::uint64_t size;
  std::uint8_t* bytes;
};

std::uint64_t bytes_with_pages(const SharedMemory& memory) {
  struct stat about {};
  REQUIRE(::fstat(memory.descriptor(), &about) == 0);
  return static_cast<std::uint64_t>(about.st_blocks) * 512;
}

}  // namespace

TEST_CASE("what is taken lies in the file, and what is put back takes no memory") {
  RealSharedMemory memory;
  REQUIRE(memory.usable());
  CHECK((::fcntl(memory.descriptor(), F_GET_SEALS) & F_SEAL_SHRINK) != 0);
  std::uint8_t* one = memory.take(kUnit);
  std::uint8_t* large = memory.take(3 * kUnit + 1);
  REQUIRE(one != nullptr);
  REQUIRE(large != nullptr);
  CHECK(bytes_with_pages(memory) == 5 * kUnit);
  const Other other(memory);
  std::uint64_t offset = 0;
  REQUIRE(memory.find(large + 10, 3 * kUnit, &offset));
  std::memset(large, 5, 4 * kUnit);
  CHECK(other.bytes[offset] == 5);
  other.bytes[offset + 1] = 6;
  CHECK(large[11] == 6);
  CHECK(!memory.find(large, 5 * kUnit, &offset));  // beyond what was taken
  CHECK(!memory.find(&offset, 8, &offset));
  CHECK(!memory.find(large, 0, &offset));
  std::uint8_t elsewhere = 0;
  CHECK(!memory.put(&elsewhere, 1));
  CHECK(memory.put(large, 3 * kUnit + 1));
  CHECK(bytes_with_pages(memory) == kUnit);
  CHECK(memory.take(3 * kUnit + 1) == large);
  CHECK(large[11] == 0);
  CHECK(bytes_with_pages(memory) == 5 * kUnit);
}

TEST_CASE("what is cut off keeps its bytes and is seen by nobody else any more") {
  RealSharedMemory memory;
  REQUIRE(memory.usable());
  std::uint8_t* taken = memory.take(3 * kUnit);
  const Other other(memory);
  std::uint64_t offset = 0;
  REQUIRE(memory.find(taken, 3 * kUnit, &offset));
  std::memset(taken, 5, 3 * kUnit);
  memory.cut_off(taken + kUnit + 7, 1);
  CHECK((taken[kUnit] == 5 && taken[2 * kUnit - 1] == 5));
  std::memset(other.bytes + offset, 9, 3 * kUnit);
  CHECK((taken[kUnit - 1] == 9 && taken[kUnit] == 5 && taken[2 * kUnit - 1] == 5 && taken[2 * kUnit] == 9));
  taken[kUnit] = 1;
  CHECK(other.bytes[offset + kUnit] == 9);
  CHECK(!memory.find(taken, kUnit + 1, &offset));
  CHECK(!memory.find(taken + 2 * kUnit - 1, 2, &offset));
  CHECK(memory.find(taken, kUnit, &offset));
  CHECK(memory.find(taken + 2 * kUnit, kUnit, &offset));
  CHECK(memory.put(taken, 3 * kUnit));
  CHECK(memory.take(3 * kUnit) != taken);
}

}  // namespace rideau
