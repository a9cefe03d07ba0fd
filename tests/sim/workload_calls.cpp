// SPDX-License-Identifier: Apache-2.0
// What the processes of the workload do.
#include "tests/sim/workload.hpp"

#include "framework/runtime/await.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rideau::sim {
namespace {

// Errors that POSIX has for these calls. Whether one is right at that moment is the model's affair.
bool is_answer(int error) {
  switch (error) {
    case 0:
    case ENOENT:
    case EEXIST:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EINVAL:
    case EPERM:
    case ELOOP:
    case ESTALE:
      return true;
    default:
      return false;
  }
}

template <class T>
const T& pick(Random& random, const std::vector<T>& from) {
  return from[random.below(from.size())];
}

void remember(std::vector<fs::InodeId>& known, fs::InodeId inode) {
  if (std::find(known.begin(), known.end(), inode) == known.end()) known.push_back(inode);
}

NameCall choose_call(Random& random) {
  static const std::vector<NameCall> kCalls = {
      NameCall::lookup,         NameCall::lookup,           NameCall::lookup,       NameCall::create, NameCall::create,
      NameCall::create_or_open, NameCall::make_directory,   NameCall::make_symlink, NameCall::link,   NameCall::unlink,
      NameCall::unlink,         NameCall::remove_directory, NameCall::rename,       NameCall::rename, NameCall::rename,
      NameCall::list,           NameCall::attributes,       NameCall::read_link};
  return pick(random, kCalls);
}

}  // namespace

Task<> Workload::think(Process& process) {
  const std::uint64_t ns = process.random.chance(40) ? 0 : process.random.below(options_.think_ns_max);
  if (ns > 0) co_await sleep_for(*process.mount->runtime, ns);
  co_await take_a_moment(process);
}

// After a long sleep, or when a session has ended: what a kernel has cached it answers itself, also when others have
// changed it meanwhile; for the moment until the client has heard so, which takes longer where it woke up cut off.
Task<> Workload::take_a_moment(Process& process) {
  constexpr std::uint64_t kLongSleepNs = 3 * kSecond;
  constexpr std::uint64_t kMomentNs = 50 * kMillisecond;
  const auto lost = session_lost_ns_.find(process.mount->name);
  if (lost != session_lost_ns_.end() && world_.now_ns() < lost->second + kMomentNs) {
    co_await sleep_for(*process.mount->runtime, kMomentNs);
  }
  const std::uint64_t woke = process.mount->runtime->woke_ns(kLongSleepNs);
  if (woke == 0) co_return;
  bool early = world_.now_ns() < woke + kMomentNs;
  for (; !process.mount->file_system->trusted(); early = true) {
    co_await sleep_for(*process.mount->runtime, kMomentNs);
  }
  if (early) co_await sleep_for(*process.mount->runtime, kMomentNs);
}

Task<> Workload::run_process(Process process) {
  Random calls = process.random;
  for (std::uint32_t i = 0; i < options_.calls; ++i) {
    // Each call has numbers of its own, so that one that is left out changes none of the others.
    process.random = calls.fork();
    if (!options_.only_calls.empty() && options_.only_calls.count(process.first_call + i) == 0) continue;
    co_await think(process);
    if (process.random.chance(3)) process.mount->kernel->shrink();
    if (process.random.chance(6)) {
      co_await work_on_orphan(process);
    } else if (process.random.chance(55)) {
      co_await work_on_names(process);
    } else if (options_.shared_percent != 0 && process.random.chance(options_.shared_percent)) {
      co_await work_on_shared(process);
    } else {
      co_await work_on_bytes(process);
    }
  }
  if (process.writing != 0) co_await close_writing(process);
  if (process.shared != 0) co_await close_shared(process);
  if (process.orphan.file != 0) co_await look_at_orphan(process);
  --running_[process.mount->name];
}

Task<> Workload::close_writing(Process& process) {
  DataOp op;
  op.call = DataCall::close;
  op.file = process.file;
  op.who = process.name;
  const std::size_t index = begin(op);
  const Status closed = co_await process.mount->kernel->close(std::exchange(process.writing, 0));
  look_at(process.name, "close", closed);
  end(index, closed);
}

