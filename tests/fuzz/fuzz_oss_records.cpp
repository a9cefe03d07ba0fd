// SPDX-License-Identifier: Apache-2.0
// Keys and records of an object target's index, as a damaged disk may hold them. Half of the inputs get a right
// checksum.
#include "plugins/oss/records.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool sum_is_right = (input.byte() & 1) == 0;
  const unsigned kind = input.byte() % 5;
  const Bytes given = input.rest();
  // The keys that these records are read under.
  const ObjectId id{7, 9};
  const std::string keys[] = {oss::superblock_key(), oss::destroyed_key(3), oss::session_key(4), oss::slot_key(4, 5),
                              oss::version_key(id)};
  const Bytes key{std::string_view(keys[kind])};
  const std::vector<std::uint8_t> record =
      sum_is_right ? fuzz::sealed(key, given) : std::vector<std::uint8_t>(given.data, given.data + given.size);
  const Bytes value(record.data(), record.size());
  std::uint64_t number = 0;
  static_cast<void>(oss::parse_destroyed_key(given, &number));
  switch (kind) {
    case 0: {
      oss::Superblock block;
      if (oss::read_superblock(value, &block).ok()) {
        const std::string again = oss::superblock_value(block);
        fuzz::require(oss::read_superblock(Bytes(std::string_view(again)), &block).ok(), "a superblock survives");
      }
      break;
    }
    case 1: {
      ObjectId read;
      static_cast<void>(oss::read_destroyed(key, value, &read));
      break;
    }
    case 2: {
      oss::SessionRecord read;
      static_cast<void>(oss::read_session(4, value, &read));
      break;
    }
    case 3: {
      oss::SlotRecord read;
      if (oss::read_slot(4, 5, value, &read).ok()) {
        const std::string again = oss::slot_value(4, 5, read);
        fuzz::require(oss::read_slot(4, 5, Bytes(std::string_view(again)), &read).ok(), "a slot survives");
      }
      break;
    }
    default:
      static_cast<void>(oss::read_version(id, value, &number));
  }
  return 0;
}
