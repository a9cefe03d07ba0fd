// SPDX-License-Identifier: Apache-2.0
// SimKernel: a model of the kernel's half of a FUSE mount, between the processes of a workload and the client's file
// system. It has what makes a real kernel dangerous: caches of names, attributes and pages; locks of directories and
// inodes that are held while a request is unanswered; pages that stay locked through READ and WRITE, and for which
// drop_pages() waits. A client that waits for the wrong thing shows as a run that never ends.
//
// System calls take a directory and a name (as the ...at() calls do): each is one step at the server, so histories of
// them can be checked for linearizability.
#pragma once

#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/file_system.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace rideau::sim {

// A lock of the kernel: shared or exclusive, first come first served, so that a waiting writer holds up later readers.
class KernelLock {
 public:
  explicit KernelLock(Runtime& runtime) : waiters_(runtime) {}
  Task<> lock(bool exclusive);
  void unlock(bool exclusive);
  bool busy() const noexcept { return exclusive_ || shared_ > 0 || serving_ != next_ticket_; }

 private:
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;
  std::uint32_t shared_ = 0;
  bool exclusive_ = false;
  WaitQueue waiters_;
};

// Mistakes planted on purpose, to see that the checkers find them.
enum class KernelBug : std::uint8_t {
  none,
  keeps_names,
  keeps_attributes,
  keeps_pages,
  drops_stores,  // pages go without what was stored into them
  rots_record,   // of no kernel: a bit of the metadata target's index flips before the check at the end
};

struct SimKernelOptions {
  KernelBug bug = KernelBug::none;
  std::uint32_t page_bytes = 4096;
  std::uint32_t write_bytes_max = 32 * 1024;  // of one WRITE
  std::uint32_t read_bytes_max = 32 * 1024;   // of one READ
  std::uint32_t list_entries_max = 128;       // of one READDIR
  // Asks for attributes that have expired before every read, as with FUSE_AUTO_INVAL_DATA. Without it the kernel trusts
  // its old size unless a read would pass it; a short answer to READ then corrects the size, except where another
  // answer or an expiry came in between: so a reader beside another can see zeros behind the end of a file that was cut
  // elsewhere (found by seeds 5294, 6045 and 6281). Nothing that a FUSE server may send can prevent that.
  bool asks_before_reads = true;
  // Processes store into mapped files, and a WRITE does not hold pages that are whole until it is answered, as in Linux
  // since 5.13.
  bool maps = false;
  std::uint64_t flush_ns_max = 100 * kMillisecond;    // until what was stored is written back
  std::uint64_t take_in_ns_max = 300 * kMicrosecond;  // until a process that was answered runs
};

using FileId = std::uint32_t;  // of an open file; 0: none

class SimKernel final : public client::KernelCache {
 public:
  SimKernel(SimRuntime& runtime, client::FileSystem& below, SimKernelOptions options = {});
  ~SimKernel();

  // What client::FileSystem asks.
  void expire_names() override;
  void expire_attributes(fs::InodeId inode) override;
  Task<> settle() override;
  Task<> answers_taken() override;
  Task<> drop_pages(fs::InodeId inode) override;
  Task<> drop_pages(fs::InodeId inode, std::uint64_t begin, std::uint64_t end) override;

  // System calls. Errors are errno values in a Status.
  Task<Result<fs::Inode>> lookup(fs::InodeId directory, std::string name);
  Task<Result<fs::Inode>> get_attributes(fs::InodeId inode, bool to_read = false);
  Task<Result<fs::Inode>> make(fs::InodeId directory, std::string name, std::uint32_t mode, std::string symlink_target);
  struct Created {
    FileId file = 0;
    fs::Inode inode{};
  };
  Task<Result<Created>> create(fs::InodeId directory, std::string name, bool exclusive);
  Task<Result<fs::Inode>> link(fs::InodeId inode, fs::InodeId directory, std::string name);
  Task<Status> remove(fs::InodeId directory, std::string name, bool is_directory);
  Task<Status> rename(fs::InodeId old_directory, std::string old_name, fs::InodeId new_directory, std::string new_name,
                      std::uint32_t flags);
  Task<Result<std::string>> read_link(fs::InodeId inode);
  struct Listing {
    std::vector<fs::DirectoryEntry> entries;  // without "." and ".."
    bool one_step = true;                     // everything came with the first call
  };
  Task<Result<Listing>> list(fs::InodeId directory);
  Task<Result<FileId>> open(fs::InodeId inode, std::uint32_t flags);
  Task<Result<std::string>> read(FileId file, std::uint64_t offset, std::uint64_t size);
  Task<Result<std::uint64_t>> write(FileId file, std::uint64_t offset, std::string bytes);
  // Through a map of the open file; up to the end of the file, which the kernel may not know.
  Task<Result<std::uint64_t>> store(FileId file, std::uint64_t offset, std::string bytes);
  Task<Result<std::string>> load(FileId file, std::uint64_t offset, std::uint64_t size);
  Task<Status> truncate(fs::InodeId inode, std::uint64_t size);
  Task<Status> sync(FileId file);
  Task<Status> close(FileId file);

