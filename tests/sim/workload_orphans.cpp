// SPDX-License-Identifier: Apache-2.0
// Workload: files that lose their last name while they are open. Who has one open goes on with it, whatever happens to
// the servers meanwhile; with its last close it is gone.
#include "tests/sim/workload.hpp"

#include <algorithm>
#include <utility>

namespace rideau::sim {

Task<> Workload::work_on_orphan(Process& process) {
  if (process.orphan.file == 0) {
    co_await make_orphan(process);
  } else {
    co_await look_at_orphan(process);
  }
}

Task<> Workload::make_orphan(Process& process) {
  SimKernel& kernel = *process.mount->kernel;
  Orphan orphan;
  orphan.stamp = next_stamp_++;
  orphan.size = process.random.between(1, 20 * 1024);
  const bool syncs = process.random.chance(50);
  const std::string name = "orphan" + std::to_string(orphan.stamp);
  const Result<SimKernel::Created> created = co_await kernel.create(data_directory_, name, true);
  if (!created.ok()) {
    look_at(process.name, "create " + name, created.status());
    co_return;
  }
  orphan.file = created->file;
  orphan.losses = history_.losses.size();
  std::string bytes(orphan.size, '\0');
  for (std::uint64_t i = 0; i < orphan.size; ++i) bytes[i] = static_cast<char>(stamp_byte(orphan.stamp, i));
  const Result<std::uint64_t> written = co_await kernel.write(orphan.file, 0, std::move(bytes));
  Status status = written.ok() ? kOk : written.status();
  if (written.ok() && *written != orphan.size) status = posix_error(trouble_.no_space ? ENOSPC : EIO);
  look_at(process.name, "write " + name, status);
  if (status.ok() && syncs) {
    status = co_await kernel.sync(orphan.file);
    look_at(process.name, "fsync " + name, status);
    orphan.synced = status.ok();
  }
  const Status removed = co_await kernel.remove(data_directory_, name, false);
  look_at(process.name, "unlink " + name, removed);
  if (status.ok() && removed.ok()) {
    process.orphan = orphan;
  } else {
    look_at(process.name, "close " + name, co_await kernel.close(orphan.file));
  }
}

Task<> Workload::look_at_orphan(Process& process) {
  SimKernel& kernel = *process.mount->kernel;
  const Orphan orphan = std::exchange(process.orphan, {});
  const std::string name = "orphan" + std::to_string(orphan.stamp);
  const Result<std::string> bytes = co_await kernel.read(orphan.file, 0, orphan.size);
  look_at(process.name, "read " + name, bytes.ok() ? kOk : bytes.status());
  // It goes with its session; bytes that no fsync secured may go with a target.
  const auto concerns = [&](const Loss& loss) {
    return loss.mount.empty() ? !orphan.synced : loss.mount == process.mount->name;
  };
  const auto since = history_.losses.begin() + static_cast<std::ptrdiff_t>(orphan.losses);
  const bool still_losing = std::any_of(history_.losses.begin(), since,
                                        [&](const Loss& loss) { return concerns(loss) && loss.until > loss.tick; });
  const bool may_differ = still_losing || std::any_of(since, history_.losses.end(), concerns);
  if (bytes.ok() && !may_differ) {
    bool same = bytes->size() == orphan.size;
    for (std::uint64_t i = 0; same && i < orphan.size; ++i) {
      same = (*bytes)[i] == static_cast<char>(stamp_byte(orphan.stamp, i));
    }
    if (!same) fail(process.name, name + " is not what was written", posix_error(EIO));
  }
  look_at(process.name, "close " + name, co_await kernel.close(orphan.file));
}

}  // namespace rideau::sim
