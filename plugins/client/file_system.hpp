// SPDX-License-Identifier: Apache-2.0
// FileSystem: the client without FUSE. Everything above it (the FUSE adapter, the library, the simulated kernel) calls
// this; everything below (caches, stripes, calls to servers) is hidden here. All calls are coroutines on the node's one
// thread and answer with a Status whose errno (errno_of) is what POSIX wants.
//
// Attributes, names and bytes of an inode are cached while its lock is held, and whoever changes any of them waits
// until nobody else holds it: so several clients see each other's completed calls.
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "framework/lock/owned_ranges.hpp"
#include "framework/lock/range_locks.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/client/data_buffer.hpp"
#include "plugins/client/kernel_cache.hpp"
#include "plugins/client/read_sink.hpp"
#include "plugins/fs/caller.hpp"
#include "plugins/fs/inode.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {
class LendableMemory;
class Logger;
class MemoryGauge;
class MetricList;
class Transport;
}  // namespace rideau

namespace rideau::client {

struct TargetAddress {
  fs::TargetId target = 0;
  std::string address;
  Transport* transport = nullptr;  // lent for the life of the FileSystem
};

struct FileSystemOptions {
  Uuid cluster{};
  Uuid client{};                       // new for each FileSystem
  std::string client_name;             // "host:mountpoint", for people
  TargetAddress meta;                  // the metadata target of the root
  std::vector<TargetAddress> objects;  // every object target
  // The same as of now, asked when a file lies on one that is not known: the cluster may have grown. Null: it does not.
  std::function<std::vector<TargetAddress>()> objects_now;
  std::uint64_t cache_bytes = 256ull << 20;     // of file data, clean and dirty
  std::uint64_t dirty_bytes_max = 64ull << 20;  // a writer over it writes itself
  // Dirty or at a server that may lose it still; a writer over it waits until some of it is durable.
  std::uint64_t unstable_bytes_max = 128ull << 20;
  std::uint64_t dirty_age_ms = 5'000;           // dirty data is written when it is this old
  std::uint64_t read_ahead_bytes = 4ull << 20;  // 0: none
  std::uint64_t cached_inodes = 128 * 1024;     // twice as many names; with a lock each
  LendableMemory* lendable = nullptr;           // for file data; lent for the life of the FileSystem. Null: any memory
  MemoryGauge* memory = nullptr;  // the same; the cache shrinks while others need memory. Null: it does not
};

// In Inode::flags of an answer: whoever caches above must not keep these attributes, only use them. The question came
// before attributes were expired there and the answer comes after it: the kernel throws such an answer away, so it must
// not count as what the kernel has, or it would be expired again, which throws away the answer to the next question as
// well.
constexpr std::uint32_t kAttributesOnce = 1u << 31;

struct OpenFile {
  fs::HandleId handle = 0;
  fs::Inode inode{};
};

// fallocate(2). punch keeps the size always; the others grow the file up to the end of the range unless `keep_size`.
enum class Allocate { plain, zero, punch };

// Of one write: what its caller wants to say and to hear.
struct WriteDetails {
  bool kill_privileges = false;  // in: the file loses its set-id bits first, unless the writer may keep them
  fs::Caller caller;             // in: the writer, who need not be who opened the file
  bool pages = false;            // in: of a mapping: the offset counts on a handle for appending as well
  std::uint64_t offset = 0;      // out: where the bytes went
  // in: buffers of lend_buffer() in which the data lies, each full but the last; null: it lies elsewhere. Some may be
  // kept, so their bytes must not change any more, also when the write fails.
  const Buffers* lent = nullptr;
};

// A lock of flock(2) (family whole) or fcntl(2) (family records), of the owner's own choice of number: a process, or an
// open file description.
struct AdvisoryLock {
  fs::HandleId handle = 0;  // through which it is taken
  std::uint64_t owner = 0;
  lock::RangeFamily family = lock::RangeFamily::records;
  lock::Range range{};
  lock::Mode mode = lock::Mode::none;  // none: unlock
  bool wait = false;                   // until it is free
  std::uint32_t process = 0;           // who is told about by test_lock()
};
struct AdvisoryConflict {
  lock::HeldRange held{};     // Mode::none: nothing is in the way
  std::uint32_t process = 0;  // 0: of another client
};

// Says that a wait shall end. Outlives the call that it is for.
class Interruption {
 public:
  void interrupt() {
    wanted_ = true;
    if (wakes_ != nullptr) wakes_->wake_all();
  }
  bool wanted() const noexcept { return wanted_; }
  void wakes(WaitQueue* queue) noexcept { wakes_ = queue; }

 private:
  bool wanted_ = false;
  WaitQueue* wakes_ = nullptr;
};

struct StatFileSystem {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_free = 0;
  std::uint64_t inodes_used = 0;
  std::uint64_t inodes_free = 0;
};

// No call may be running when it is destroyed (or its frames must have been destroyed before).
class FileSystem {
 public:
  FileSystem(Runtime& runtime, Logger& log, FileSystemOptions options);
  ~FileSystem();
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;

  // Null: nobody caches above. Set before start() or while nothing runs.
  void set_kernel_cache(KernelCache* cache);
  // Fetches the supplementary groups of Caller::process when a decision hangs on them. Without one there are none.
  using GroupsProvider = std::function<Task<std::vector<std::uint32_t>>(std::int32_t process)>;
  void set_groups_provider(GroupsProvider provider);
  Task<Status> start();  // sessions with every target
  Task<Status> stop();   // writes everything, gives the lock back, ends the sessions