void Workload::choose_place(Process& process, NameOp& op, fs::InodeId& directory, std::string& name) {
  const std::vector<fs::InodeId>& made = process.subdirectories[op.group];
  const bool deep = !made.empty() && process.random.chance(25);
  directory = deep ? pick(process.random, made) : pick(process.random, groups_[op.group].directories);
  name = std::string(1, static_cast<char>('a' + process.random.below(options_.names)));
}

Task<> Workload::work_on_names(Process& process) {
  Random& random = process.random;
  NameOp op;
  op.group = static_cast<std::uint32_t>(random.below(groups_.size()));
  op.who = process.name;
  op.call = choose_call(random);
  std::vector<fs::InodeId>& inodes = process.inodes[op.group];
  const bool by_inode = op.call == NameCall::link || op.call == NameCall::attributes || op.call == NameCall::read_link;
  if (by_inode && inodes.empty()) op.call = NameCall::lookup;
  choose_place(process, op, op.directory, op.name);
  switch (op.call) {
    case NameCall::rename:
      choose_place(process, op, op.other_directory, op.other_name);
      if (random.chance(15)) op.flags = fs::kRenameNoReplace;
      break;
    case NameCall::make_symlink:
      op.other_name = "target" + std::to_string(random.below(1000));
      break;
    case NameCall::link:
      op.inode = pick(random, inodes);
      break;
    case NameCall::attributes:
    case NameCall::read_link:
      op.inode = pick(random, inodes);
      op.directory = fs::kNoInode;
      op.name.clear();
      break;
    default:
      break;
  }
  NameOp seen;
  co_await call(*process.mount, op, seen);
  if (seen.error != 0 || seen.result == fs::kNoInode) co_return;
  if (seen.type == S_IFDIR) {
    remember(process.subdirectories[op.group], seen.result);
  } else {
    remember(inodes, seen.result);
  }
}

Task<> Workload::call(Mount& mount, NameOp op, NameOp& seen) {
  if (op.who.empty()) op.who = mount.name;
  op.invoked = ++history_.now;
  const std::size_t index = history_.names.size();
  history_.names.push_back(op);
  world_.trace(mount.runtime->id(), "%s calls %s", op.who.c_str(), to_text(op).c_str());
  co_await make_call(mount, op);
  op.returned = ++history_.now;
  op.returned_ns = world_.now_ns();
  ++calls_returned_;
  world_.mix(static_cast<std::uint64_t>(op.error) << 32 | op.result);
  world_.trace(mount.runtime->id(), "%s", to_text(op).c_str());
  if (!is_answer(op.error)) look_at_name_error(op.who, op);
  history_.names[index] = op;
  seen = op;
}

Task<> Workload::make_call(Mount& mount, NameOp& op) {
  SimKernel& kernel = *mount.kernel;
  Result<fs::Inode> inode{posix_error(EINVAL)};
  Status status = kOk;
  switch (op.call) {
    case NameCall::lookup:
      inode = co_await kernel.lookup(op.directory, op.name);
      break;
    case NameCall::make_directory:
      inode = co_await kernel.make(op.directory, op.name, S_IFDIR | 0755, "");
      break;
    case NameCall::make_symlink:
      inode = co_await kernel.make(op.directory, op.name, S_IFLNK | 0777, op.other_name);
      break;
    case NameCall::link:
      inode = co_await kernel.link(op.inode, op.directory, op.name);
      break;
    case NameCall::attributes:
      inode = co_await kernel.get_attributes(op.inode);
      break;
    case NameCall::create:
    case NameCall::create_or_open: {
      const Result<SimKernel::Created> created =
          co_await kernel.create(op.directory, op.name, op.call == NameCall::create);
      op.error = errno_of(created.status());
      if (!created.ok()) co_return;
      op.result = created->inode.id;
      op.type = S_IFREG;
      const Status closed = co_await kernel.close(created->file);
      look_at(op.who, "close after create", closed);
      co_return;
    }
    case NameCall::unlink:
      status = co_await kernel.remove(op.directory, op.name, false);
      break;
    case NameCall::remove_directory:
      status = co_await kernel.remove(op.directory, op.name, true);
      break;
    case NameCall::rename:
      status = co_await kernel.rename(op.directory, op.name, op.other_directory, op.other_name, op.flags);
      break;
    case NameCall::list: {
      Result<SimKernel::Listing> listing = co_await kernel.list(op.directory);
      op.error = errno_of(listing.status());
      if (!listing.ok()) co_return;
      op.in_steps = !listing->one_step;  // names that came meanwhile may show behind the rest
      for (const fs::DirectoryEntry& entry : listing->entries) op.entries.emplace_back(entry.name, entry.inode);
      std::sort(op.entries.begin(), op.entries.end());
      co_return;
    }
    case NameCall::read_link: {
      const Result<std::string> target = co_await kernel.read_link(op.inode);
      op.error = errno_of(target.status());
      if (target.ok()) op.other_name = *target;
      co_return;
    }
  }
  const bool has_inode = op.call == NameCall::lookup || op.call == NameCall::make_directory ||
                         op.call == NameCall::make_symlink || op.call == NameCall::link ||
                         op.call == NameCall::attributes;
  if (!has_inode) {
    op.error = errno_of(status);
    co_return;
  }
  op.error = errno_of(inode.status());
  if (!inode.ok()) co_return;
  op.result = inode->id;
  op.type = inode->mode & S_IFMT;
  op.link_count = inode->link_count;
}

