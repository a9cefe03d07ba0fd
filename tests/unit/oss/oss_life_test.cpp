// SPDX-License-Identifier: Apache-2.0
// Goal: a target knows who it is, refuses what is not its own or newer than it, and never uses an epoch or a session
// number twice, power cuts included.
#include "plugins/oss/records.hpp"
#include "tests/unit/oss/oss_bench.hpp"

namespace rideau::oss {

TEST_CASE("a target is formatted once, and then started by those it belongs to") {
  OssBench bench(1);
  {
    auto life = bench.live();
    CHECK(life->start().code == Code::not_found);
    CHECK(life->format().ok());
    CHECK(life->format().code == Code::exists);
    CHECK(life->oss->last_problem().find("already belongs to target 7") != std::string::npos);
    CHECK(life->start().ok());
    CHECK(life->oss->boot_epoch() == 1);
    life->stop();
  }
  bench.options.target = 8;
  {
    auto life = bench.live();
    CHECK(life->start().code == Code::refused);
    CHECK(life->oss->last_problem().find("target 7") != std::string::npos);
    life->stop();
  }
  bench.options.target = 7;
  bench.options.cluster = *parse_uuid("11111111-2222-4333-8444-555555555555");
  {
    auto life = bench.live();
    CHECK(life->start().code == Code::refused);
    CHECK(life->log.contains("of cluster 0f0e0d0c"));
  }
}

TEST_CASE("boot epochs and session numbers grow over power cuts") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    OssBench bench(seed);
    std::uint64_t last_epoch = 0;
    std::uint64_t last_session = 0;
    for (int round = 0; round < 4; ++round) {
      {
        auto life = bench.live();
        if (round == 0) REQUIRE(life->format().ok());
        REQUIRE(life->start().ok());
        REQUIRE(life->oss->boot_epoch() > last_epoch);
        last_epoch = life->oss->boot_epoch();
        for (int i = 0; i < 3; ++i) {
          const std::uint64_t session = life->oss->next_session_id();
          REQUIRE(session > last_session);
          last_session = session;
        }
      }
      bench.index_disk->power_cut(seed * 10 + static_cast<std::uint64_t>(round));
    }
  }
}

TEST_CASE(
    "what was answered is kept through deaths of the process and stops in order, not through a start of the machine") {
  OssBench bench(2);
  enum class End { killed, stopped };
  const auto live = [&](int machine_boot, End end) {
    bench.options.machine_boot = {};
    bench.options.machine_boot.bytes[0] = static_cast<std::uint8_t>(machine_boot);
    auto life = bench.live();
    if (life->start().code == Code::not_found) {
      REQUIRE(life->format().ok());
      REQUIRE(life->start().ok());
    }
    if (end == End::stopped) life->stop();
    return life->oss->kept_from();
  };
  CHECK(live(1, End::killed) == 1);
  CHECK(live(1, End::killed) == 1);
  CHECK(live(2, End::killed) == 3);
  CHECK(live(2, End::stopped) == 3);
  CHECK(live(3, End::killed) == 3);
  CHECK(live(4, End::killed) == 6);
  // A store that keeps what it answered in its memory: nil.
  CHECK(live(0, End::killed) == 7);
  CHECK(live(0, End::killed) == 8);
}

TEST_CASE("records: what was put in comes out, and damage or a newer version is told") {
  const Superblock made{kFormat, kTestCluster, 7, 12};
  const std::string value = superblock_value(made);
  Superblock found{};
  REQUIRE(read_superblock(Bytes(std::string_view(value)), &found).ok());
  CHECK(found.cluster == made.cluster);
  CHECK(found.target == 7);
  CHECK(found.boot_epoch == 12);
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    std::string damaged = value;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    REQUIRE(read_superblock(Bytes(std::string_view(damaged)), &found).code == Code::corrupt);
  }
  for (std::size_t size = 0; size < value.size(); ++size) {
    REQUIRE_FALSE(read_superblock(Bytes(std::string_view(value).substr(0, size)), &found).ok());
  }
  // A value under another key is damage as well.
  const std::string version = version_value({1, 2}, 99);
  std::uint64_t number = 0;
  CHECK(read_version({1, 2}, Bytes(std::string_view(version)), &number).ok());
  CHECK(number == 99);
  CHECK(read_version({1, 3}, Bytes(std::string_view(version)), &number).code == Code::corrupt);
  SlotRecord slot{5, 3, 0, 0, 77};
  const std::string reply = slot_value(9, 4, slot);
  SlotRecord read_back{};
  CHECK(read_slot(9, 4, Bytes(std::string_view(reply)), &read_back).ok());
  CHECK(read_back.sequence == 5);
  CHECK(read_back.version == 77);
  CHECK(version_key({1, 2}) < version_key({2, 1}));
  CHECK(destroyed_key(255) < destroyed_key(256));
}

}  // namespace rideau::oss
