// SPDX-License-Identifier: Apache-2.0
// Keys and records of a metadata target's index, as a damaged disk may hold them. Half of the inputs get a right
// checksum, or nothing behind it would ever be reached.
#include "plugins/fs/records.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

namespace {

template <class Record>
void read_record(Bytes key, Bytes value) {
  Record record;
  if (!fs::decode(key, value, &record).ok()) return;
  fs::RecordBuffer again;
  fs::encode(record, key, again);
  Record second;
  fuzz::require(fs::decode(key, Bytes(again.data(), again.size()), &second).ok(), "a record survives its writing");
}

void read_key(Bytes key) {
  std::uint64_t id = 0;
  std::uint32_t generation = 0;
  fs::Cookie cookie = 0;
  std::string_view name;
  if (fs::parse_entry_key(key, &id, &cookie)) {
    fuzz::require(compare(fs::entry_key(id, cookie), key) == 0, "a key of an entry is made of its parts");
  }
  if (fs::parse_xattr_key(key, &id, &name)) fuzz::require(name.size() < key.size, "a name lies in its key");
  if (fs::parse_destroy_key(key, &id, &generation)) {
    fuzz::require(compare(fs::destroy_key(id, generation), key) == 0, "a key of objects is made of its parts");
  }
  for (const fs::KeyKind kind :
       {fs::KeyKind::inode, fs::KeyKind::open_unlinked, fs::KeyKind::session, fs::KeyKind::inline_bytes}) {
    static_cast<void>(fs::parse_id_key(kind, key, &id));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool sum_is_right = (input.byte() & 1) == 0;
  const Bytes key = input.take(input.byte());
  const Bytes given = input.rest();
  const std::vector<std::uint8_t> record =
      sum_is_right ? fuzz::sealed(key, given) : std::vector<std::uint8_t>(given.data, given.data + given.size);
  const Bytes value(record.data(), record.size());
  read_key(key);
  read_record<fs::Superblock>(key, value);
  read_record<fs::Counters>(key, value);
  read_record<fs::InodeRecord>(key, value);
  read_record<fs::EntryRecord>(key, value);
  read_record<fs::SessionRecord>(key, value);
  read_record<fs::SlotRecord>(key, value);
  read_record<fs::DestroyRecord>(key, value);
  read_record<fs::DrainRecord>(key, value);
  Bytes inside;
  if (fs::decode_xattr(key, value, &inside).ok()) fuzz::require(inside.size < value.size, "a value lies in its record");
  if (fs::decode_inline(key, value, &inside).ok()) fuzz::require(inside.size < value.size, "bytes lie in their record");
  static_cast<void>(fs::decode_mark(key, value));
  return 0;
}
