// SPDX-License-Identifier: Apache-2.0
// The inside of FileData: file_data.cpp (calls and the gate), _read, _write, _flush (write-back), _objects (truncate,
// stat, sync), _space (holes and kept space), _inline (bytes that are at the inline home).
#pragma once

#include "framework/base/sim_hooks.hpp"
#include "plugins/client/data_gate.hpp"
#include "plugins/client/data_plane_impl.hpp"
#include "plugins/client/data_striping.hpp"

#include <cerrno>
#include <list>
#include <memory>
#include <set>
#include <vector>

namespace rideau::client {

struct FileData::Impl {
  Impl(DataPlane::Impl& plane_in, fs::InodeId inode_in, fs::Layout layout);

  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool overlaps(std::uint64_t other_begin, std::uint64_t other_end) const noexcept {
      return begin < other_end && other_begin < end;
    }
  };

  // Reading.
  struct Fetch {
    explicit Fetch(Runtime& runtime) : done(runtime) {}
    Range range{};
    std::uint64_t generation = 0;
    Status status{};
    Event done;
  };
  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size, ReadSink& sink);
  Task<Status> make_valid(std::uint64_t begin, std::uint64_t end, std::uint64_t file_size);
  std::vector<Range> missing(std::uint64_t begin, std::uint64_t end);
  // Starts requests for what of a range is neither valid nor on its way.
  void start_fetches(std::uint64_t begin, std::uint64_t end, std::uint64_t file_size,
                     std::vector<std::shared_ptr<Fetch>>* started);
  std::shared_ptr<Fetch> start_fetch(const Segment& segment);
  Task<> fetch(std::shared_ptr<Fetch> self, Segment segment);
  void keep_fetched(const Fetch& done, const std::vector<std::shared_ptr<Buffer>>& buffers);
  static bool all_valid(const std::vector<Block*>& pinned, std::uint64_t begin, std::uint64_t end) noexcept;
  static void hand_out(const std::vector<Block*>& pinned, std::uint64_t begin, std::uint64_t end, ReadSink& sink);
  void read_ahead(std::uint64_t offset, std::uint64_t end, std::uint64_t file_size);

  // Writing.
  Task<Result<std::uint64_t>> write(std::uint64_t offset, const IoVec* data, std::uint32_t parts, std::uint64_t size,
                                    const Buffers* lent);
  Task<> wait_for_room(std::uint64_t begin, std::uint64_t end);
  bool charge(std::uint64_t begin, std::uint64_t end);
  struct Source {
    std::vector<IoVec> parts;
    const Buffers* lent = nullptr;  // in which they lie, if so
    std::uint64_t lent_begin = 0;   // where in the file the first of these begins
    // The buffer that is the whole block at `begin`, or null.
    const std::shared_ptr<Buffer>* whole_block(std::uint64_t begin) const noexcept {
      const std::uint64_t skipped = begin - lent_begin;
      if (lent == nullptr || skipped % kBlockBytes != 0 || skipped / kBlockBytes >= lent->size()) return nullptr;
      return &(*lent)[skipped / kBlockBytes];
    }
    Source slice(std::uint64_t skip, std::uint64_t size) const;
  };
  void take_in(std::uint64_t begin, std::uint64_t end, const Source& source, bool dirty);
  // value = bytes that are safe from the start of the range.
  Task<std::uint64_t> write_through(std::uint64_t begin, std::uint64_t end, const Source& source, Status* failure);
  Task<Status> write_segment(Segment segment, std::vector<IoVec> parts);
  Task<> wait_until_clean(std::uint64_t begin, std::uint64_t end);
  bool writing_through(std::uint64_t begin, std::uint64_t end) const noexcept;

  // Writing back. `stamp`: only bytes that were dirty then.
  void start_sends(DataPlane::Impl::Send which, std::uint64_t stamp, std::uint64_t begin = 0,
                   std::uint64_t end = ~0ull);
  Range next_run(std::uint64_t stamp, std::uint64_t begin, std::uint64_t end);
  void start_send(const Segment& segment);
  Task<> send(Segment segment, std::uint64_t space, std::uint64_t epoch, std::vector<IoVec> parts,
              std::vector<std::shared_ptr<Buffer>> buffers);
  void sent(const Segment& segment, Status status, bool restarted);
  bool has_older(std::uint64_t stamp, std::uint64_t begin = 0, std::uint64_t end = ~0ull);
  Task<Status> flush(std::uint64_t begin = 0, std::uint64_t end = ~0ull);

  // Objects.
  Task<Status> truncate(std::uint64_t old_size, std::uint64_t size);
  Task<Status> resize_objects(std::uint64_t old_size, std::uint64_t size);
  Task<Status> cut_unknown_ends(std::uint64_t size);
  void cut_cache(std::uint64_t begin, std::uint64_t end);
  // Of all objects, or of those that are not durable as far as is known here.
  Task<Status> sync(bool all);
  Task<Status> sync_target(fs::TargetId id, std::vector<std::uint32_t> stripes);
  Task<Result<ObjectsStat>> stat_objects();
  Task<Status> stat_target(fs::TargetId id, std::vector<std::uint32_t> stripes, ObjectsStat* out);
  std::map<fs::TargetId, std::vector<std::uint32_t>> stripes_by_target() const;
  void wrote(std::uint32_t stripe, std::uint64_t bytes_used);

  // A change of an object under a version. `range` is of the object; resize makes its end the object's size.
  enum class Change { resize, punch, keep, zero };
  struct Reshape {
    Change change = Change::resize;
    Range range{};
    std::uint64_t number = 0;   // of the stripe's changes
    std::uint64_t version = 0;  // under which it was made last
  };
  // Tried again when somebody whose clock was ahead changed the object before us, or when nobody knows which server did
  // it, before or after a restart.
  Task<Status> reshape(std::uint32_t stripe, Reshape what);
  Task<Status> ask_reshape(std::uint32_t stripe, const Reshape& what, std::uint64_t* seen);
  void reshaped(std::uint32_t stripe, Reshape what);

  // What targets may lose (file_data_unstable.cpp). Only a target's restart, and only one that does not keep what it
  // answered, makes a difference of it: then reshapes are made again in their order, and bytes are sent again behind
  // them. Every byte that was written since and not cut off by one of them is here, so this is what the object was.
  std::uint64_t note_change(std::uint32_t stripe);           // an acknowledged one; value = its number
  void covered(std::uint32_t stripe, std::uint64_t change);  // everything up to that one is durable
  void forget_durable();                                     // of the blocks, after covered()
  bool settled() const noexcept;
  bool settled(std::uint64_t begin, std::uint64_t end) const noexcept;  // of whole blocks, and every cut
  // It could not be made durable: an error of the file, and not kept any more.
  void give_up_unstable(Status status);
  void give_up_unstable(Status status, std::uint64_t begin, std::uint64_t end);  // of whole blocks, and every cut
  void forget_reshapes();
  void remake(std::uint32_t stripe);
  Task<> remake_all(std::uint32_t stripe, std::uint64_t losses, std::uint32_t layout_generation);
  Task<> until_remade(std::uint32_t stripe);
  Task<> until_remade();
  bool is_remaking() const noexcept;
  // Changes the set of a block's unstable bytes, and what is counted of it.
  template <class Modify>
  void change_unstable(std::uint64_t index, Block& block, Modify modify) {
    plane.unstable_total -= block.unstable.count(0, kBlockBytes);
    modify(block.unstable);
    plane.unstable_total += block.unstable.count(0, kBlockBytes);
    if (block.unstable.empty()) {
      unstable_blocks.erase(index);
    } else {
      unstable_blocks.insert(index);
    }
  }
  void acknowledged(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end);  // after its sending
  void acknowledged(const Segment& segment);  // of a write past the cache, which has it too by now
  void make_dirty_again(std::uint64_t index, Block& block);
  static void hold_without_grant(DataTarget& target, std::uint64_t space) noexcept {
    target.held += space;
    target.unbacked += space;
  }
  // Of a block, or of all: it cannot be sent again any more.
  void forget_unstable(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end);
  void forget_all_unstable();
  // Everything of the target's that is not durable is on its way again; false: not all of it is here.
  bool send_again(fs::TargetId id);
  // Grows with each restart of a target of this file.
  std::uint64_t epochs() const noexcept;

  // Space.
  Range object_range(std::uint32_t stripe, const Range& range) const noexcept;
  Task<Status> change_objects(Range range, Change change);
  Task<Status> punch(Range range, std::uint64_t file_size);
  Task<Status> allocate(Range range, bool zero);
  Task<Status> find_in_object(std::uint32_t stripe, std::uint64_t offset, Range* out);
  Task<Result<std::uint64_t>> find_data(std::uint64_t offset, std::uint64_t file_size);
  Task<Result<std::uint64_t>> find_hole(std::uint64_t offset, std::uint64_t file_size);

  // Inline files (file_data_inline.cpp).
  Task<Result<bool>> write_inline(std::uint64_t offset, const IoVec* data, std::uint32_t parts, std::uint64_t size,
                                  const std::uint64_t& file_size);
  Task<Status> load_inline(const std::uint64_t& file_size);
  // value = bytes that arrived in the room, which is for the file's from `begin` on.
  Task<Result<std::uint64_t>> fetch_inline(std::uint64_t begin, std::vector<IoVec> room);
  void zero_inline(std::uint64_t begin, std::uint64_t end);
  void dirty_inline(std::uint64_t end);  // what holds no grant yet holds none then
  void clean_inline();
  void truncate_inline(std::uint64_t old_size, std::uint64_t size);
  Task<Status> move_out(const std::uint64_t& file_size, bool cut_first, bool durable);
  Task<Status> write_out(std::uint64_t size);
  void enter_objects(std::uint32_t inline_max_before, bool left) noexcept {
    inline_max = inline_max_before;
    left_inline = left;
  }

  // Bookkeeping.
  void adopt(fs::Layout layout, bool is_inline);
  void reopen();  // the gate, after a change that was alone behind it
  ObjectId object(std::uint32_t stripe) const noexcept {
    return fs::object_id(inode, striping.layout().generation, stripe);
  }
  DataTarget* target_of(std::uint32_t stripe) noexcept { return plane.target(striping.target(stripe)); }
  DataTarget* target_at(std::uint64_t offset) noexcept { return target_of(striping.stripe_at(offset)); }
  // Dirty bytes of a block are forgotten, and what they held of the grant is free again.
  void undirty(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end);
  void drop();
  void drop(std::uint64_t begin, std::uint64_t end);
  void discard();
  void meet_again(fs::TargetId id, bool kept_all);
  void keep_error(Status status) noexcept;
  void leave();
  bool dirty() const noexcept { return dirty_bytes + sending_bytes > 0; }
  bool dirty(std::uint64_t begin, std::uint64_t end) const noexcept;  // of whole blocks
  bool idle() const noexcept { return gate.idle() && blocks.empty() && settled(); }

  DataPlane::Impl& plane;
  fs::InodeId inode;
  Striping striping;
  std::uint64_t bytes_max;       // no file with this layout is larger
  std::uint32_t inline_max = 0;  // the file is inline, and may have so many bytes as such; 0: its bytes are in objects
  bool left_inline = false;      // it was, under the lock that is held
  bool nameless = false;         // nobody can open it any more: who has it open is its last user here
  std::uint64_t kept_end = 0;    // space may be kept up to here, beyond the end of the file too
  BlockMap blocks;
  DataGate gate;
  std::set<std::uint64_t> dirty_blocks;  // indexes
  std::set<std::uint64_t> sending_blocks;
  std::set<std::uint64_t> unstable_blocks;
  std::uint64_t dirty_bytes = 0;  // not sent
  std::uint64_t sending_bytes = 0;
  std::uint64_t stamp = 1;                    // grows with each flush
  std::uint64_t dirty_since_ns = 0;           // place in plane.dirty_files, while dirty_bytes > 0
  std::uint64_t generation = 1;               // grows when clean bytes are dropped: late answers are not kept
  std::list<Range> through;                   // writes past the cache that are in flight
  std::list<std::shared_ptr<Fetch>> fetches;  // in flight
  std::uint64_t failures = 0;
  Status last_failure{};
  std::uint64_t lock_losses = 0;  // how often the lock went with its session, while calls may have waited here
  std::uint64_t heard = 0;        // of the failures: those that somebody was told of by take_error()

  std::uint64_t next_read = 0;  // where a sequential reader goes on
  std::uint64_t ahead_window = 0;
  std::uint64_t ahead_end = 0;

  struct StripeState {
    std::uint64_t bytes_used = 0;
    std::uint64_t changes = 0;  // acknowledged, and how many of them are durable
    std::uint64_t durable = 0;
    std::uint64_t blind = 0;              // the last of them that cannot be made again
    std::vector<Reshape> reshapes{};      // that are not durable, in their order
    std::uint64_t unstable_since_ns = 0;  // place in target.unstable; 0: everything is durable
    bool end_unknown = false;             // a cut or growth failed, and may have happened
    bool remaking = false;                // they are being made again, and everything else waits
  };
  std::vector<StripeState> stripes;
};

constexpr Status kNoTarget{Code::io_error, EIO, "layout names an object target that is not configured"};

}  // namespace rideau::client
