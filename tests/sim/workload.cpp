// SPDX-License-Identifier: Apache-2.0
// Preparing, checking and cleaning; what the processes do is in workload_calls.cpp.
#include "tests/sim/workload.hpp"

#include "tests/sim/check_bytes.hpp"
#include "tests/sim/check_names.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace rideau::sim {
namespace {

constexpr std::uint32_t kGroupSizes[] = {2, 1};

}  // namespace

Workload::Workload(SimWorld& world, WorkloadOptions options) : world_(world), options_(options) {}

namespace {

// "client0.1" is of client0.
std::string mount_of(const std::string& who) { return who.substr(0, who.find('.')); }

bool is_io_error(int error) { return error == EIO || error == ETIMEDOUT; }

}  // namespace

std::uint32_t Workload::running() const noexcept {
  std::uint32_t all = 0;
  for (const auto& [mount, count] : running_) all += count;
  return all;
}

void Workload::lose_mount(const std::string& name) {
  running_.erase(name);
  history_.losses.push_back({++history_.now, name, false, 0});
  const auto of_it = [&name](const auto& op) { return op.returned == 0 && mount_of(op.who) == name; };
  for (NameOp& op : history_.names) {
    if (of_it(op)) op.unknown = true;
  }
  for (DataOp& op : history_.data) {
    if (of_it(op)) op.error = EIO;
  }
  trouble_.lost_session.insert(name);
}

void Workload::lose_session(const std::string& mount) {
  history_.losses.push_back({++history_.now, mount, true, 0});
  session_lost_ns_[mount] = world_.now_ns();
  trouble_.lost_session.insert(mount);
}

void Workload::lose_objects() {
  history_.losses.push_back({++history_.now, {}, false, 0});
  trouble_.objects_lost = true;
}

void Workload::begin_losing() { history_.losses.push_back({++history_.now, {}, false, ~Tick{0}}); }

void Workload::lose_for_good() { history_.losses.push_back({++history_.now, {}, false, ~Tick{0} - 1}); }

void Workload::end_losing() {
  ++history_.now;
  for (Loss& loss : history_.losses) {
    if (loss.until == ~Tick{0}) loss.until = history_.now;
  }
}

bool Workload::excuses_names(const std::string& who, int error) const {
  if (error == ENOSPC) return trouble_.no_space;
  return is_io_error(error) && (trouble_.names_fail || trouble_.lost_session.count(mount_of(who)) != 0);
}

bool Workload::excuses_bytes(const std::string& who, int error) const {
  if (error == ENOSPC) return trouble_.no_space;
  const bool lost = trouble_.lost_session.count(mount_of(who)) != 0;
  if (error == ESTALE || error == EBADF || error == ENOENT) return lost;
  return is_io_error(error) && (lost || trouble_.bytes_fail || trouble_.bytes_rot || trouble_.objects_lost ||
                                trouble_.names_fail || trouble_.no_space);
}

void Workload::look_at(const std::string& who, const std::string& what, Status status) {
  if (!status.ok() && !excuses_bytes(who, errno_of(status))) fail(who, what, status);
}

void Workload::look_at_strictly(const std::string& who, const std::string& what, Status status) {
  if (!status.ok() && !(trouble_.bytes_rot && is_io_error(errno_of(status)))) fail(who, what, status);
}

void Workload::look_at_name_error(const std::string& who, NameOp& op) {
  if (op.error == 0) return;
  if (excuses_names(who, op.error)) {
    op.unknown = true;
  } else {
    fail(who, to_text(op), posix_error(op.error));
  }
}

void Workload::fail(const std::string& who, const std::string& what, Status status) {
  history_.failures.push_back(who + ": " + what + ": " + std::strerror(errno_of(status)) +
                              (status.where != nullptr ? std::string(" in ") + status.where : std::string()));
}