  // Memory pressure: forgets some names, attributes and pages of its own accord.
  void shrink();
  // Waits until what goes on after close() has ended.
  Task<> finish() { return background_.join(); }
  // Who holds or waits for what, for the report of a run that got stuck.
  std::string describe() const;

 private:
  struct Page {
    std::vector<std::uint8_t> bytes;
    bool current = false;  // holds what the file has
    bool locked = false;
    bool dirty = false;    // was stored into
    bool writing = false;  // under write-back
  };
  struct Name {
    fs::InodeId inode = fs::kNoInode;  // none: known to be absent
    std::uint64_t epoch = 0;
  };
  struct Node {
    Node(Runtime& runtime) : lock(runtime), page_unlocked(runtime) {}
    KernelLock lock;
    WaitQueue page_unlocked;
    std::map<std::string, Name> names;  // of a directory
    fs::InodeId parent = fs::kNoInode;  // of a directory, as far as known
    std::optional<fs::Inode> attributes;
    std::uint32_t type = 0;
    std::uint64_t size = 0;     // what the kernel believes, also while attributes have expired
    std::uint64_t version = 0;  // of the last change: answers to older questions are not cached
    std::map<std::uint64_t, Page> pages;
    std::int64_t mtime_ns = 0;      // as last told
    std::uint64_t writes_back = 0;  // WRITE requests of stored pages that are unanswered
    bool writes_held = false;       // none is sent
    bool flushing = false;          // will be written back soon
    std::uint64_t errors = 0;       // of such requests
  };
  struct File {
    fs::InodeId inode;
    fs::HandleId handle;
    bool writes = false;
    std::uint64_t errors_seen = 0;
  };

  Node& node(fs::InodeId inode);
  // Remembers attributes that a reply carried, unless something changed after the question.
  void learn(const fs::Inode& inode, std::uint64_t asked_at);
  bool may_keep(fs::InodeId directory, std::uint64_t token) const;
  void learn_name(fs::InodeId directory, const std::string& name, fs::InodeId inode, std::uint64_t epoch);
  // What this client's own calls make old.
  void forget_attributes(fs::InodeId inode);
  // Brings what was expired to the caches, some time after it was asked for.
  Task<> deliver_expiry();
  void kick_expiry();
  // With the directory's lock held: from the cache, or by a LOOKUP. An absent name is kNoInode.
  Task<Result<fs::InodeId>> find(fs::InodeId directory, std::string name);
  bool above(fs::InodeId ancestor, fs::InodeId inode) const;
  Task<> lock_page(Node& node, std::uint64_t index);
  void unlock_page(Node& node, std::uint64_t index);
  // With page `first` locked and not current: reads it and those after it that are missing, below `end`.
  Task<Status> fill(File file, std::uint64_t first, std::uint64_t end);
  // One request, with as many of the bytes as go into it: `asked`.
  Task<Result<std::uint64_t>> write_chunk(File file, std::uint64_t offset, std::string bytes, std::uint64_t* asked);
  void cut_pages(Node& node, std::uint64_t size);
  Task<> drop_page(fs::InodeId inode, std::uint64_t index);
  // Below the end that the kernel believes in.
  Task<Status> copy_from_pages(File file, Node& known, std::uint64_t offset, std::uint64_t size, std::string* out);
  // Of stored pages; those from `first` on are under write-back already.
  Task<> send_back(fs::InodeId inode, std::uint64_t first, std::uint64_t end);
  Task<> write_back(fs::InodeId inode);
  Task<> flush_later(fs::InodeId inode);
  Task<Status> write_stored(FileId file);
  Task<> until_written(Node& node, std::uint64_t index);
  Task<> hold_writes(Node& node);
  void let_write(Node& node);
  Task<> follow_attributes(fs::InodeId inode, std::uint64_t old_size, const fs::Inode& now);
  Task<> release(fs::HandleId handle);
  // An answer makes its process runnable; what it says is looked at when the process runs, some time later.
  Task<> take_in();
  // Around each request to the file system below.
  void busy(const char* what, fs::InodeId inode);
  void idle(const char* what, fs::InodeId inode, const std::string& answer = {});

  SimRuntime& runtime_;
  client::FileSystem& below_;
  const SimKernelOptions options_;
  const fs::Caller caller_{};
  std::uint64_t epoch_ = 1;
  std::uint64_t changes_ = 0;
  std::map<fs::InodeId, std::unique_ptr<Node>> nodes_;
  std::map<FileId, File> files_;
  FileId next_file_ = 1;
  bool names_expire_ = false;  // asked for, not yet so
  std::set<fs::InodeId> attributes_expire_;
  bool expiring_ = false;
  WaitQueue expired_;
  std::uint64_t answers_ = 0;
  std::set<std::uint64_t> untaken_;  // answers, by number, that no process has looked at yet
  WaitQueue taken_;
  AsyncMutex rename_lock_;
  std::map<std::string, std::int64_t> requests_;  // unanswered, by kind
  TaskGroup background_;
};

}  // namespace rideau::sim
