// SPDX-License-Identifier: Apache-2.0
// The bytes of open files, as the client caches them: striping, read-ahead, write-back, grants. Knows objects and
// targets; knows nothing of names and locks. Its user (FileSystem) holds the lock while it calls, and drops what is
// cached before it gives the lock back.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/memory_gauge.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/data_buffer.hpp"
#include "plugins/client/read_sink.hpp"
#include "plugins/fs/ids.hpp"
#include "plugins/fs/inode.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rideau::fs {
class ObjectChannel;
}

namespace rideau::client {

struct DataOptions {
  std::uint64_t cache_bytes = 256ull << 20;
  std::uint64_t dirty_bytes_max = 64ull << 20;
  // Of bytes that are not durable, dirty ones included: they are kept for a target that loses its memory.
  std::uint64_t unstable_bytes_max = 128ull << 20;
  std::uint64_t dirty_age_ms = 5'000;
  std::uint64_t read_ahead_bytes = 4ull << 20;
  std::uint16_t client = 0;            // tells versions of this client from those of others
  LendableMemory* lendable = nullptr;  // for what requests lend; outlives the plane. Null: any memory
  MemoryGauge* memory = nullptr;  // by which the cache is made smaller; outlives the plane. Null: it stays as it is
  Logger* log = nullptr;          // told of bytes that are lost; outlives the plane
};

// For statistics; bytes.
struct DataFigures {
  std::uint64_t cache_bytes = 0;  // of memory
  std::uint64_t cache_bytes_max = 0;
  std::uint64_t dirty_bytes = 0;     // those on their way included
  std::uint64_t unstable_bytes = 0;  // at their targets, and not known to be durable
  std::uint64_t grant_bytes = 0;
  std::uint64_t copied_bytes = 0;  // into and out of the cache, since the start
};

class FileData;

// Where the bytes of inline files are (fs::kInline). Told of them by the owner of the plane, with size and times.
class InlineHome {
 public:
  // All bytes of the file, of which a lock is held.
  virtual Task<Result<std::string>> read_inline(fs::InodeId inode) = 0;
  // The file has had bytes that its home has not for too long, or there are too many of them. Soon, not now.
  virtual void inline_due(fs::InodeId inode) = 0;

 protected:
  ~InlineHome() = default;
};

// What all files of one client share: the sessions with the object targets, the memory of the cache, grants, and the
// task that writes dirty data of a certain age.
class DataPlane {
 public:
  DataPlane(Runtime& runtime, TaskGroup& tasks, DataOptions options);
  ~DataPlane();
  // The session is lent. A cluster that grows brings targets later; ask_limit() follows.
  void add_target(fs::TargetId target, rpc::ClientSession& session);
  void add_target(fs::TargetId target, fs::ObjectChannel& channel);  // the same calls by other means; lent as well

  // Lent. Without one no file is inline.
  void set_inline_home(InlineHome& home);

  // The data of one inode, made under that layout when asked for first, kept while it is referenced or holds dirty
  // bytes. What is there already may have to adopt() a newer layout.
  std::shared_ptr<FileData> file(fs::InodeId inode, const fs::Layout& layout, bool is_inline = false);
  std::shared_ptr<FileData> find(fs::InodeId inode);  // null when nothing is cached

  // Every byte that is dirty now is at its target (not yet durable). A failure is also kept for take_error() of its
  // file.
  Task<Status> flush_all();
  // Everything that is at its target is durable there.
  Task<Status> sync_targets();
  void drop_all();  // forgets every clean byte that is durable; nothing may be dirty
  // The file is gone. Unless somebody here still uses its data, all of it is forgotten, dirty bytes too.
  void forget(fs::InodeId inode);
  // No name leads to the file any more: when its last user here is gone, what needs no sending is forgotten.
  void lost_last_name(fs::InodeId inode);
  // The lock was lost: forgets everything, dirty bytes too; a file that had some gets the error EIO once. Writes that
  // are under way end as they may.
  void discard_all();
  // A target lost our session: its grants are gone. Unless it kept all that it answered, what is not durable is done
  // again: cuts and the like in their order, then bytes. A file of which not everything can be (a write over it failed
  // in between) gets the error EIO once.
  void on_new_epoch(fs::TargetId target, bool kept_all);
  // Grows with each restart of a target: what was flushed before may be dirty again.
  std::uint64_t epochs() const noexcept;
  std::uint64_t dirty_bytes() const noexcept;  // those on their way included
  // Memory of one block, to be filled and passed to FileData::write().
  std::shared_ptr<Buffer> lend_buffer();
  DataFigures figures() const noexcept;

