// SPDX-License-Identifier: Apache-2.0
// How a store begins and ends: who the device is, the walk over the map that finds the free blocks, and the stop.
#include "commit.hpp"
#include "store.hpp"
#include "used_blocks.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace rideau::block_device {
namespace {

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

bool begins_with(Bytes key, const std::string& prefix) { return key.view().substr(0, prefix.size()) == prefix; }

}  // namespace

BlockStore::~BlockStore() { std::free(arena_); }

Submitted BlockStore::start(Completion& done) noexcept {
  if (life_ != Life::made) return done.finish({Code::invalid, 0, "second start of a block-device store"});
  life_ = Life::starting;
  Instance* instance = nullptr;
  if (const Status status = host_.open("index", PluginKind::index_store, &instance); !status.ok()) {
    life_ = Life::stopped;
    log(Level::error, "needs an index for its map, and none is wired to it under the role \"index\"");
    return done.finish(status);
  }
  index_ = static_cast<IndexStore*>(instance);
  map_.use(*index_);
  Snapshot* snapshot = nullptr;
  Status status = index_->snapshot(&snapshot);
  if (status.ok()) {
    Bytes value;
    const std::string key = device_key();
    status = snapshot->get(view(key), &value);
    if (status.ok()) {
      indexed_ = true;
      status = read_device(value, &indexed_uuid_);
    } else if (status.code == Code::not_found) {
      status = kOk;
    }
    snapshot->release();
  }
  const std::size_t arena_bytes = settings_.queue_depth * kSlotBlocks * kBlockBytes;
  if (status.ok()) arena_ = static_cast<std::uint8_t*>(std::aligned_alloc(kBlockBytes, arena_bytes));
  if (status.ok() && arena_ == nullptr) status = {Code::busy, 0, "memory for transfers"};
  if (!status.ok()) {
    life_ = Life::stopped;
    log(Level::error, "the index does not tell which device its map is of; it is left as it is");
    return done.finish(status);
  }
  start_done_ = &done;
  life_request_.kind = Request::Kind::open;
  life_request_.owner = this;
  life_next_ = &BlockStore::read_superblocks;
  life_request_.done = [](Request& request) noexcept {
    auto& self = *static_cast<BlockStore*>(request.owner);
    (self.*self.life_next_)();
  };
  device_->submit(life_request_, !indexed_);
  return Submitted::pending;
}

void BlockStore::start_step(Request::Kind kind, std::uint64_t offset, std::uint8_t* memory,
                            void (BlockStore::*next)() noexcept) noexcept {
  life_request_.kind = kind;
  life_request_.offset = offset;
  life_request_.size = kBlockBytes;
  life_request_.memory = memory;
  life_next_ = next;
  device_->submit(life_request_);
  device_->work();
}

void BlockStore::start_failed(Status status, const std::string& message) noexcept {
  log(Level::error, message);
  start_status_ = status;
  life_next_ = &BlockStore::end_failed_start;
  device_->close(life_request_);
}

// The device goes with the store: it may be in the middle of telling this.
void BlockStore::end_failed_start() noexcept {
  life_ = Life::stopped;
  host_.complete(*start_done_, start_status_, 0);
  if (stop_done_ != nullptr) host_.complete(*stop_done_, kOk, 0);
}

void BlockStore::read_superblocks() noexcept {
  if (!life_request_.status.ok()) {
    std::string message = device_->message();
    if (indexed_ && life_request_.status.code == Code::not_found) {
      message += "; the index of this target has a map of the device " + uuid_text(indexed_uuid_) +
                 ", so that one must be here";
    } else if (life_request_.status.code == Code::not_found) {
      message += "; check the path";
    }
    return start_failed(life_request_.status, message);
  }
  device_->use_memory(MutableBytes(arena_, settings_.queue_depth * kSlotBlocks * kBlockBytes));
  start_step(Request::Kind::read, kSuperblockOffsets[0], arena_, &BlockStore::read_second_superblock);
}

void BlockStore::read_second_superblock() noexcept {
  if (!life_request_.status.ok()) {
    return start_failed(life_request_.status, device_->name() + ": its superblock cannot be read");
  }
  start_step(Request::Kind::read, kSuperblockOffsets[1], arena_ + kBlockBytes, &BlockStore::judge_superblocks);
}