  // Names. A name may be "." or ".." in lookup only.
  Task<Result<fs::Inode>> lookup(fs::Caller caller, fs::InodeId parent, std::string name);
  Task<Result<fs::Inode>> make(fs::Caller caller, fs::InodeId parent, std::string name, std::uint32_t mode,
                               std::uint64_t device, std::string symlink_target);
  // `guarded`: as fs.protected_hardlinks, who does not own the inode must be able to read and write it.
  Task<Result<fs::Inode>> link(fs::Caller caller, fs::InodeId inode, fs::InodeId parent, std::string name,
                               bool guarded = false);
  Task<Status> remove(fs::Caller caller, fs::InodeId parent, std::string name, bool directory);
  Task<Status> rename(fs::Caller caller, fs::InodeId old_parent, std::string old_name, fs::InodeId new_parent,
                      std::string new_name, std::uint32_t flags);
  Task<Result<std::string>> read_link(fs::InodeId inode);
  // Whether the caller may do all of `want` (fs::Want) with the inode: ok or EACCES.
  Task<Status> access(fs::Caller caller, fs::InodeId inode, std::uint32_t want);
  // Whoever caches names above, and asks nobody about the permission to search, may keep what a call told of a name in
  // this directory when the token is the same before the call and right after it, and not 0; whatever changes it later
  // expires names. `of_all`: the permission to search is asked about.
  std::uint64_t names_token(fs::InodeId directory, bool of_all = false) const;
  // Entries after a cookie, "." and ".." included, with attributes when asked. Empty: the end.
  Task<Result<std::vector<fs::DirectoryEntry>>> read_directory(fs::InodeId directory, fs::Cookie after,
                                                               std::uint32_t entries_max, bool attributes);
  // The names of a directory are durable when this ended.
  Task<Status> sync_directory(fs::InodeId directory);

  // Attributes.
  // `to_read`: on behalf of a read or write, which wants to know where the file ends, and not its times.
  Task<Result<fs::Inode>> get_attributes(fs::InodeId inode, bool to_read = false);
  // `request.inode` and mask say what; kSetSize cuts or grows the file.
  Task<Result<fs::Inode>> set_attributes(fs::SetAttributesRequest request);
  // The metadata server has the rules; names that it would refuse anyhow are not worth a call.
  static Status check_attribute_name(std::string_view name);
  Task<Result<std::string>> get_attribute(fs::Caller caller, fs::InodeId inode, std::string name);
  Task<Status> set_attribute(fs::Caller caller, fs::InodeId inode, std::string name, std::string value,
                             std::uint32_t flags);
  Task<Result<std::vector<std::string>>> list_attributes(fs::Caller caller, fs::InodeId inode);
  Task<Status> remove_attribute(fs::Caller caller, fs::InodeId inode, std::string name);

  // Files. Flags are fs::OpenFlags. A file that is created with an empty name has none until link() gives it one.
  Task<Result<OpenFile>> create(fs::Caller caller, fs::InodeId parent, std::string name, std::uint32_t mode,
                                std::uint32_t flags);
  Task<Result<OpenFile>> open(fs::Caller caller, fs::InodeId inode, std::uint32_t flags);
  Task<Status> release(fs::HandleId handle);
  // Bytes read; short only at the end of the file. The room is lent until the call ended.
  Task<Result<std::uint64_t>> read(fs::HandleId handle, std::uint64_t offset, const IoVec* room, std::uint32_t parts);
  // The same without a copy. Up to kReadPieceBytes come in one piece and only when the read succeeds, with which it
  // then ends; at the end of the file nothing comes.
  // `fills_pages`: the kernel holds the locks of its pages meanwhile, in which there is nothing yet.
  Task<Result<std::uint64_t>> read(fs::HandleId handle, std::uint64_t offset, std::uint64_t size, ReadSink& sink,
                                   bool fills_pages = false);
  // Bytes written. With kOpenAppend on the handle the offset is ignored. `details` may be null.
  Task<Result<std::uint64_t>> write(fs::HandleId handle, std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                    WriteDetails* details = nullptr);
  // Memory for a block of a write to come, see WriteDetails.
  std::shared_ptr<Buffer> lend_buffer();
  Task<Status> allocate(fs::HandleId handle, Allocate mode, bool keep_size, std::uint64_t offset, std::uint64_t size);
  // lseek(2) with SEEK_DATA, or SEEK_HOLE.
  Task<Result<std::uint64_t>> seek(fs::HandleId handle, std::uint64_t offset, bool hole);
  // What close(2) reports: errors of writes that were acknowledged early, each once. Of a process that has locks of
  // fcntl(2), `lock_owner` is their owner: it loses those of this file.
  Task<Status> flush(fs::HandleId handle, std::uint64_t lock_owner = 0);
  // EAGAIN: not free, and nobody wants to wait. EINTR: the wait was interrupted. `interruption` may be null.
  Task<Status> set_lock(AdvisoryLock lock, Interruption* interruption);
  // What is in the way of such a lock.
  Task<Result<AdvisoryConflict>> test_lock(AdvisoryLock lock);
  // Ends every wait for a lock, before the calls that wait are joined, later waits at once; and calls wait no longer
  // than limits::kLeaveMs for servers that are away.
  void leave();
  // Whether a server is away, so that calls may wait for it.
  bool waits_for_server() const noexcept;
  // Whether the metadata server certainly has this client's session, see rpc::ClientSession.
  bool trusted() const noexcept;
  Task<> until_trusted();
  // Meets the object targets that the cluster got since this was started, and forgets those that were removed. Files on
  // them do so by themselves.
  Task<> learn_targets();
  Task<Status> sync(fs::HandleId handle, bool data_only);

  // Everything this client wrote is durable when this ended.
  Task<Status> sync_all();
  Task<Result<StatFileSystem>> stat_file_system();

  // Sessions, caches, dirty bytes, copies.
  void collect(MetricList& to) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau::client
