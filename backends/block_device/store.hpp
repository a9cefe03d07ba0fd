// SPDX-License-Identifier: Apache-2.0
// BlockStore: an ObjectStore on one device. Blocks of 4 KiB are never overwritten: a write goes to free blocks, the map
// in memory points to them when they are written, and a flush makes that so after any crash: device flushed, changed
// records of the map committed to the index as one, and only then are the blocks that were replaced free again. (Only a
// block that no committed map names is free at once.)
//
// A call becomes an Op. Ops of one object whose blocks overlap are admitted in the order of their arrival, reads side
// by side. Admitted ops wait in ready_ for one of queue_depth slots, which is a piece of registered memory.
//
// Small objects have no blocks: their bytes are in their record in the index. Changes of these touch memory alone,
// until a commit carries them over. One that grows is moved out: the call that makes it grow writes what it had to
// blocks too.
//
// A write over a small part of blocks that are there is deferred: its bytes are put over the blocks in the record of
// their segment, and read from there, until an op of the store's own (merge) writes all those of a segment to free
// blocks.
//
// store.cpp has the calls and admission, store_transfer.cpp reads and what writes blocks, store_small.cpp what changes
// small objects, store_deferred.cpp deferred writes, store_space.cpp where blocks come from, store_commit.cpp flushes,
// store_life.cpp start and stop.
#pragma once

#include "device.hpp"
#include "free_space.hpp"
#include "object_map.hpp"
#include "rideau/abi.hpp"
#include "rideau/object_store.hpp"
#include "store_settings.hpp"
#include "superblock.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace rideau::block_device {

constexpr std::uint64_t kObjectBytesMax = 1ull << 44;
constexpr std::uint32_t kIoBytesMax = 1 << 20;
constexpr std::uint32_t kPartsMax = 1024;
constexpr std::uint32_t kCallsMax = 16384;                                // pending; more are answered with busy
constexpr std::uint64_t kHeldBytesMax = 32 << 20;                         // of small objects, in memory for a commit
constexpr std::uint64_t kTransferBlocks = kIoBytesMax / kBlockBytes + 1;  // it need not begin at a block
constexpr std::uint64_t kSlotBlocks = kTransferBlocks + kSmallBytesMax / kBlockBytes;  // and may move an object out

constexpr Status kClosed{Code::closed, 0, "block-device store is not running"};

class BlockStore;
struct Commit;
struct CommitTimer;

// One block that an op writes.
struct Item {
  std::uint64_t index = 0;  // of the block in the object
  Block before{};
  std::uint64_t place = 0;    // where it is written
  std::uint32_t sum = 0;      // of what is written there
  bool reads_before = false;  // a part of it stays
  bool from_small = false;    // the object's bytes in the index have it
};

constexpr std::uint64_t blocks_for(std::uint64_t bytes) noexcept { return (bytes + kBlockBytes - 1) / kBlockBytes; }

struct Op {
  enum class Kind : std::uint8_t { read, write, truncate, punch, allocate, remove, merge };
  enum class Stage : std::uint8_t { waiting, ready, working };

  Kind kind = Kind::read;
  Stage stage = Stage::waiting;
  BlockStore* store = nullptr;
  Object* object = nullptr;
  Completion* done = nullptr;  // of merge: none
  std::uint64_t offset = 0;
  std::uint64_t size = 0;   // of truncate: the new one
  std::uint64_t first = 0;  // blocks that it reads or changes
  std::uint64_t last = 0;
  std::vector<IoVec> parts;
  std::vector<Item> items;
  std::vector<Request> requests;
  std::uint32_t outstanding = 0;
  std::uint8_t* memory = nullptr;  // kSlotBlocks blocks, while it works
  Status status{};
  void (BlockStore::*next)(Op&) noexcept = nullptr;  // when nothing is outstanding

  bool changes() const noexcept { return kind != Kind::read; }
  bool makes_object() const noexcept { return kind == Kind::write || kind == Kind::truncate || kind == Kind::allocate; }
};

class BlockStore final : public ObjectStore {
 public:
  BlockStore(Host& host, std::unique_ptr<Device> device, StoreSettings settings);

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

  // For tests that count: blocks of the device that are free, or will be after the next commit.
  std::uint64_t blocks_free() const noexcept { return free_.count() + window_blocks_ + blocks_released_; }
  std::uint64_t blocks_total() const noexcept { return blocks_total_; }

 private:
  friend struct Commit;
  friend struct CommitTimer;
  enum class Life : std::uint8_t { made, starting, running, stopping, stopped };

  ~BlockStore();

  // Calls and admission.
  Status accepts_calls() const noexcept;
  Submitted transfer(Op::Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                     Completion& done) noexcept;
  Submitted submit_op(Op::Kind kind, ObjectId id, std::uint64_t offset, std::uint64_t size, std::uint64_t first,
                      std::uint64_t last, const IoVec* parts, std::uint32_t part_count, Completion& done) noexcept;
  Op& take_op() noexcept;
  void admit(Object& object) noexcept;
  void work() noexcept;
  void dispatch(Op& op) noexcept;
  void finish(Op& op, Status status, std::uint64_t value) noexcept;
  void log(Level level, const std::string& message) noexcept;

  // Transfers.
  void send(Op& op, void (BlockStore::*next)(Op&) noexcept) noexcept;
  void request_done(Op& op, Status status) noexcept;
  void start_read(Op& op) noexcept;
  void end_read(Op& op) noexcept;
  void start_change(Op& op) noexcept;
  Status plan_write(Op& op) noexcept;
  Status plan_edges(Op& op) noexcept;
  Status add_item(Op& op, std::uint64_t index, bool partial) noexcept;
  void read_before(Op& op) noexcept;
  void fill_and_write(Op& op) noexcept;
  void end_change(Op& op) noexcept;
  void allocate_range(Op& op) noexcept;
  bool zeroes(const Op& op) const noexcept { return op.kind == Op::Kind::truncate || op.kind == Op::Kind::punch; }
  Status verify(Op& op, const Item& item, const std::uint8_t* bytes) noexcept;
  void set_block(Object& object, std::uint64_t index, const Block& block) noexcept;
  void clear_blocks(Object& object, std::uint64_t first, std::uint64_t last) noexcept;