void BlockStore::judge_superblocks() noexcept {
  const std::string& name = device_->name();
  if (!life_request_.status.ok()) {
    return start_failed(life_request_.status, name + ": its superblock cannot be read");
  }
  const Status status = choose_superblock(arena_, arena_ + kBlockBytes, &superblock_);
  if (status.code == Code::refused) {
    return start_failed(status, name + " has format version " + std::to_string(superblock_.version) +
                                    ", this block-device driver reads up to " + std::to_string(kFormatVersion) +
                                    "; start it with the newer Rideau (nothing was changed)");
  }
  if (status.code == Code::not_found) {
    return start_failed(
        {Code::refused, 0, "the device is not formatted"},
        name + " is not formatted for Rideau; if nothing on it is needed: rideau format --device " + name);
  }
  if (!status.ok()) {
    return start_failed(status, name + ": both copies of its superblock are damaged; nothing was changed");
  }
  if (indexed_ && superblock_.uuid != indexed_uuid_) {
    return start_failed({Code::refused, 0, "another device"},
                        name + " is the device " + uuid_text(superblock_.uuid) + ", the map in the index is of " +
                            uuid_text(indexed_uuid_) + "; name the device that belongs to this target");
  }
  if (!indexed_ && superblock_.state == Superblock::State::in_use) {
    return start_failed({Code::refused, 0, "a device in use without its index"},
                        name + " (device " + uuid_text(superblock_.uuid) +
                            ") holds objects whose map is in another index, and this index is empty; bring that index "
                            "back, or give the objects up with: rideau format --force --device " +
                            name);
  }
  if (superblock_.device_bytes > device_->size()) {
    return start_failed({Code::corrupt, 0, "the device has shrunk"},
                        name + " has " + std::to_string(device_->size()) + " bytes and had " +
                            std::to_string(superblock_.device_bytes) + " when it was formatted");
  }
  if (const Status loaded = load_map(); !loaded.ok()) {
    return start_failed(loaded, name + ": the map in the index does not hold together (" +
                                    (loaded.where != nullptr ? loaded.where : "") + "); nothing was changed");
  }
  claim_device();
}

// Finds the blocks that are in use, counts objects, and finds segments whose object's record a crash kept from coming:
// of an object that is not there, or that was small still.
Status BlockStore::load_map() noexcept {
  const std::uint64_t first = kDataOffset / kBlockBytes;
  const std::uint64_t end = device_->size() / kBlockBytes;
  UsedBlocks used({first, end - first});
  blocks_total_ = end - first;
  // Room for what overwriting needs until a commit: some MiB, and no more than an eighth of a small device.
  reserve_ = std::clamp<std::uint64_t>(blocks_total_ / 64, 4 * kTransferBlocks, 16 * kTransferBlocks);
  reserve_ = std::min(reserve_, blocks_total_ / 8);
  Snapshot* objects = nullptr;
  Snapshot* segments = nullptr;
  Status status = index_->snapshot(&objects);
  if (status.ok()) status = index_->snapshot(&segments);
  Bytes object_at;
  Bytes segment_at;
  Bytes value;
  Bytes object_value;
  std::uint64_t damaged = 0;
  const std::string object_start = objects_prefix();
  const std::string segment_start = segments_prefix();
  Status object_found = status.ok() ? objects->seek(view(object_start), &object_at, &object_value) : status;
  Status segment_found = status.ok() ? segments->seek(view(segment_start), &segment_at, &value) : status;
  std::uint64_t mapped = 0;  // blocks of the object at object_at
  bool whole = true;         // every segment of it could be read
  const auto next_object = [&] {
    ++object_count_;
    // A crash between the portions of a commit can leave the count of an object behind its segments.
    ObjectRecord record;
    const bool readable = small_bytes_of(object_value) == 0 && read_object(object_at, object_value, &record).ok();
    if (readable && whole && record.blocks != mapped) {
      record.blocks = mapped;
      const std::string key(object_at.view());
      leftovers_.push_back({key, block_device::object_value(key, record), false});
    }
    mapped = 0;
    whole = true;
    small_blocks_ += blocks_for(small_bytes_of(object_value));
    object_found = objects->next(&object_at, &object_value);
  };
  while (status.ok() && segment_found.ok() && begins_with(segment_at, segment_start)) {
    ObjectId id;
    ObjectId object;
    std::uint64_t number = 0;
    std::vector<Block> blocks;
    Patches patches;
    const bool parsed = parse_segment_key(segment_at, &id, &number);
    while (object_found.ok() && parse_object_key(object_at, &object) && object < id) next_object();
    ObjectRecord record;
    bool owned = object_found.ok() && parse_object_key(object_at, &object) && object == id;
    if (owned && read_object(object_at, object_value, &record).ok()) owned = record.small_bytes == 0;
    if (!parsed || !owned) {
      leftovers_.push_back({std::string(segment_at.view()), {}, true});
    } else if (!read_segment(segment_at, value, &blocks, &patches).ok()) {
      ++damaged;
      whole = false;
    } else {
      map_.note_patched(id, number, patches.bytes());
    }
    for (std::size_t at = 0; owned && at < blocks.size() && status.ok();) {
      if (blocks[at].state == Block::State::none) {
        ++at;
        continue;
      }
      Run run{blocks[at].place, 0};
      while (at < blocks.size() && blocks[at].state != Block::State::none &&
             blocks[at].place == run.place + run.count) {
        ++run.count;
        ++at;
      }
      mapped += run.count;
      if (!used.add(run)) status = {Code::corrupt, 0, "two objects have one block, or one lies outside"};
    }
    segment_found = segments->next(&segment_at, &value);
  }
  while (status.ok() && object_found.ok() && begins_with(object_at, object_start)) next_object();
  for (Snapshot* snapshot : {objects, segments}) {
    if (snapshot != nullptr) snapshot->release();
  }
  for (const Status end_of : {object_found, segment_found}) {
    if (status.ok() && !end_of.ok() && end_of.code != Code::not_found) status = end_of;
  }
  free_.assign(used.unused());
  if (damaged != 0) {
    log(Level::error,
        std::to_string(damaged) + " records of the map are damaged; what they mapped is answered with EIO");
  }
  return status;
}

