// SPDX-License-Identifier: Apache-2.0
// Workload: stores into mapped files, by whoever may write the file.
#include "tests/sim/workload.hpp"

#include <algorithm>
#include <utility>

namespace rideau::sim {

Task<bool> Workload::store_some(Process& process, FileId file, DataOp op) {
  Random& random = process.random;
  SimKernel& kernel = *process.mount->kernel;
  const fs::InodeId inode = files_[op.file].inode;
  const Result<fs::Inode> known = co_await kernel.get_attributes(inode);
  look_at(process.name, "stat to store", known.ok() ? kOk : known.status());
  if (!known.ok()) co_return false;
  const bool everybodys = op.file == kEverybodysFile;
  const bool mine = everybodys || files_[op.file].writer == process.name;  // unless another one took over meanwhile
  if (known->size == 0 || !mine) co_return true;
  op.call = DataCall::store;
  op.stamp = next_stamp_++;
  op.offset = random.below(known->size);
  op.size = random.chance(60) ? random.between(1, 6 * 1024) : random.between(1, 100 * 1024);
  op.size = std::min(op.size, known->size - op.offset);
  std::string bytes(op.size, '\0');
  for (std::uint64_t i = 0; i < op.size; ++i) bytes[i] = static_cast<char>(stamp_byte(op.stamp, op.offset + i));
  const std::size_t index = begin(op);
  const Result<std::uint64_t> stored = co_await kernel.store(file, op.offset, std::move(bytes));
  const Status status = stored.ok() ? kOk : stored.status();
  look_at(process.name, "store", status);
  if (stored.ok()) history_.data[index].size = *stored;
  end(index, status);
  if (!stored.ok() || !random.chance(25)) co_return stored.ok();
  op.call = DataCall::sync;
  const std::size_t sync_index = begin(op);
  const Status synced = co_await kernel.sync(file);
  look_at(process.name, "msync", synced);
  end(sync_index, synced);
  co_return synced.ok();
}

}  // namespace rideau::sim