std::size_t Workload::begin(DataOp op) {
  op.invoked = ++history_.now;
  history_.data.push_back(std::move(op));
  return history_.data.size() - 1;
}

void Workload::end(std::size_t index, Status status) {
  DataOp& op = history_.data[index];
  op.error = errno_of(status);
  op.returned = ++history_.now;
  ++calls_returned_;
  world_.mix(op.bytes.size());
  world_.mix(Bytes(op.bytes));
  if (world_.tracing()) world_.trace(kNoNode, "%s", to_text(op).c_str());
}

Task<> Workload::work_on_bytes(Process& process) {
  if (process.random.chance(8)) co_await take_over(process);
  if (files_[process.file].writer == process.name && process.random.chance(50)) {
    co_await write_some(process);
  } else {
    co_await read_some(process);
  }
}

bool Workload::is_quiet(std::uint32_t file) const {
  return std::none_of(history_.data.begin(), history_.data.end(), [file](const DataOp& op) {
    const bool changes = has_bytes(op.call) || op.call == DataCall::truncate;
    return op.file == file && changes && op.returned == 0 && op.error == 0;
  });
}

Task<> Workload::take_over(Process& process) {
  const auto wanted = static_cast<std::uint32_t>(process.random.below(kOwnFiles));
  if (files_[wanted].writer == process.name) co_return;
  if (process.writing != 0) co_await close_writing(process);
  if (!is_quiet(wanted)) co_return;
  if (files_[process.file].writer == process.name) files_[process.file].writer.clear();
  process.file = wanted;
  files_[wanted].writer = process.name;
  process.took_over = true;
}

std::uint64_t Workload::choose_offset(Random& random) const {
  const bool near = options_.small && !random.chance(3);
  return random.below(near ? 8 * 1024 : options_.offset_max);
}

