// SPDX-License-Identifier: Apache-2.0
// Goal: superblocks and records of the map come back as they were written, and with any one bit flipped they are
// refused.
#include "backends/block_device/map_records.hpp"
#include "sdk/testkit/dice.hpp"
#include "tests/unit/seed_count.hpp"

#include <catch2/catch.hpp>

namespace rideau::block_device {
namespace {

std::string flipped(std::string text, std::size_t bit) {
  text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  return text;
}

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

std::vector<Block> some_blocks(std::uint64_t seed) {
  Dice dice(seed);
  std::vector<Block> blocks(1 + dice.below(kSegmentBlocks));
  std::uint64_t place = 1000;
  for (Block& block : blocks) {
    const std::uint64_t kind = dice.below(6);
    if (kind == 0) continue;
    place += dice.one_in(5) ? dice.below(1ull << 40) : 1;
    block.place = place;
    block.state = kind == 1 ? Block::State::kept : Block::State::data;
    if (block.state == Block::State::data) block.sum = static_cast<std::uint32_t>(dice.roll());
  }
  while (!blocks.empty() && blocks.back().state == Block::State::none) blocks.pop_back();
  return blocks;
}

}  // namespace

TEST_CASE("a superblock comes back, and no flipped bit passes") {
  Superblock from;
  from.uuid.fill(0x33);
  from.device_bytes = 123 << 20;
  from.sequence = 5;
  from.state = Superblock::State::in_use;
  std::string image(kBlockBytes, '\0');
  encode_superblock(from, reinterpret_cast<std::uint8_t*>(image.data()));
  Superblock to;
  REQUIRE(decode_superblock(view(image).data, &to).ok());
  CHECK(to.uuid == from.uuid);
  CHECK(to.device_bytes == from.device_bytes);
  CHECK(to.sequence == 5);
  CHECK(to.state == Superblock::State::in_use);
  for (std::size_t bit = 0; bit < image.size() * 8; ++bit) {
    const std::string other = flipped(image, bit);
    CHECK_FALSE(decode_superblock(view(other).data, &to).ok());
    Superblock chosen;
    REQUIRE(choose_superblock(view(other).data, view(image).data, &chosen).ok());
    CHECK(chosen.sequence == 5);
  }
}

TEST_CASE("of two copies the newer one counts, and a newer format is told from damage") {
  Superblock older;
  older.uuid.fill(1);
  Superblock newer = older;
  newer.sequence = 2;
  std::string first(kBlockBytes, '\0');
  std::string second(kBlockBytes, '\0');
  encode_superblock(older, reinterpret_cast<std::uint8_t*>(first.data()));
  encode_superblock(newer, reinterpret_cast<std::uint8_t*>(second.data()));
  Superblock to;
  REQUIRE(choose_superblock(view(first).data, view(second).data, &to).ok());
  CHECK(to.sequence == 2);
  const std::string blank(kBlockBytes, '\0');
  CHECK(choose_superblock(view(blank).data, view(blank).data, &to).code == Code::not_found);
  const std::string rotten = flipped(first, 300);
  CHECK(choose_superblock(view(rotten).data, view(blank).data, &to).code == Code::corrupt);
  newer.version = kFormatVersion + 1;
  encode_superblock(newer, reinterpret_cast<std::uint8_t*>(second.data()));
  CHECK(choose_superblock(view(first).data, view(second).data, &to).code == Code::refused);
  CHECK(to.version == kFormatVersion + 1);
  newer = older;
  newer.uuid.fill(2);
  encode_superblock(newer, reinterpret_cast<std::uint8_t*>(second.data()));
  CHECK(choose_superblock(view(first).data, view(second).data, &to).code == Code::corrupt);
}

TEST_CASE("records of the map come back, and no flipped bit of key or value passes") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(40); ++seed) {
    const std::string key = segment_key({seed, 7}, seed * 3);
    const std::vector<Block> blocks = some_blocks(seed);
    const std::string value = segment_value(key, blocks);
    std::vector<Block> found;
    REQUIRE(read_segment(view(key), view(value), &found).ok());
    REQUIRE(found.size() == blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      CHECK(found[i].state == blocks[i].state);
      CHECK((found[i].state == Block::State::none || found[i].place == blocks[i].place));
      CHECK((found[i].state != Block::State::data || found[i].sum == blocks[i].sum));
    }
    Dice dice(seed);
    for (int i = 0; i < 200; ++i) {
      const std::string other = flipped(value, dice.below(value.size() * 8));
      CHECK_FALSE(read_segment(view(key), view(other), &found).ok());
    }
    const std::string elsewhere = segment_key({seed, 8}, seed * 3);
    CHECK(read_segment(view(elsewhere), view(value), &found).code == Code::corrupt);
    for (std::size_t size = 0; size < value.size(); size += 1 + value.size() / 50) {
      CHECK_FALSE(read_segment(view(key), Bytes(std::string_view(value).substr(0, size)), &found).ok());
    }
  }
  const std::string key = object_key({1, 2});
  const std::string value = object_value(key, {12'345, 4});
  ObjectRecord record;
  REQUIRE(read_object(view(key), view(value), &record).ok());
  CHECK(record.size == 12'345);
  CHECK(record.blocks == 4);
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    const std::string other = flipped(value, bit);
    CHECK_FALSE(read_object(view(key), view(other), &record).ok());
  }
}

TEST_CASE("the record of a small object comes back with its bytes, and no flipped bit of it passes") {
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{700}, std::uint64_t{4096}, kSmallBytesMax}) {
    Dice dice(size);
    const std::string key = object_key({size, 2});
    const std::string bytes = dice.nonzero_bytes(size);
    const std::string value = object_value(key, {size + 5, 0, size}, bytes);
    CHECK(small_bytes_of(view(value)) == size);
    ObjectRecord record;
    Bytes found;
    REQUIRE(read_object(view(key), view(value), &record, &found).ok());
    CHECK(record.size == size + 5);
    CHECK(record.blocks == 0);
    CHECK(record.small_bytes == size);
    CHECK(found.view() == bytes);
    const std::size_t bits = value.size() * 8;
    for (std::size_t bit = 0; bit < bits; bit += 1 + bits / 2000) {
      CHECK_FALSE(read_object(view(key), view(flipped(value, bit)), &record, &found).ok());
    }
    const std::string elsewhere = object_key({size, 3});
    CHECK(read_object(view(elsewhere), view(value), &record, &found).code == Code::corrupt);
  }
  const std::string key = object_key({1, 2});
  ObjectRecord record;
  // Records that no store writes: bytes and blocks at once, more bytes than the object has, more than fit.
  CHECK(read_object(view(key), view(object_value(key, {10, 1, 3}, "abc")), &record).code == Code::corrupt);
  CHECK(read_object(view(key), view(object_value(key, {2, 0, 3}, "abc")), &record).code == Code::corrupt);
  const std::string large(kSmallBytesMax + 1, 'l');
  CHECK(read_object(view(key), view(object_value(key, {1 << 20, 0, 1}, large)), &record).code == Code::corrupt);
  CHECK(small_bytes_of(view(object_value(key, {10, 1}))) == 0);
  CHECK(small_bytes_of(Bytes()) == 0);
}

