// SPDX-License-Identifier: Apache-2.0
// A backup of a metadata target: read to its end, or refused.
#include "plugins/mds/backup_format.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  mds::BackupReader reader([&input](MutableBytes room) {
    const Bytes got = input.take(room.size);
    if (got.size != 0) std::memcpy(room.data, got.data, got.size);
    return got.size;
  });
  mds::BackupHead head;
  Bytes key;
  Bytes value;
  Status status = reader.head(&head);
  while (status.ok()) {
    status = reader.next(&key, &value);
    if (status.ok())
      fuzz::require(key.size != 0 && value.size <= mds::kBackupValueBytesMax, "an entry is within limits");
  }
  return 0;
}