  // It is no target of the cluster any more, and no file lies there: nobody asks it anything. Its session, or channel,
  // stays lent.
  void remove_target(fs::TargetId target);
  // Whether every target of the layout was added.
  bool knows(const fs::Layout& layout) const noexcept;
  // Asks a target how large an object it holds: the limit of its files follows.
  Task<Status> ask_limit(fs::TargetId target);
  // Before anything is written there, so that the first bytes need not wait; a failure means that they do.
  Task<> take_grant(fs::TargetId target);
  // Of all targets together; those that share a device count it once. What is dirty here is not free any more.
  struct Space {
    std::uint64_t bytes_total = 0;
    std::uint64_t bytes_free = 0;
  };
  Task<Result<Space>> space();

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // of its own; users of files know it weakly
};

// Calls may overlap. A truncate waits for those that run and keeps later ones waiting; reads see every write that has
// returned. A flush covers what was dirty when it was called.
class FileData {
 public:
  FileData(DataPlane::Impl& plane, fs::InodeId inode, fs::Layout layout);
  ~FileData();

  // The file has this layout now; an older generation than the one in use changes nothing. An inline file stays one
  // until move_out(), and what was moved out is not inline again under the same lock. false: it is a newer layout, and
  // wants adopt().
  bool try_adopt(const fs::Layout& layout, bool is_inline = false) noexcept;
  // The same for a newer one too. A file gets another one when nobody has its lock, so nothing of it is dirty here, or
  // such that a target may lose it (settle()); its bytes may lie elsewhere since. Waits for what is on its way.
  Task<> adopt(fs::Layout layout, bool is_inline = false);
  // Reads below `file_size`; holes are zeros. value = bytes, short at file_size only. The sink gets them where they are
  // cached, and nothing unless the read succeeds: in one piece up to kReadPieceBytes, larger reads in several, of which
  // a later one may still fail.
  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size, ReadSink& sink);
  Task<Result<std::uint64_t>> read(std::uint64_t offset, const IoVec* room, std::uint32_t parts,
                                   std::uint64_t file_size);
  // Into the cache where a grant allows it, else straight to the targets (then failures such as ENOSPC show here).
  // value = bytes, all of them or (when a target is full, or the file as large as it can be) as many as are safe.
  // `lent`: buffers of lend_buffer() in which the data lies, each full but the last; kept instead of copied where one
  // is a whole block of the file, so their bytes must not change any more.
  Task<Result<std::uint64_t>> write(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                    const Buffers* lent = nullptr);
  // Cuts or grows the objects; what is cached beyond `size` is forgotten, dirty or not.
  Task<Status> truncate(std::uint64_t old_size, std::uint64_t size);
  // The range reads as zeros and its space is given back where that can be; holes stay holes.
  Task<Status> punch(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size);
  // Space for the range is kept, also beyond the end of the file: later writes to it do not fail for want of it. ENOSPC
  // when it does not fit, EOPNOTSUPP when a target cannot promise it. `zero`: and the range reads as zeros.
  Task<Status> allocate(std::uint64_t offset, std::uint64_t size, bool zero);
  // The first byte at or after `offset` that may be other than zero, or that lies in a hole (what is beyond the end of
  // the file does). ENXIO: there is none.
  enum class Find { data, hole };
  Task<Result<std::uint64_t>> find(Find what, std::uint64_t offset, std::uint64_t file_size);
  // After a write or a growth up to `attempted_end` that failed, or was short: what of it may be in objects beyond the
  // end of the file goes, or it would show when the file grows. `file_size` is looked at when nothing else is on its
  // way.
  Task<> cut_failed(std::uint64_t attempted_end, const std::uint64_t& file_size);