Task<> Workload::prepare(Mount& mount) {
  SimKernel& kernel = *mount.kernel;
  std::uint32_t made = 0;
  for (const std::uint32_t size : kGroupSizes) {
    Group group;
    for (std::uint32_t i = 0; i < size; ++i) {
      const std::string name = "dir" + std::to_string(made++);
      const Result<fs::Inode> directory = co_await kernel.make(fs::kRootInode, name, S_IFDIR | 0755, "");
      if (!directory.ok()) {
        fail(mount.name, "mkdir " + name, directory.status());
        co_return;
      }
      group.directories.push_back(directory->id);
    }
    groups_.push_back(group);
  }
  const Result<fs::Inode> data = co_await kernel.make(fs::kRootInode, "data", S_IFDIR | 0755, "");
  if (!data.ok()) {
    fail(mount.name, "mkdir data", data.status());
    co_return;
  }
  data_directory_ = data->id;
  const std::uint32_t files = options_.maps ? kOwnFiles + 1 : kOwnFiles;
  for (std::uint32_t i = 0; i < files; ++i) {
    SharedFile file;
    file.name = "file" + std::to_string(i);
    const Result<SimKernel::Created> created = co_await kernel.create(data_directory_, file.name, true);
    if (!created.ok()) {
      fail(mount.name, "create " + file.name, created.status());
      co_return;
    }
    file.inode = created->inode.id;
    const Status closed = co_await kernel.close(created->file);
    if (!closed.ok()) fail(mount.name, "close " + file.name, closed);
    files_.push_back(file);
  }
}

void Workload::start(std::vector<Mount>& mounts) {
  std::uint32_t number = 0;
  for (std::uint32_t i = 0; i < options_.processes; ++i) {
    for (Mount& mount : mounts) {
      Process process;
      process.mount = &mount;
      process.name = mount.name + "." + std::to_string(i);
      process.random = world_.random().fork();
      process.subdirectories.resize(groups_.size());
      process.inodes.resize(groups_.size());
      process.file = number % kOwnFiles;
      if (number < kOwnFiles) files_[process.file].writer = process.name;
      ++number;
      ++running_[mount.name];
      process.first_call = calls_planned_;
      calls_planned_ += options_.calls;
      mount.tasks->spawn(run_process(std::move(process)));
    }
  }
}

Task<> Workload::look_into(Mount& mount, std::uint32_t group, fs::InodeId directory) {
  NameOp list;
  list.call = NameCall::list;
  list.group = group;
  list.directory = directory;
  NameOp listed;
  co_await call(mount, list, listed);
  for (const auto& [name, inode] : listed.entries) {
    NameOp lookup;
    lookup.call = NameCall::lookup;
    lookup.group = group;
    lookup.directory = directory;
    lookup.name = name;
    NameOp found;
    co_await call(mount, lookup, found);
    if (found.error != 0) continue;
    NameOp attributes;
    attributes.call = NameCall::attributes;
    attributes.group = group;
    attributes.inode = found.result;
    NameOp seen;
    co_await call(mount, attributes, seen);
    if (found.type == S_IFDIR) co_await look_into(mount, group, found.result);
  }
}

Task<> Workload::look(Mount& mount) {
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    for (const fs::InodeId directory : groups_[group].directories) co_await look_into(mount, group, directory);
  }
  for (std::uint32_t i = 0; i < files_.size(); ++i) {
    const Result<FileId> opened = co_await mount.kernel->open(files_[i].inode, fs::kOpenRead);
    if (!opened.ok()) {
      look_at_strictly(mount.name, "open " + files_[i].name, opened.status());
      continue;
    }
    DataOp op;
    op.call = DataCall::read;
    op.file = i;
    op.who = mount.name;
    op.size = 4 << 20;
    const std::size_t index = begin(op);
    const Result<std::string> bytes = co_await mount.kernel->read(*opened, 0, op.size);
    if (bytes.ok()) history_.data[index].bytes = *bytes;
    look_at_strictly(mount.name, "read " + files_[i].name, bytes.ok() ? kOk : bytes.status());
    end(index, bytes.ok() ? kOk : bytes.status());
    const Status closed = co_await mount.kernel->close(*opened);
    // Who wrote it may hear only now of what was lost.
    look_at(mount.name, "close " + files_[i].name, closed);
  }
}