// The index learns the device before the device says that it is in use: a crash between them leaves both usable.
void BlockStore::claim_device() noexcept {
  learn_index_room();
  if (!indexed_) leftovers_.push_back({device_key(), device_value(superblock_.uuid), false});
  if (!leftovers_.empty()) return begin_commit();
  on_claimed(kOk);
}

void BlockStore::on_claimed(Status status) noexcept {
  if (!status.ok()) {
    return start_failed(status, device_->name() + ": the index cannot be written (" +
                                    (status.where != nullptr ? status.where : "") + ")");
  }
  // A reader that does not know such records would take them for damage.
  const bool newer = settings_.small_object_max != 0 || settings_.deferred_write_max != 0;
  const std::uint32_t version = newer ? kFormatVersion : kFormatPlain;
  if (superblock_.state == Superblock::State::in_use && superblock_.version >= version) return started();
  superblock_.state = Superblock::State::in_use;
  superblock_.version = std::max(superblock_.version, version);
  ++superblock_.sequence;
  claim_copy_ = 1;
  write_claim();
}

// One copy after the other is durable, so that one of them can be read at any time.
void BlockStore::write_claim() noexcept {
  encode_superblock(superblock_, arena_);
  start_step(Request::Kind::write, kSuperblockOffsets[static_cast<std::size_t>(claim_copy_)], arena_,
             &BlockStore::flush_claim);
}

void BlockStore::flush_claim() noexcept {
  if (!life_request_.status.ok()) {
    return start_failed(life_request_.status, device_->name() + ": its superblock cannot be written");
  }
  start_step(Request::Kind::flush, 0, nullptr, &BlockStore::end_claim);
}

void BlockStore::end_claim() noexcept {
  if (!life_request_.status.ok()) {
    return start_failed(life_request_.status, device_->name() + ": its superblock cannot be flushed");
  }
  if (claim_copy_-- == 1) return write_claim();
  started();
}

void BlockStore::started() noexcept {
  for (std::uint32_t i = 0; i < settings_.queue_depth; ++i) {
    free_slots_.push_back(arena_ + i * kSlotBlocks * kBlockBytes);
  }
  const bool stopping = stop_done_ != nullptr;  // stop() came before the start had ended
  life_ = stopping ? Life::stopping : Life::running;
  log(Level::info, "device " + uuid_text(superblock_.uuid) + " at " + device_->name() + ", " +
                       std::to_string(blocks_total_ * kBlockBytes) + " bytes for " + std::to_string(object_count_) +
                       " objects, " + std::to_string(free_.count() * kBlockBytes) + " free");
  host_.complete(*start_done_, stopping ? kClosed : kOk, 0);
  if (stopping) check_stopped();
}

Submitted BlockStore::stop(Completion& done) noexcept {
  if (life_ == Life::made || life_ == Life::stopped) {
    life_ = Life::stopped;
    return done.finish(kOk);
  }
  if (stop_done_ != nullptr) return done.finish({Code::invalid, 0, "second stop of a block-device store"});
  stop_done_ = &done;
  if (life_ == Life::starting) return Submitted::pending;
  life_ = Life::stopping;
  end_waiting_calls();
  work();
  return Submitted::pending;
}

// Ends what has not begun; what the device works on ends by itself.
void BlockStore::end_waiting_calls() noexcept {
  if (timer_ != nullptr) host_.cancel(*timer_);
  working_ = true;  // what is admitted now begins no more
  for (const auto& op : all_ops_) {
    if (op->object != nullptr && op->stage != Op::Stage::working) finish(*op, kClosed, 0);
  }
  ready_.clear();
  retry_waiting(kClosed);
  for (Op* op : std::exchange(crowd_waiters_, {})) finish(*op, kClosed, 0);
  working_ = false;
}

void BlockStore::check_stopped() noexcept {
  if (op_count_ != 0 || commit_ != nullptr || discarding_ != 0 || closing_) return;
  if (timer_ != nullptr) return host_.cancel(*timer_);  // its end comes here again
  const bool unsaved = !map_.clean() || written_ || !released_.empty() || !flush_waiting_.empty();
  if (unsaved && (last_commit_.ok() || !final_commit_)) {
    final_commit_ = true;
    return begin_commit();
  }
  closing_ = true;
  life_request_.owner = this;
  life_next_ = &BlockStore::closed;
  device_->close(life_request_);
}

void BlockStore::closed() noexcept {
  life_ = Life::stopped;
  host_.complete(*stop_done_, last_commit_, 0);
}

void BlockStore::destroy() noexcept {
  device_.reset();
  backend::LentCall::abandon(commit_);
  backend::LentCall::abandon(timer_);
  delete this;
}

}  // namespace rideau::block_device