  // Of inline files: all bytes are in the cache's first block, or at the home. What the home has not holds a grant of
  // the targets, as any dirty byte, so it can always be moved out. `file_size` is looked at after every wait.
  //
  // true: taken in. false: it is too large, or there is no grant for it: to be moved out.
  Task<Result<bool>> write_inline(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                  const std::uint64_t& file_size);
  // All bytes are in the cache. They may be gone after the next wait.
  Task<Status> load_inline(const std::uint64_t& file_size);
  // Bytes that came with an answer under the lock; what is cached already stays.
  void put_inline(Bytes bytes);
  bool has_inline(std::uint64_t file_size) noexcept;
  // All bytes, where they are in the cache; and only if the home has not all of them. Views up to the next change.
  std::optional<Bytes> all_inline(std::uint64_t file_size) noexcept;
  std::optional<Bytes> unsent_inline(std::uint64_t file_size) noexcept;
  // The home has everything that is cached.
  void told_inline();
  // From now on the bytes are those of objects. `cut_first`: there may be objects, with anything in them. `durable`:
  // the bytes are durable there when this ended. A failure leaves the file inline.
  Task<Status> move_out(const std::uint64_t& file_size, bool cut_first, bool durable);
  // It cannot be told and cannot be moved out: what the home has not is lost, and whoever has it open hears of it.
  void lose_inline(Status why);

  // Dirty bytes are at their targets; sync: and durable there, as is what anybody's completed write brought before. A
  // failed write of this time is also kept for take_error(): report one of the two.
  Task<Status> flush();
  // The same of the bytes from `begin` to `end`.
  Task<Status> flush(std::uint64_t begin, std::uint64_t end);
  Task<Status> sync();
  // Before somebody else may change the file: nothing of it is left that a target may still lose. What cannot be made
  // durable is forgotten, and is an error of the file.
  Task<Status> settle();
  // The same of these bytes, which are whole blocks; and of every cut, which nobody may make again over what others
  // write.
  Task<Status> settle(std::uint64_t begin, std::uint64_t end);
  bool settled() const noexcept;  // there is nothing to do for settle()
  bool settled(std::uint64_t begin, std::uint64_t end) const noexcept;
  // What the targets have, dirty bytes apart. Size, as the objects show it (for a file whose record is not exact), and
  // 512-byte blocks used.
  struct ObjectsStat {
    std::uint64_t size = 0;
    std::uint64_t blocks = 0;
  };
  Task<Result<ObjectsStat>> stat_objects();
  void drop();                                        // forgets clean bytes that are durable; the lock goes
  void drop(std::uint64_t begin, std::uint64_t end);  // of whole blocks
  void discard();                                     // forgets dirty ones too, unsent: the file is gone
  bool dirty() const noexcept;                        // there are bytes for objects
  bool dirty(std::uint64_t begin, std::uint64_t end) const noexcept;  // of whole blocks
  std::uint64_t dirty_bytes() const noexcept;                         // those on their way included
  // Errors of writes that were acknowledged early. Everybody who has the file open hears of the last one, once: `heard`
  // is his, and begins as errors_heard() when he opens it, so that what nobody heard of yet is told to who comes next.
  std::uint64_t errors_heard() const noexcept;
  Status take_error(std::uint64_t* heard) noexcept;
  // What nobody heard of yet.
  Status take_error() noexcept;
  // A write that was acknowledged early failed before it came here.
  void fail(Status status) noexcept;
  // 512-byte blocks the objects use, as far as replies told since the file was opened (0: unknown).
  std::uint64_t blocks_hint() const noexcept;

  struct Impl;
  Impl& impl() noexcept { return *impl_; }  // for DataPlane

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau::client
