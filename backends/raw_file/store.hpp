// SPDX-License-Identifier: Apache-2.0
// RawFileStore: an ObjectStore with one sparse file an object, driven through io_uring from the node's thread.
//
// A call becomes an Op. Ops of one object are admitted in the order of their arrival: reads, writes and flushes side by
// side, truncate, punch, allocate and remove alone. Admitted ops wait in ready_ for one of queue_depth slots; an op
// keeps its slot through all its steps (open, transfer, job). settle() is the only place where ops start and results
// are reaped.
//
// With checksums reads and writes of one object whose blocks overlap take turns, so that a block and its sum are seen
// together (sum_table.hpp has what is known of them).
//
// store.cpp has the calls and the loop, store_life.cpp start and stop, store_files.cpp the steps of an op,
// store_names.cpp files that come and go, store_flush.cpp what is dirty and flushing, store_sums.cpp sums of what is
// read and written, store_settle.cpp how they come to the index, and what a crash left of them.
#pragma once

#include "../shared/lent_call.hpp"
#include "../shared/ring.hpp"
#include "../shared/work.hpp"
#include "home.hpp"
#include "layout.hpp"
#include "rideau/abi.hpp"
#include "rideau/object_store.hpp"
#include "sum_table.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace rideau::raw_file {

using backend::Work;

struct Settings {
  std::string path;
  std::uint32_t open_files_max = 0;
  std::uint32_t queue_depth = 0;
  std::uint64_t direct_write_min = 0;  // bytes; 0: every write goes through the kernel's cache
  bool checksums = false;
  std::uint64_t settle_ns = 5'000'000'000;  // until sums of durable bytes come to the index
  std::uint32_t dirty_max = 16384;          // dirty files, and folders, known by name; beyond: syncfs
};

constexpr std::uint32_t kIoBytesMax = 16u << 20;
constexpr std::uint32_t kPartsMax = 1022;   // IOV_MAX less the rest of the first and the last block
constexpr std::uint32_t kCallsMax = 16384;  // pending calls; more are answered with busy

constexpr std::size_t kSegmentsMax = 65536;  // of sums in memory; twice that for a moment

constexpr Status kClosed{Code::closed, 0, "raw-file store is not running"};

struct File;
struct Flush;
struct SumCommit;
struct SumTimer;

// A block of which an op has only a part, and what the file has of it.
struct Edge {
  std::uint64_t block = 0;
  BlockSum before;
  bool read = false;
  std::uint8_t bytes[kBlockBytes];
};

struct Edges {
  Edge edge[2];
  std::size_t count = 0;
};

struct Op {
  enum class Kind : std::uint8_t { read, write, stat, truncate, punch, allocate, find_data, remove, sync, sum };
  enum class Stage : std::uint8_t {
    waiting,
    ready,
    open_new,
    open_existing,
    want_open,
    transfer,
    job,
    edge,     // reads a block of which it has a part
    marking,  // waits for the index
  };

  Kind kind = Kind::read;
  Stage stage = Stage::waiting;
  std::uint8_t open_tries = 0;
  bool direct = false;       // a write that may go around the kernel's cache
  bool sync_failed = false;  // the fsync itself, not a step before it
  File* file = nullptr;
  Completion* done = nullptr;  // null for a part of a flush
  Flush* flush = nullptr;
  Op* next = nullptr;        // in the one list that it is in
  std::uint64_t offset = 0;  // of sync: the change of the file that is being made durable
  std::uint64_t size = 0;
  std::uint64_t progress = 0;
  ObjectStat* stat_out = nullptr;
  ObjectExtent* extent_out = nullptr;
  std::vector<IoVec> parts;  // what is left of the buffer
  std::size_t first_part = 0;
  char path[kPathBytes] = {};
  // With checksums.
  std::vector<IoVec> whole;  // the buffer; of a read with the rests of its first and last block
  std::unique_ptr<Edges> edges;
  std::uint64_t first_block = 0;  // that it reads or changes
  std::uint64_t last_block = 0;
  std::uint64_t begin = 0;  // bytes that the caller wants to read, or that change
  std::uint64_t end = 0;
  bool born = false;  // the index knows of no object of this id
  bool planned = false;
  bool held = false;  // marks of the object stay because of it

  bool exclusive() const noexcept {
    return kind == Kind::truncate || kind == Kind::punch || kind == Kind::allocate || kind == Kind::remove ||
           kind == Kind::sum;
  }
  bool transfers() const noexcept { return (kind == Kind::read || kind == Kind::write) && size != 0; }
  bool makes_object() const noexcept { return kind == Kind::write || kind == Kind::truncate || kind == Kind::allocate; }
};

struct OpList {
  Op* first = nullptr;
  Op* last = nullptr;
  bool empty() const noexcept { return first == nullptr; }
  void push(Op& op) noexcept;
  Op* pop() noexcept;
  bool remove(Op& op) noexcept;
};