  // Small objects.
  bool stays_small(const Op& op) const noexcept;
  void change_small(Op& op) noexcept;
  Status move_out(Op& op) noexcept;
  void moved_out(Object& object) noexcept;
  void put_back(Op& op) noexcept;

  // Deferred writes.
  bool defers(const Op& op) noexcept;
  void defer(Op& op) noexcept;
  void merge(Object& object, std::uint64_t number) noexcept;
  void merge_some(std::size_t count) noexcept;
  Status plan_merge(Op& op) noexcept;
  void merge_ended(Op& op, Status status) noexcept;
  void apply_patches(Op& op, std::uint64_t index, std::uint8_t* bytes) noexcept;

  // Space.
  enum class Room : std::uint8_t { yes, wait, no };
  // What a call takes.
  struct Need {
    std::uint64_t fresh = 0;        // blocks
    std::uint64_t replaced = 0;     // blocks; as many come back with the next commit
    std::uint64_t owed = 0;         // of the fresh ones, those that were held for the bytes of a small object
    std::uint64_t records = 0;      // of the map
    std::uint64_t small_bytes = 0;  // in these
  };
  Room room_for(const Need& need) noexcept;
  std::uint64_t index_bytes(std::uint64_t records, std::uint64_t small_bytes) const noexcept;
  void take_blocks(Object& object, std::uint64_t count, std::uint64_t index, std::vector<Run>& out) noexcept;
  void drop_window(Object& object) noexcept;
  void drop_windows() noexcept;
  void give_up(const Block& block) noexcept;
  void reuse(std::vector<Run> runs) noexcept;
  void wait_for_space(Op& op) noexcept;
  void retry_waiting(Status status) noexcept;
  bool crowded() const noexcept;
  void end_crowd() noexcept;
  void discarded(Request& request) noexcept;

  // Commits.
  void note_change() noexcept;
  void on_timer() noexcept;
  void begin_commit() noexcept;
  void on_flushed(Commit& commit, Status status) noexcept;
  void commit_more(Commit& commit) noexcept;
  void on_portion(Commit& commit) noexcept;
  void end_commit(Status status) noexcept;
  void learn_index_room() noexcept;

  // Life.
  void start_failed(Status status, const std::string& message) noexcept;
  void end_failed_start() noexcept;
  void read_superblocks() noexcept;
  void read_second_superblock() noexcept;
  void judge_superblocks() noexcept;
  Status load_map() noexcept;
  void claim_device() noexcept;
  void on_claimed(Status status) noexcept;
  void write_claim() noexcept;
  void flush_claim() noexcept;
  void end_claim() noexcept;
  void started() noexcept;
  void start_step(Request::Kind kind, std::uint64_t offset, std::uint8_t* memory,
                  void (BlockStore::*next)() noexcept) noexcept;
  void end_waiting_calls() noexcept;
  void check_stopped() noexcept;
  void closed() noexcept;

  Host& host_;
  std::unique_ptr<Device> device_;
  const StoreSettings settings_;
  Life life_ = Life::made;
  IndexStore* index_ = nullptr;
  ObjectMap map_;
  Completion* start_done_ = nullptr;
  Status start_status_{};
  Completion* stop_done_ = nullptr;
  Request life_request_;
  void (BlockStore::*life_next_)() noexcept = nullptr;
  int claim_copy_ = 0;
  Superblock superblock_;
  bool indexed_ = false;  // the index knows a device
  DeviceUuid indexed_uuid_{};
  bool closing_ = false;
  bool final_commit_ = false;  // the one of a stop has begun

  std::vector<std::unique_ptr<Op>> all_ops_;
  std::vector<Op*> free_ops_;
  std::deque<Op*> ready_;
  std::deque<Op*> space_waiters_;
  std::deque<Op*> crowd_waiters_;  // changes, until a commit has ended
  std::uint32_t op_count_ = 0;     // not free
  std::uint32_t active_ = 0;       // have a slot
  bool working_ = false;
  std::uint8_t* arena_ = nullptr;
  std::vector<std::uint8_t*> free_slots_;

  FreeSpace free_;
  std::uint64_t blocks_total_ = 0;
  std::uint64_t reserve_ = 0;          // blocks that only replacements may use
  std::uint64_t window_blocks_ = 0;    // set aside for writers
  std::uint64_t small_blocks_ = 0;     // that small objects would need, held for when they are moved out
  std::deque<ObjectId> windows_;       // who has a window, the oldest first
  std::vector<Run> released_;          // free after the next commit
  std::uint64_t blocks_released_ = 0;  // of these, of a commit under way, and being discarded
  std::uint32_t discarding_ = 0;
  std::vector<std::unique_ptr<Request>> discards_;
  std::uint64_t object_count_ = 0;
  std::uint64_t index_room_ = 0;   // bytes
  std::uint64_t index_total_ = 0;  // bytes

  Commit* commit_ = nullptr;
  CommitTimer* timer_ = nullptr;  // runs while there is something to commit that nobody may flush
  std::vector<Completion*> flush_waiting_;
  bool written_ = false;    // since the device was last flushed
  Status flush_failure_{};  // the first; every later flush reports it too
  Status last_commit_{};
  std::vector<MapChange> leftovers_;  // erased with the next commit
};

}  // namespace rideau::block_device
