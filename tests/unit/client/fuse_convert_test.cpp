// SPDX-License-Identifier: Apache-2.0
// Goal: times, flags and attributes keep their meaning on the way between system calls and the file system.
#include "plugins/client/fuse_convert.hpp"
#include "plugins/client/open_names.hpp"

#include <catch2/catch.hpp>

using namespace rideau;
using namespace rideau::client;

TEST_CASE("times before and after 1970 come back as they went") {
  for (const std::int64_t ns : {0ll, 1ll, 999'999'999ll, 1'000'000'000ll, -1ll, -999'999'999ll, -1'000'000'000ll,
                                -1'000'000'001ll, 1'700'000'000'123'456'789ll}) {
    fs::Inode inode;
    inode.mtime_ns = ns;
    struct stat out {};
    fill_stat(inode, &out);
    CHECK(out.st_mtim.tv_nsec >= 0);
    CHECK(out.st_mtim.tv_nsec < 1'000'000'000);
    CHECK(nanoseconds(out.st_mtim) == ns);
  }
}

TEST_CASE("flags of open(2)") {
  CHECK(open_flags(O_RDONLY) == fs::kOpenRead);
  CHECK(open_flags(O_WRONLY) == fs::kOpenWrite);
  CHECK(open_flags(O_RDWR) == (fs::kOpenRead | fs::kOpenWrite));
  CHECK(open_flags(O_RDONLY | kOpenForExec) == fs::kOpenExecute);
  CHECK(open_flags(O_WRONLY | O_CREAT | O_TRUNC) == (fs::kOpenWrite | fs::kOpenTruncate));
  CHECK(open_flags(O_RDWR | O_CREAT | O_EXCL | O_APPEND) ==
        (fs::kOpenRead | fs::kOpenWrite | fs::kOpenExclusive | fs::kOpenAppend));
}

TEST_CASE("attributes fill a stat") {
  fs::Inode inode;
  inode.id = (5ull << fs::kCounterBits) | 77;
  inode.mode = S_IFREG | S_ISUID | 0751;
  inode.link_count = 3;
  inode.uid = 1000;
  inode.gid = 0xffff'fffe;
  inode.size = 1ull << 40;
  inode.blocks = 8;
  struct stat out {};
  fill_stat(inode, &out);
  CHECK(out.st_ino == inode.id);
  CHECK(out.st_mode == inode.mode);
  CHECK(out.st_nlink == 3);
  CHECK(out.st_uid == 1000);
  CHECK(out.st_gid == 0xffff'fffe);
  CHECK(out.st_size == (1ll << 40));
  CHECK(out.st_blocks == 8);
}

TEST_CASE("times far away are kept as far as they can be") {
  CHECK(nanoseconds({-1, 999'999'999}) == -1);
  CHECK(nanoseconds({1ll << 33, 5}) == (1ll << 33) * 1'000'000'000 + 5);
  const std::int64_t last = nanoseconds({1ll << 40, 7});
  CHECK(last == 9'223'372'036'000'000'000);
  CHECK(nanoseconds({-(1ll << 40), 7}) == -last);
  fs::Inode inode;
  inode.mtime_ns = last;
  struct stat out {};
  fill_stat(inode, &out);
  CHECK(out.st_mtim.tv_sec == 9'223'372'036);
  CHECK(out.st_mtim.tv_nsec == 0);
}

TEST_CASE("what the kernel may walk over unasked") {
  const auto open = [](std::uint32_t mode) {
    fs::Inode inode;
    inode.mode = mode;
    return open_to_all(inode);
  };
  CHECK(open(S_IFDIR | 0755));
  CHECK(open(S_IFDIR | 0111));
  CHECK_FALSE(open(S_IFDIR | 0750));
  CHECK_FALSE(open(S_IFDIR | 0677));
  CHECK(open(S_IFREG | 0));
  CHECK(open(S_IFLNK | 0777));
  CHECK(open(S_IFIFO | 0666));
  CHECK_FALSE(open(S_IFIFO | 0644));
  CHECK_FALSE(open(S_IFSOCK | 0600));
}
