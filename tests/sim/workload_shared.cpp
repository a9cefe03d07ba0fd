// SPDX-License-Identifier: Apache-2.0
// Workload: the file that every process writes, while the others do. Each has a place of its own in which it writes
// mostly; places begin and end in the middle of pages, and are missed now and then.
#include "tests/sim/workload.hpp"

#include <cerrno>
#include <utility>

namespace rideau::sim {

namespace {
constexpr std::uint64_t kPlaceBytes = 70'001;
}

Task<> Workload::work_on_shared(Process& process) {
  if (process.random.chance(60)) {
    co_await write_shared(process);
  } else {
    co_await read_file(process, kEverybodysFile);
  }
}

Task<> Workload::close_shared(Process& process) {
  DataOp op;
  op.call = DataCall::close;
  op.file = kEverybodysFile;
  op.who = process.name;
  const std::size_t index = begin(op);
  const Status closed = co_await process.mount->kernel->close(std::exchange(process.shared, 0));
  look_at(process.name, "close of the shared file", closed);
  end(index, closed);
}

Task<> Workload::write_shared(Process& process) {
  Random& random = process.random;
  SimKernel& kernel = *process.mount->kernel;
  DataOp op;
  op.file = kEverybodysFile;
  op.who = process.name;
  const fs::InodeId inode = files_[op.file].inode;
  if (process.shared == 0) {
    const Result<FileId> opened = co_await kernel.open(inode, fs::kOpenRead | fs::kOpenWrite);
    if (!opened.ok()) {
      look_at(process.name, "open of the shared file", opened.status());
      co_return;
    }
    process.shared = *opened;
  }
  bool failed = false;
  const std::uint32_t calls = 1 + static_cast<std::uint32_t>(random.below(3));
  for (std::uint32_t i = 0; i < calls && !failed; ++i) {
    Status done = kOk;
    std::size_t index = 0;
    if (options_.maps && random.chance(40)) {
      failed = !co_await store_some(process, process.shared, op);
      co_await think(process);
      continue;
    }
    // Two mounts that cut a file into which both have stored may wait for each other (decision 42).
    const bool may_cut = !options_.maps || process.mount->name == "client0";
    if (may_cut && random.chance(4)) {
      op.call = DataCall::truncate;
      op.size = random.below(4 * kPlaceBytes);
      index = begin(op);
      done = co_await kernel.truncate(inode, op.size);
      look_at(process.name, "truncate of the shared file", done);
    } else {
      op.call = DataCall::write;
      op.stamp = next_stamp_++;
      const std::uint64_t place = random.chance(80) ? process.first_call / options_.calls : random.below(6);
      op.offset = place * kPlaceBytes + random.below(kPlaceBytes);
      op.size = random.chance(60) ? random.between(1, 12 * 1024) : random.between(1, 100 * 1024);
      std::string bytes(op.size, '\0');
      for (std::uint64_t k = 0; k < op.size; ++k) bytes[k] = static_cast<char>(stamp_byte(op.stamp, op.offset + k));
      index = begin(op);
      const Result<std::uint64_t> written = co_await kernel.write(process.shared, op.offset, std::move(bytes));
      done = written.ok() ? kOk : written.status();
      if (written.ok() && *written != op.size) done = posix_error(trouble_.no_space ? ENOSPC : EIO);
      look_at(process.name, written.ok() ? "write of the shared file was short" : "write of the shared file", done);
    }
    end(index, done);
    failed = !done.ok();
    co_await think(process);
  }
  if (random.chance(15) && !failed) {
    DataOp sync;
    sync.call = DataCall::sync;
    sync.file = op.file;
    sync.who = process.name;
    const std::size_t index = begin(sync);
    const Status synced = co_await kernel.sync(process.shared);
    look_at(process.name, "fsync of the shared file", synced);
    end(index, synced);
    failed = !synced.ok();
  }
  if (random.chance(15) || failed) co_await close_shared(process);
}

}  // namespace rideau::sim