// What is known of an object that has calls under way, an open descriptor, or unflushed changes.
struct File {
  ObjectId id;
  int fd = -1;
  int direct_fd = -1;  // O_DIRECT, from the first such write on
  bool opening = false;
  bool exclusive = false;  // an exclusive op is admitted
  bool idle_listed = false;
  std::uint32_t shared = 0;         // admitted ops that are not exclusive
  std::uint32_t direct_writes = 0;  // of those
  std::uint32_t cached_writes = 0;
  std::uint64_t changed = 0;   // the last unflushed change; 0: clean
  std::uint64_t size = 0;      // with checksums, while it is open: no byte is behind
  std::vector<Op*> transfers;  // with checksums: admitted ops that read or write
  OpList waiting;              // not admitted
  OpList want_open;            // hold a slot, wait for another op that opens the file
  File* newer = nullptr;       // idle open files, by last use
  File* older = nullptr;

  bool admits(const Op& op) const noexcept;
  void admit(const Op& op) noexcept;
  void end(const Op& op) noexcept;
  bool busy() const noexcept { return shared != 0 || exclusive || !waiting.empty(); }
};

// A folder whose names are not durable.
struct Folder {
  std::uint64_t changed = 0;
  std::uint32_t making = 0;   // jobs that may be making folders in it: dirty whatever `changed` says
  bool removed_from = false;  // may be empty by now
};

struct Flush {
  Completion* done = nullptr;  // null: nobody asked for it
  std::vector<ObjectId> ids;   // dirty when it began
  std::size_t next_id = 0;
  std::uint32_t outstanding = 0;  // ops and jobs
  std::uint64_t captured = 0;     // covers changes up to this one
  Status status{};
};

class RawFileStore final : public ObjectStore {
 public:
  RawFileStore(Host& host, Settings settings) : host_(host), settings_(std::move(settings)) {}

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;

