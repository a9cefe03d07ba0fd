// SPDX-License-Identifier: Apache-2.0
// The inside of FileSystem, shared by its source files: file_system.cpp (life, sessions, whole-system calls), _locking
// (locks and giving them back), _extents (parts of files), _names, _attributes, _files, _space (fallocate, holes),
// _closing (closes and sizes on their way to the metadata server).
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/observe/log.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/advisory_locks.hpp"
#include "plugins/client/file_data.hpp"
#include "plugins/client/file_system.hpp"
#include "plugins/client/inode_cache.hpp"
#include "plugins/client/meta_client.hpp"
#include "plugins/client/name_cache.hpp"

#include <boost/intrusive/list.hpp>

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace rideau::client {

using lock::Mode;

constexpr std::size_t kPagedMax = 64 * 1024;  // inodes whose pages the kernel may have
constexpr std::size_t kCloseItemsMax = 256;   // of one call
constexpr std::uint64_t kCloseDelayNs = 5 * kMillisecond;
constexpr std::uint64_t kHoldUpNs = 20 * kMillisecond;
constexpr std::uint64_t kContendedNs = 2 * kSecond;       // after a revocation
constexpr std::uint64_t kWithheldNs = lock::kWithheldNs;  // after an answer about a directory without its lock
constexpr std::size_t kKeptOpensMax = 32 * 1024;
constexpr std::size_t kLocksGivenBack = 256;  // of inodes not used for long, at a time
constexpr std::size_t kPartsMax = 256;        // of one file
constexpr std::uint32_t kSameSizeMax = 3;
constexpr std::uint64_t kUnknownSize = limits::kFileBytesMax;
constexpr std::uint64_t kInlineBytesPerCall = 256 * 1024;  // from here on closes go in another call

// An open file of this client.
struct Handle {
  Handle(Runtime& runtime, fs::HandleId handle_id, NodeRef of)
      : id(handle_id), node(std::move(of)), reopening(runtime) {}
  fs::HandleId id;
  NodeRef node;
  std::uint32_t flags = 0;
  fs::Caller caller;
  std::shared_ptr<FileData> data;  // of regular files
  std::uint64_t errors_heard = 0;  // of its data, through this handle
  std::uint64_t epoch = 0;         // of the metadata session that knows the handle
  bool wrote = false;
  bool touched = false;       // and to objects
  bool broken = false;        // its changes were lost with the metadata server
  bool lost_locks = false;    // of flock or fcntl, taken through it, with the session
  bool lost_changes = false;  // changes of the inode that were not made through it were: fsync says so, once
  AsyncMutex reopening;

  bool writes() const noexcept { return (flags & fs::kOpenWrite) != 0; }
  bool appends(const WriteDetails* details) const noexcept {
    return (flags & fs::kOpenAppend) != 0 && (details == nullptr || !details->pages);
  }
  fs::InodeId inode() const noexcept { return node->inode.id; }
};
using HandleRef = std::shared_ptr<Handle>;

struct FileSystem::Impl final : rpc::SessionEvents, InlineHome {
  Impl(Runtime& host, Logger& logger, FileSystemOptions wanted);
  ~Impl();

  // Sessions (file_system.cpp).
  struct ObjectTarget final : rpc::SessionEvents {
    ObjectTarget(Impl& owner, const TargetAddress& address);
    Task<rpc::CallbackReply> on_callback(std::uint16_t method, Bytes body, std::uint64_t trace_id) override;
    void on_new_epoch(std::uint64_t boot_epoch, bool kept_all) override;
    Impl& impl;
    fs::TargetId target;
    bool removed = false;  // it is none of the cluster any more; its session ends
    rpc::ClientSession session;
  };
  Task<rpc::CallbackReply> on_callback(std::uint16_t method, Bytes body, std::uint64_t trace_id) override;
  void on_new_epoch(std::uint64_t boot_epoch, bool kept_all) override;
  // file_system_restart.cpp
  Task<Status> on_restart() override;
  Task<Status> claim(const fs::ReclaimRequest& request, fs::ReclaimReply* reply);
  Task<Status> claim_opens();
  Task<Status> claim_locks();
  Task<Status> claim_advisory_locks();
  void break_lost_handles();
  void break_lost_locks();
  // A session with each object target of the cluster that has none.
  Task<> learn_targets();
  // As the metadata server tells of those that it had removed.
  void forget_targets(const fs::StatFileSystemReply& told);
  Task<> ask_for_removed();
  bool misses_a_target() const;
  void tell_lock_session();
  std::int64_t server_now_ns() const noexcept { return runtime.wall_ns() + meta_session.time_offset_ns(); }

  // Locks (file_system_locking.cpp).
  // What an answer said of an inode, and of the lock that came with it.
  NodeRef learn(const fs::Inode& fresh);
  // Takes a lock that came with an answer. True: it is held now, and has been since the answer was given.
  bool take_grant(Node& node, fs::LockWord word);
  void on_revoke(const fs::LockItem& item);
  // How large a file is that this client has exclusively, for others who ask.
  fs::SizeUpdate glimpse(const fs::LockItem& item);
  void start_release(NodeRef node);
  Task<> release_lock(NodeRef node);
  Task<> forget_bytes(NodeRef node);
  Task<> settle_bytes(NodeRef node);
  Task<> tell_news(NodeRef node);
  Task<> expire_in_kernel(NodeRef node);
  void queue_give_back(const fs::LockItem& item, NodeRef node);
  Task<> send_give_backs();
  bool is_over_bounds(std::uint64_t eighths) const;  // with so many eighths of what may be
  void keep_within_bounds();
  Task<> give_back_oldest();
  // Has the lock asked for; whoever waits at `gate_changed` goes on when it came, or when lock.failures grew.
  void want_lock(NodeRef node, Mode mode);
  Task<> fetch_lock(NodeRef node, Mode mode);
  // A call for data (read, write, cut): may go on while the lock is being given back; ends with leave().
  Task<Status> enter(NodeRef node, bool changes, DataCall& call);
  bool try_enter(Node& node, Mode mode, DataCall& call);
  void leave(Node& node, DataCall& call);
  void leave(Node& node);
  void note_pages(Node& node);
  // A call for attributes: goes on while the lock is being given back, up to the moment when they expire in the kernel;
  // ends with leave_attributes(). An answer to a question from before an expiry is thrown away by the kernel, so it
  // must come before.
  Task<Result<unsigned>> enter_attributes(NodeRef node);
  void leave_attributes(Node& node, unsigned turn);
  Task<> attributes_told(NodeRef node);
  // Keeps the lock from going while it is held; false: it is not held, and everything was told. Ends with leave().
  bool stay(Node& node);
  Task<> until_unsealed(NodeRef node);
  Task<> drop_pages_of(NodeRef node);
  Task<> hold_up(NodeRef node);
  Task<> drop_all_pages();
  Task<> trim_pages();

  // Files that are locked in parts (file_system_extents.cpp).
  bool try_enter_part(Node& node, Mode mode, DataCall& call);
  // The part is held, and not on its way back.
  static bool has_part(const Node& node, lock::Extent range, Mode mode);
  void want_part(NodeRef node, lock::Extent range, Mode mode);
  Task<> fetch_part(NodeRef node, std::list<NodeParts::Wanted>::iterator wanted);
  void take_part(NodeRef node, std::uint64_t stamp, const fs::LockExtentReply& reply);
  void on_revoke_part(const fs::ExtentItem& item);
  void start_part_release(NodeRef node, lock::Extent range);
  Task<> release_part(NodeRef node, lock::Extent range);
  Task<> drop_pages_of_part(NodeRef node, NodeParts::Going& going);
  Task<> drop_range(fs::InodeId inode, std::shared_ptr<std::list<lock::Extent>> running,
                    std::list<lock::Extent>::iterator range);
  void hold_up_part(NodeRef node, lock::Extent range);
  Task<> end_hold_up(NodeRef node, lock::Extent range);
  void give_back_part(NodeRef node, lock::Extent range, lock::GrantNumber number);
  void queue_give_back_part(const fs::ExtentItem& item, NodeRef node);
  void become_whole(Node& node);
  Task<Status> ask_size(NodeRef node);
  Task<Status> ask_size_to_read(NodeRef node);
  Task<Status> know_end(NodeRef node);

  // Names (file_system_names.cpp).
  Task<Status> check_access(fs::Caller& caller, NodeRef node, std::uint32_t want);
  Task<> expire_names();
  Task<Result<fs::Inode>> lookup(fs::Caller& caller, fs::InodeId parent, const std::string& name, std::uint64_t asked);
  Task<Result<fs::Inode>> lookup_dots(fs::InodeId directory, bool parent, std::uint64_t asked);
  // `gone`: what the name meant went meanwhile.
  Task<Result<fs::Inode>> lookup_once(fs::Caller& caller, fs::InodeId parent, const std::string& name,
                                      std::uint64_t asked, bool& gone);
  Task<Result<fs::Inode>> ask_lookup(fs::Caller& caller, NodeRef directory, const std::string& name,
                                     std::uint64_t asked, bool& gone);
  Task<MetaReply<fs::MakeReply>> make(fs::MakeRequest& request);
  Task<Result<fs::Inode>> link(fs::LinkRequest& request, std::uint64_t asked);
  Task<Status> remove(fs::RemoveRequest& request);
  Task<Status> rename(fs::RenameRequest& request);
  Task<Result<std::vector<fs::DirectoryEntry>>> read_directory(fs::InodeId directory, fs::Cookie after,
                                                               std::uint32_t entries_max, bool attributes,
                                                               std::uint64_t asked);
  // Of a directory whose names are known: the stamp under which; else 0.
  static std::uint64_t names_stamp(const Node& directory);
  void put_name(Node& directory, std::string_view name, fs::InodeId inode, std::uint64_t transaction);
  NodeRef begin_name_change(fs::InodeId directory);
  void end_name_change(NodeRef& directory);
  void forget_data(const fs::Inode& inode, bool destroyed);

  // Attributes (file_system_attributes.cpp).
  Task<Status> know(NodeRef node, bool size);
  Task<Result<fs::Inode>> attributes(fs::InodeId inode, std::uint64_t asked, bool to_read = false);
  Task<Result<fs::Inode>> set_attributes(fs::SetAttributesRequest& request, std::uint64_t asked);
  // The attributes for the caller, who may cache them, unless they expired after he asked (`expiries` was `asked`
  // then).
  fs::Inode tell(Node& node, std::uint64_t asked);
  // The answer of a change: what it left, though others may have changed more since, or the inode may be gone.
  fs::Inode tell_change(Node& node, fs::Inode left, const Status& known, std::uint64_t asked);
  Task<MetaReply<fs::InodeReply>> resize(fs::SetAttributesRequest& request, NodeRef node);
  // Around a cut: no size of before comes to the server behind it.
  Task<> begin_resize(NodeRef node);
  void end_resize(Node& node);
  Task<Status> cut_objects(NodeRef node, std::uint64_t old_size, std::uint64_t size);
  void attributes_changed(fs::InodeId inode, std::uint64_t transaction);
  Task<> list_changed(NodeRef node, bool was_open);
  Task<Status> tell_before_layout(fs::InodeId inode);

  // Files (file_system_files.cpp).
  HandleRef find_handle(fs::HandleId id);
  Task<Result<OpenFile>> open(fs::Caller& caller, fs::InodeId inode, std::uint32_t flags);
  Task<Result<OpenFile>> create(fs::MakeRequest& request, std::uint64_t asked);
  Task<> drop_before_writing(NodeRef node);
  Task<Status> cut_opened(NodeRef node, std::uint64_t old_size);
  Task<Status> cut_created(HandleRef handle);
  HandleRef add_handle(fs::HandleId id, NodeRef node, std::uint32_t flags, const fs::Caller& caller);
  Task<Status> usable(HandleRef handle);
  Task<Status> follow(Node& node, FileData& data);
  // `read` does it, with the data and the size of the file.
  template <class Read>
  Task<Result<std::uint64_t>> read(fs::HandleId id, std::uint64_t offset, std::uint64_t size, bool fills_pages,
                                   Read read);
  Task<Result<std::uint64_t>> write(HandleRef handle, std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                    std::uint64_t size, WriteDetails* details);
  // A write that has not ended; in the frame of its call.
  struct Writing : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Writing(const Node& of, lock::Extent bytes, std::uint64_t order) : node(&of), range(bytes), number(order) {}
    const Node* node;
    lock::Extent range;
    std::uint64_t number;
    bool put_off = false;  // nobody waits for it but who syncs or closes the file (file_system_pages.cpp)
  };
  Task<> behind_writes(Node& node, DataCall& call, std::uint64_t last, bool put_off);
  void end_writing(Writing& one) {
    one.unlink();
    gate_changed.wake_all();
  }
  // Enters for a write, knows how large the file is for an append, and has taken set-id bits away.
  Task<Status> enter_write(HandleRef handle, std::uint64_t offset, std::uint64_t size, WriteDetails* details,
                           DataCall& call);
  // Of mapped pages (file_system_pages.cpp).
  bool lost_pages(fs::InodeId inode) const;
  Task<Status> write_pages(HandleRef handle, std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                           std::uint64_t size, WriteDetails& details);
  Task<Status> write_stored(HandleRef handle, std::uint64_t offset, const std::vector<IoVec>& data,
                            WriteDetails& details, DataCall& call);
  Task<> write_later(HandleRef handle, std::uint64_t offset, std::vector<std::uint8_t> bytes, WriteDetails details);
  Task<> behind_stored(Node& node);
  // Writes of the range up to that number have not ended; `put_off`: such alone.
  bool any_writing(const Node& node, lock::Extent range, std::uint64_t last, bool put_off) const;
  static std::uint32_t privileges_to_kill(const Node& node, bool set_id);
  Task<Status> kill_privileges(HandleRef handle, std::uint32_t kills, const fs::Caller& writer);
  void changed_bytes(Node& node);
  // file_system_inline.cpp
  Task<Result<std::string>> read_inline(fs::InodeId inode) override;
  void inline_due(fs::InodeId inode) override;
  Task<> send_due();
  // The data of a regular file, inline where its inode says so.
  std::shared_ptr<FileData> data_of(const Node& node) {
    return plane.file(node.inode.id, node.inode.layout, node.inode.is_inline());
  }
  // false: the file lies elsewhere now, and the data must adopt() that.
  static bool try_follow(const Node& node, FileData& data) noexcept {
    return data.try_adopt(node.inode.layout, node.inode.is_inline());
  }
  bool wants_bytes(Node& node, std::uint32_t flags);
  void take_bytes(NodeRef node, const fs::OpenReply& reply);
  // Into the cache, or to objects; a file that does not stay inline with it is moved out.
  Task<Result<std::uint64_t>> write_bytes(HandleRef handle, std::uint64_t offset, const IoVec* data,
                                          std::uint32_t parts, const Buffers* lent);
  // The bytes of an inline file go to objects; whoever calls keeps the exclusive lock. `opened`: by a handle that will
  // say so when it is closed, also when its client dies.
  Task<Status> move_out(NodeRef node, bool opened);
  Task<Status> move_bytes_out(NodeRef node, bool opened);
  // The server had no room for them.
  Task<bool> move_refused(NodeRef node);
  Task<> move_all_refused(std::vector<NodeRef> nodes);
  Task<MetaReply<fs::InodeReply>> resize_inline(fs::SetAttributesRequest& request, NodeRef node);
  // What is to be told of the bytes with this news of size and times; a view up to the next change.
  fs::InlineBytes inline_news(const Node& node, const fs::SizeUpdate& update);
  // file_system_space.cpp
  Task<Status> allocate(HandleRef handle, Allocate mode, bool keep_size, std::uint64_t offset, std::uint64_t size);
  Task<Result<std::uint64_t>> seek(HandleRef handle, std::uint64_t offset, bool hole);
  Task<Status> sync(HandleRef handle);

  // An open or a create without an answer yet; in the frame of its call. After a restart it is claimed as well: the
  // server may have carried it out, and must keep the inode until the call was sent again.
  struct Opening : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    explicit Opening(const fs::ReclaimedOpen& what) : claim(what) {}
    fs::ReclaimedOpen claim;
  };

  // Closes and sizes (file_system_closing.cpp).
  struct PendingClose {
    HandleRef handle;
  };
  void mark_changed(Node& node);
  void queue_close(HandleRef handle);
  // A file that was open for reading stays so at the server while its lock is held, for the next who opens it.
  bool keep_open(const Handle& handle);
  HandleRef open_kept(NodeRef node, std::uint32_t flags, const fs::Caller& caller);
  void end_kept(Node& node);
  void close_kept(Node& node, fs::HandleId handle);
  void kick_closes();
  Task<> flush_released(HandleRef handle);
  Task<> send_ready();
  Task<Status> send_batch(bool everything);
  Task<Status> send_everything();  // every queued close and every size that is news
  Task<Status> send_size(NodeRef node);
  fs::SizeUpdate size_update(Node& node);
  bool ready(const PendingClose& item) const;
  // News on their way: how much of it will have been told.
  struct Telling {
    NodeRef node;
    std::uint64_t change_count = 0;
    bool bytes = false;
    bool moved_out = false;
  };
  Telling begin_telling(NodeRef node, const fs::InlineBytes& bytes);
  void told(const Telling& one, std::uint64_t transaction);

  Runtime& runtime;
  Logger& log;
  FileSystemOptions options;
  KernelCache* kernel = nullptr;
  std::optional<TaskGroup> tasks;  // reset first: its frames refer to everything below
  rpc::ClientSession meta_session;
  MetaClient meta;
  std::list<std::unique_ptr<ObjectTarget>> targets;  // grows while calls go through it
  std::unique_ptr<ObjectTarget> joining;             // not one of them yet
  bool learning = false;
  DataPlane plane;
  AdvisoryLocks advisory;
  InodeCache inodes;
  NameCache names;
  bool started = false;
  bool stopped = false;
  std::uint64_t epoch = 1;  // grows when the metadata server lost our session

  // Locks, beside what each node has of its own.
  struct Paged {
    NodeRef node;
    std::uint32_t running = 0;  // data calls of this inode
    bool entered = false;       // since the last drop began
    bool lost = false;          // the locks that they rested on went with a session
  };
  struct GiveBack {
    fs::LockItem item;
    NodeRef node;  // may be none
  };
  std::uint64_t stamps = 0;    // holdings so far
  std::uint64_t expiries = 0;  // how often something expired in the kernel
  struct GiveBackPart {
    fs::ExtentItem item;
    NodeRef node;  // may be none
  };
  std::vector<GiveBack> give_backs;
  std::vector<GiveBackPart> give_backs_parts;
  bool sending_give_backs = false;
  bool bounding = false;
  std::uint64_t locks_held = 0;
  std::uint64_t lock_budget = UINT64_MAX;  // as the server wishes
  WaitQueue answered;                      // all calls for attributes of one turn were
  std::map<fs::InodeId, Paged> paged;      // inodes whose pages the kernel may have
  bool trimming = false;
  WaitQueue gate_changed;  // anything changed that calls or releases wait for

  std::map<fs::HandleId, HandleRef> handles;
  std::set<fs::InodeId> lost_names;  // directories whose fsync says so, once
  fs::HandleId next_handle = 1;
  boost::intrusive::list<Opening, boost::intrusive::constant_time_size<false>> opening;
  std::size_t kept_opens = 0;
  boost::intrusive::list<Writing, boost::intrusive::constant_time_size<false>> writing;
  std::uint64_t writes_begun = 0;

  std::map<fs::InodeId, NodeRef> changed;  // inodes with news for the metadata server
  std::set<fs::InodeId> resizing;          // whose sizes are not told meanwhile
  std::deque<PendingClose> closes;
  std::set<fs::InodeId> due;  // inline files whose bytes should be told now
  bool sending_due = false;
  std::uint64_t refusals = 0;  // of bytes of inline files
  bool sending = false;
  WaitQueue sent;
  WaitQueue targets_learned;  // woken when learn_targets() has ended
  Alarm close_alarm;
};

}  // namespace rideau::client