Task<> Workload::write_some(Process& process) {
  Random& random = process.random;
  SimKernel& kernel = *process.mount->kernel;
  const SharedFile& file = files_[process.file];
  if (process.writing == 0) {
    const Result<FileId> opened = co_await kernel.open(file.inode, fs::kOpenRead | fs::kOpenWrite);
    if (!opened.ok()) {
      look_at(process.name, "open to write", opened.status());
      co_return;
    }
    process.writing = *opened;
  }
  // A kernel that writes in the middle of a file whose size it does not know believes the end of the write to be the
  // file's, as Linux does (fuse_write_update_attr), and refuses the answer that says better to who asks at that moment.
  if (process.took_over) {
    const Result<fs::Inode> known = co_await kernel.get_attributes(file.inode);
    look_at(process.name, "stat to write", known.ok() ? kOk : known.status());
    process.took_over = !known.ok();
  }
  // Another one took over meanwhile.
  if (process.took_over || file.writer != process.name) co_return co_await close_writing(process);
  bool failed = false;
  DataOp op;
  op.file = process.file;
  op.who = process.name;
  if (options_.maps && random.chance(40)) {
    failed = !co_await store_some(process, process.writing, op);
  } else if (random.chance(15)) {
    op.call = DataCall::truncate;
    op.size = random.chance(30) ? 0 : choose_offset(random);
    const std::size_t index = begin(op);
    const Status cut = co_await kernel.truncate(file.inode, op.size);
    look_at(process.name, "truncate", cut);
    end(index, cut);
    failed = !cut.ok();
  } else {
    op.call = DataCall::write;
    op.stamp = next_stamp_++;
    op.offset = random.chance(40) ? random.below(options_.small ? 1024 : 32 * 1024) : choose_offset(random);
    if (random.chance(40)) op.offset &= ~std::uint64_t{4095};
    const bool large = random.chance(options_.small ? 3 : 30);
    op.size = large ? random.between(1, 120 * 1024) : random.between(1, options_.small ? 3 * 1024 : 12 * 1024);
    std::string bytes(op.size, '\0');
    for (std::uint64_t i = 0; i < op.size; ++i) bytes[i] = static_cast<char>(stamp_byte(op.stamp, op.offset + i));
    const std::size_t index = begin(op);
    const Result<std::uint64_t> written = co_await kernel.write(process.writing, op.offset, std::move(bytes));
    Status status = written.ok() ? kOk : written.status();
    // A full target, or one that fails, takes what it can.
    if (written.ok() && *written != op.size) status = posix_error(trouble_.no_space ? ENOSPC : EIO);
    look_at(process.name, written.ok() ? "write was short" : "write", status);
    end(index, status);
    failed = !status.ok();
  }
  if (random.chance(20)) {
    DataOp sync;
    sync.call = DataCall::sync;
    sync.file = process.file;
    sync.who = process.name;
    const std::size_t index = begin(sync);
    const Status synced = co_await kernel.sync(process.writing);
    look_at(process.name, "fsync", synced);
    end(index, synced);
    failed = failed || !synced.ok();
  }
  if (random.chance(30) || failed) co_await close_writing(process);
}

Task<> Workload::read_some(Process& process) {
  const auto file = static_cast<std::uint32_t>(process.random.below(kOwnFiles));
  co_await read_file(process, file);
}

Task<> Workload::read_file(Process& process, std::uint32_t index_of_file) {
  Random& random = process.random;
  SimKernel& kernel = *process.mount->kernel;
  DataOp op;
  op.file = index_of_file;
  op.who = process.name;
  const SharedFile& file = files_[op.file];
  if (random.chance(20)) {
    op.call = DataCall::size;
    const std::size_t index = begin(op);
    const Result<fs::Inode> inode = co_await kernel.get_attributes(file.inode);
    look_at(process.name, "stat", inode.ok() ? kOk : inode.status());
    history_.data[index].size = inode.ok() ? inode->size : 0;
    end(index, inode.ok() ? kOk : inode.status());
    co_return;
  }
  const Result<FileId> opened = co_await kernel.open(file.inode, fs::kOpenRead);
  if (!opened.ok()) {
    look_at(process.name, "open to read", opened.status());
    co_return;
  }
  const std::uint32_t reads = 1 + static_cast<std::uint32_t>(random.below(3));
  for (std::uint32_t i = 0; i < reads; ++i) {
    co_await take_a_moment(process);
    op.call = options_.maps && random.chance(40) ? DataCall::load : DataCall::read;
    op.offset = random.chance(40) ? random.below(options_.small ? 1024 : 32 * 1024) : choose_offset(random);
    op.size = random.chance(70) ? random.between(1, 16 * 1024) : random.between(1, 200 * 1024);
    const std::size_t index = begin(op);
    Result<std::string> bytes = std::string();
    if (op.call == DataCall::load) {
      bytes = co_await kernel.load(*opened, op.offset, op.size);
    } else {
      bytes = co_await kernel.read(*opened, op.offset, op.size);
    }
    if (bytes.ok()) history_.data[index].bytes = *bytes;
    look_at(process.name, "read", bytes.ok() ? kOk : bytes.status());
    end(index, bytes.ok() ? kOk : bytes.status());
    co_await think(process);
  }
  const Status closed = co_await kernel.close(*opened);
  look_at(process.name, "close", closed);
}

}  // namespace rideau::sim