  ObjectLimits limits() const noexcept override;
  Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                 Completion& done) noexcept override;
  Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                  Completion& done) noexcept override;
  Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept override;
  Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted remove(ObjectId id, Completion& done) noexcept override;
  Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept override;
  Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept override;
  Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept override;
  Status space(ObjectSpace* out) noexcept override;
  Submitted lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose, ObjectLoan* out,
                 Completion& done) noexcept override;
  void give_back(ObjectLoan& loan) noexcept override;
  Submitted allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept override;

 private:
  friend struct SumCommit;
  friend struct SumTimer;
  enum class Life : std::uint8_t { made, starting, running, stopping, stopped };

  // Calls and the loop.
  Submitted transfer(Op::Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                     Completion& done) noexcept;
  Submitted submit_call(Op& op, ObjectId id, Completion& done) noexcept;
  Submitted answer(Completion& done) noexcept;
  Status accepts_calls() const noexcept;
  Op& take_op(Op::Kind kind) noexcept;
  void free_op(Op& op) noexcept;
  void queue(Op& op, ObjectId id) noexcept;
  bool may_begin(const File& file, const Op& op) const noexcept;
  void admit(File& file) noexcept;
  void finish(Op& op, Status status, std::uint64_t value) noexcept;
  void deliver(Completion& done, Status status, std::uint64_t value) noexcept;
  void settle() noexcept;
  void on_started(Status status) noexcept;
  void end_start(Status status) noexcept;
  void bound_open_files() noexcept;
  void end_waiting_calls() noexcept;
  void check_stopped() noexcept;
  void end_stop() noexcept;
  void log(Level level, const std::string& message) noexcept;
  void run_job(Work::Body body, Work::After after) noexcept;

  // Steps of an op.
  void dispatch(Op& op) noexcept;
  void begin_open(Op& op) noexcept;
  void open_file(Op& op) noexcept;
  void on_opened(Op& op, int result) noexcept;
  void open_failed(Op& op, Status status) noexcept;
  void make_folders_for(Op& op) noexcept;
  void perform(Op& op) noexcept;
  void perform_stat(Op& op) noexcept;
  void perform_change(Op& op) noexcept;
  void perform_find(Op& op) noexcept;
  void prepare_transfer(Op& op) noexcept;
  void end_transfer(Op& op) noexcept;
  void start_naming() noexcept;
  void advance(Op& op, std::uint64_t count) noexcept;
  void on_result(Op& op, int result) noexcept;
  void on_transferred(Op& op, int result) noexcept;
  void on_removed(Op& op, int result) noexcept;
  void list_idle(File& file) noexcept;
  void unlist_idle(File& file) noexcept;
  bool close_oldest_idle() noexcept;
  bool can_go_direct(std::uint64_t offset, std::uint64_t size, const IoVec* parts,
                     std::uint32_t part_count) const noexcept;
  Status open_direct(File& file) noexcept;
  void stop_going_direct(const char* why, int error) noexcept;
  void close_file(File& file) noexcept;
  void forget_if_unused(File& file) noexcept;

  // Sums of what is read and written.
  bool keeps_sums() const noexcept { return settings_.checksums; }
  void plan_read(Op& op) noexcept;
  void plan_change(Op& op) noexcept;
  void begin_change(Op& op) noexcept;
  bool waits_for_mark(Op& op) noexcept;
  void on_made(Op& op) noexcept;
  void on_marked(Op& op) noexcept;
  Status find_edges(Op& op) noexcept;
  void read_edges(Op& op) noexcept;
  void on_edge_read(Op& op, int result) noexcept;
  Status check_read(Op& op, std::uint64_t* value) noexcept;
  Status wrong_sum(const Op& op, std::uint64_t block) noexcept;
  void end_change(Op& op) noexcept;
  void sum_written(Op& op) noexcept;
  void adopt_sums(ObjectId id, std::uint64_t first, const std::vector<BlockSum>& blocks) noexcept;

  // Sums and the index.
  void begin_sums() noexcept;
  void erase_foreign_sums() noexcept;
  void on_foreign_sums_erased(Status status) noexcept;
  void commit_sums(std::vector<SumEdit> changes, Durability durability,
                   void (RawFileStore::*then)(Status) noexcept) noexcept;
  void sum_commit_ended(Status status) noexcept;
  void on_sums_settled(Status status) noexcept;
  void on_sums_erased(Status status) noexcept;
  void settle_sums() noexcept;
  void bound_sums() noexcept;
  void watch_sums() noexcept;
  void forget_sums() noexcept;
  bool is_flushed(ObjectId id) noexcept;
  void begin_recovery() noexcept;
  void recover_more() noexcept;
  void sum_anew(Op& op) noexcept;
  void on_summed(Op& op, Status status, std::uint64_t bytes) noexcept;

  // Dirt and flushes.
  void mark_changed(File& file) noexcept;
  void mark_clean(File& file) noexcept;
  void mark_folder(FolderKey folder, bool removed_from) noexcept;
  void pin_folder(FolderKey folder) noexcept;
  void unpin_folder(FolderKey folder) noexcept;
  Flush& new_flush(Completion* done) noexcept;
  void start_flush(Flush& flush, const ObjectId* ids, std::uint32_t count) noexcept;
  void flush_for_sums() noexcept;
  void flush_more(Flush& flush) noexcept;
  void flush_folders(Flush& flush, std::vector<FolderKey> folders) noexcept;
  void flush_everything(Flush& flush) noexcept;
  void clean_folder(FolderKey folder, std::uint64_t captured) noexcept;
  void flush_what_was_left() noexcept;
  void flush_part_done(Flush& flush, Status status, bool sync_failed) noexcept;

  Host& host_;
  const Settings settings_;
  Life life_ = Life::made;
  std::shared_ptr<Home> home_;
  backend::Ring ring_{host_, [this] { settle(); }};
  Work* works_ = nullptr;
  Completion* start_done_ = nullptr;
  std::uint64_t start_ns_ = 0;
  Completion* stop_done_ = nullptr;
  bool stop_flushed_ = false;
  bool stop_marking_ = false;
  bool settling_ = false;

  Completion* current_ = nullptr;  // of the call that is being submitted
  bool current_finished_ = false;

  std::map<ObjectId, File> files_;
  File* newest_idle_ = nullptr;
  File* oldest_idle_ = nullptr;
  std::uint32_t open_count_ = 0;
  std::uint32_t open_max_ = 0;
  bool direct_refused_ = false;  // by the file system
  OpList ready_;
  OpList naming_;  // hold a slot, wait for the next job that makes and removes files
  bool naming_runs_ = false;
  OpList free_ops_;
  std::vector<std::unique_ptr<Op>> all_ops_;
  std::uint32_t op_count_ = 0;  // not free
  std::uint32_t active_ = 0;    // hold a slot
  std::uint64_t object_count_ = 0;
  std::uint64_t object_bytes_max_ = kObjectBytesMax;  // from start() on: what this file system can hold

  std::uint64_t change_ = 0;
  std::set<ObjectId> dirty_;
  std::map<FolderKey, Folder> folders_;
  std::uint64_t overflow_ = 0;  // the last change that found the tables full; 0: none
  std::vector<std::unique_ptr<Flush>> flushes_;
  Status flush_failure_{};  // the first; every later flush reports it too

  IndexStore* index_ = nullptr;
  SumTable sums_;
  std::vector<BlockSum> looked_at_;      // by a read that ends
  std::vector<std::uint32_t> new_sums_;  // of a write that ends
  std::optional<SumsId> fresh_sums_;     // while a start begins sums anew
  SumCommit* sum_commit_ = nullptr;      // one at a time
  SumTimer* sum_timer_ = nullptr;
  OpList marking_;                                    // wait for a commit that has not begun
  bool settle_due_ = false;                           // sums of what is durable are to be carried over
  bool sums_fail_ = false;                            // the last commit did, and it was told
  bool bounding_ = false;                             // a flush runs because too many sums are in memory
  std::vector<std::pair<ObjectId, Range>> recovery_;  // segments to sum anew, from the last one on
  std::size_t recovered_objects_ = 0;
  std::uint64_t recovered_bytes_ = 0;
};

}  // namespace rideau::raw_file
