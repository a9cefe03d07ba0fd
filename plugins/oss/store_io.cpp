// SPDX-License-Identifier: Apache-2.0
// See store_io.hpp.
#include "plugins/oss/store_io.hpp"

#include "plugins/fs/object_parts.hpp"

#include <algorithm>
#include <vector>

namespace rideau::oss {

Task<Outcome> read_object(ObjectStore& store, ObjectId id, std::uint64_t offset, const IoVec* parts,
                          std::uint32_t count) {
  const ObjectLimits limits = store.limits();
  const std::uint64_t io_bytes_max = std::max<std::uint64_t>(limits.io_bytes_max, 1);
  const std::size_t parts_max = std::max<std::size_t>(limits.parts_max, 1);
  const std::uint64_t size = fs::parts_bytes(parts, count);
  std::vector<IoVec> piece;
  Outcome total{};
  while (total.value < size) {
    piece.clear();
    const std::uint64_t bytes =
        fs::slice_parts(parts, count, total.value, std::min(size - total.value, io_bytes_max), parts_max, piece);
    const std::uint64_t at = offset + total.value;
    const Outcome done = co_await submit([&](Completion& completion) {
      return store.read(id, at, piece.data(), static_cast<std::uint32_t>(piece.size()), completion);
    });
    if (!done.ok()) {
      total.status = done.status;
      break;
    }
    total.value += done.value;
    if (done.value < bytes) break;
  }
  co_return total;
}

Task<Status> write_object(ObjectStore& store, ObjectId id, std::uint64_t offset, const IoVec* parts,
                          std::uint32_t count) {
  const ObjectLimits limits = store.limits();
  const std::uint64_t io_bytes_max = std::max<std::uint64_t>(limits.io_bytes_max, 1);
  const std::size_t parts_max = std::max<std::size_t>(limits.parts_max, 1);
  const std::uint64_t size = fs::parts_bytes(parts, count);
  std::vector<IoVec> piece;
  for (std::uint64_t written = 0; written < size;) {
    piece.clear();
    const std::uint64_t bytes =
        fs::slice_parts(parts, count, written, std::min(size - written, io_bytes_max), parts_max, piece);
    const std::uint64_t at = offset + written;
    const Outcome done = co_await submit([&](Completion& completion) {
      return store.write(id, at, piece.data(), static_cast<std::uint32_t>(piece.size()), completion);
    });
    if (!done.ok()) co_return done.status;
    written += bytes;
  }
  co_return kOk;
}

}  // namespace rideau::oss