Task<> Workload::clean_directory(Mount& mount, fs::InodeId directory) {
  const Result<SimKernel::Listing> listing = co_await mount.kernel->list(directory);
  if (!listing.ok()) {
    fail(mount.name, "list", listing.status());
    co_return;
  }
  for (const fs::DirectoryEntry& entry : listing->entries) {
    const bool is_directory = (entry.type & S_IFMT) == S_IFDIR;
    if (is_directory) co_await clean_directory(mount, entry.inode);
    const Status removed = co_await mount.kernel->remove(directory, entry.name, is_directory);
    if (!removed.ok()) fail(mount.name, "remove " + entry.name, removed);
  }
}

Task<> Workload::clean(Mount& mount) { co_await clean_directory(mount, fs::kRootInode); }

std::string Workload::waiting() const {
  std::string text;
  for (const NameOp& op : history_.names) {
    if (op.returned == 0 && !op.unknown) text += "  " + to_text(op) + "\n";
  }
  for (const DataOp& op : history_.data) {
    if (op.returned == 0 && op.error == 0) text += "  " + to_text(op) + "\n";
  }
  return text;
}

// A metadata server that dies loses what it had not committed, and who did not come back to make it again loses that
// for good: what he did shortly before, and what he saw from then on until he was told. Nobody else has seen any of it.
void Workload::note_what_may_be_lost(std::vector<NameOp>& ops) const {
  constexpr std::uint64_t kCommitNsMax = kSecond;
  constexpr std::uint64_t kRecoveryNsMax = 10 * kSecond;
  std::uint64_t last = 0;
  std::uint64_t from = 0;
  for (const std::uint64_t death : trouble_.meta_deaths_ns) {
    const std::uint64_t commit = trouble_.disks_lag ? death : std::min(death, kCommitNsMax);
    // Who dies once more in its recovery loses what was lost before.
    if (last == 0 || last + commit + kRecoveryNsMax < death) from = death - commit;
    last = death;
    for (const Loss& loss : history_.losses) {
      for (NameOp& op : ops) {
        const bool of_it = !loss.mount.empty() && mount_of(op.who) == loss.mount;
        const bool late = op.returned == 0 || op.returned_ns >= from;
        if (of_it && late && op.invoked < loss.tick) op.may_be_lost = true;
      }
    }
  }
}

std::string Workload::check() const {
  std::string wrong;
  for (const std::string& failure : history_.failures) wrong += failure + "\n";
  if (!wrong.empty()) return wrong;
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    std::vector<NameOp> ops;
    std::copy_if(history_.names.begin(), history_.names.end(), std::back_inserter(ops),
                 [group](const NameOp& op) { return op.group == group; });
    ModelNames model;
    for (const fs::InodeId directory : groups_[group].directories) model.add_directory(directory);
    note_what_may_be_lost(ops);
    const NamesVerdict verdict = check_names(std::move(ops), model);
    if (verdict.gave_up) ++undecided_;
    if (!verdict.linearizable && !verdict.gave_up) wrong += "names are not linearizable: " + verdict.why;
  }
  for (std::uint32_t file = 0; file < files_.size(); ++file) {
    std::vector<DataOp> ops;
    std::copy_if(history_.data.begin(), history_.data.end(), std::back_inserter(ops),
                 [file](const DataOp& op) { return op.file == file; });
    const std::string bytes = file == kEverybodysFile ? check_shared_bytes(std::move(ops), history_.losses)
                                                      : check_bytes(std::move(ops), history_.losses);
    if (!bytes.empty()) wrong += "bytes are wrong: " + bytes + "\n";
  }
  return wrong;
}

}  // namespace rideau::sim