TEST_CASE("the record of a segment comes back with the bytes over its blocks, and no flipped bit of it passes") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(40); ++seed) {
    Dice dice(seed);
    const std::string key = segment_key({seed, 7}, seed * 3);
    const std::vector<Block> blocks = some_blocks(seed);
    Patches patches;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i].state != Block::State::data || !dice.one_in(8) || patches.bytes() > kPatchBytesMax - 500) continue;
      const auto offset = static_cast<std::uint16_t>(dice.below(kBlockBytes - 500));
      patches.put(static_cast<std::uint16_t>(i), offset, dice.nonzero_bytes(1 + dice.below(300)));
    }
    const std::string value = segment_value(key, blocks, patches);
    CHECK(value[0] == (patches.empty() ? 1 : 2));
    std::vector<Block> found;
    Patches found_patches;
    REQUIRE(read_segment(view(key), view(value), &found, &found_patches).ok());
    CHECK(found_patches.blocks() == patches.blocks());
    CHECK(found.size() == blocks.size());
    for (int i = 0; i < 200; ++i) {
      const std::string other = flipped(value, dice.below(value.size() * 8));
      CHECK_FALSE(read_segment(view(key), view(other), &found, &found_patches).ok());
    }
  }
  // What no store writes: bytes over a block that has none, and more than fit.
  const std::string key = segment_key({1, 2}, 3);
  std::vector<Block> blocks(2);
  blocks[0] = {100, 7, Block::State::data, false};
  blocks[1] = {101, 0, Block::State::kept, false};
  std::vector<Block> found;
  Patches over_kept;
  over_kept.put(1, 5, "abc");
  CHECK(read_segment(view(key), view(segment_value(key, blocks, over_kept)), &found).code == Code::corrupt);
  blocks[1].state = Block::State::data;
  Patches much;
  much.put(0, 0, std::string(kBlockBytes, 'm'));
  CHECK(read_segment(view(key), view(segment_value(key, blocks, much)), &found).ok());
  much.put(1, 0, "m");
  CHECK(read_segment(view(key), view(segment_value(key, blocks, much)), &found).code == Code::corrupt);
}

TEST_CASE("keys order as ids and numbers do, and are told apart") {
  CHECK(object_key({1, 255}) < object_key({1, 256}));
  CHECK(object_key({1, ~0ull}) < object_key({2, 0}));
  CHECK(segment_key({1, 1}, 255) < segment_key({1, 1}, 256));
  ObjectId id;
  std::uint64_t number = 0;
  const std::string key = segment_key({5, 6}, 7);
  REQUIRE(parse_segment_key(view(key), &id, &number));
  CHECK(id == ObjectId{5, 6});
  CHECK(number == 7);
  CHECK_FALSE(parse_object_key(view(key), &id));
  const std::string other = object_key({5, 6});
  CHECK_FALSE(parse_segment_key(view(other), &id, &number));
}

}  // namespace rideau::block_device
