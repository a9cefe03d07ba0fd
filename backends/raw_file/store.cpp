// SPDX-License-Identifier: Apache-2.0
// The calls of the interface, admission of ops, and the loop around the ring.
#include "store.hpp"

#include "../shared/bounds.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/statvfs.h>

namespace rideau::raw_file {

void OpList::push(Op& op) noexcept {
  op.next = nullptr;
  (last != nullptr ? last->next : first) = &op;
  last = &op;
}

Op* OpList::pop() noexcept {
  Op* op = first;
  if (op == nullptr) return nullptr;
  first = op->next;
  if (first == nullptr) last = nullptr;
  op->next = nullptr;
  return op;
}

bool OpList::remove(Op& op) noexcept {
  Op* before = nullptr;
  for (Op* at = first; at != nullptr; before = at, at = at->next) {
    if (at != &op) continue;
    (before != nullptr ? before->next : first) = op.next;
    if (last == &op) last = before;
    op.next = nullptr;
    return true;
  }
  return false;
}

// A write through the kernel's cache beside one around it could leave pages there that know nothing of the other.
bool File::admits(const Op& op) const noexcept {
  if (exclusive || (op.exclusive() && shared != 0)) return false;
  return op.kind != Op::Kind::write || (op.direct ? cached_writes : direct_writes) == 0;
}

void File::admit(const Op& op) noexcept {
  if (op.exclusive()) {
    exclusive = true;
    return;
  }
  ++shared;
  if (op.kind == Op::Kind::write) ++(op.direct ? direct_writes : cached_writes);
}

void File::end(const Op& op) noexcept {
  if (op.exclusive()) {
    exclusive = false;
    return;
  }
  --shared;
  if (op.kind == Op::Kind::write) --(op.direct ? direct_writes : cached_writes);
}

ObjectLimits RawFileStore::limits() const noexcept {
  // The page cache may be written to the device while a write copies into it, so even a sector can tear: one byte.
  return {object_bytes_max_, kIoBytesMax, kPartsMax, 4096, 1};
}

Status RawFileStore::accepts_calls() const noexcept {
  if (life_ != Life::running) return kClosed;
  if (op_count_ >= kCallsMax) return {Code::busy, 0, "too many pending calls of a raw-file store"};
  return kOk;
}

Submitted RawFileStore::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                             Completion& done) noexcept {
  return transfer(Op::Kind::read, id, offset, parts, part_count, done);
}

Submitted RawFileStore::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                              Completion& done) noexcept {
  return transfer(Op::Kind::write, id, offset, parts, part_count, done);
}

Submitted RawFileStore::transfer(Op::Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts,
                                 std::uint32_t part_count, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  std::uint64_t size = 0;
  Status fits = backend::measure_parts(limits(), parts, part_count, &size);
  if (fits.ok() && kind == Op::Kind::write) fits = backend::fits_object(limits(), offset, size);
  if (!fits.ok()) return done.finish(fits);
  Op& op = take_op(kind);
  op.offset = offset;
  op.size = offset < object_bytes_max_ ? size : 0;  // nothing can be read there
  op.direct = kind == Op::Kind::write && can_go_direct(offset, size, parts, part_count);
  op.begin = op.offset;
  op.end = op.offset + op.size;
  op.first_block = op.begin / kBlockBytes;
  op.last_block = op.size != 0 ? (op.end - 1) / kBlockBytes : op.first_block;
  for (std::uint32_t i = 0; i < part_count; ++i) {
    if (parts[i].size != 0) op.parts.push_back(parts[i]);
  }
  if (keeps_sums()) op.whole = op.parts;
  return submit_call(op, id, done);
}

Submitted RawFileStore::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), 0, size); !fits.ok()) return done.finish(fits);
  Op& op = take_op(Op::Kind::truncate);
  op.size = size;
  return submit_call(op, id, done);
}

Submitted RawFileStore::punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Op& op = take_op(Op::Kind::punch);
  op.offset = std::min(offset, object_bytes_max_);
  op.size = std::min(size, object_bytes_max_ - op.offset);
  return submit_call(op, id, done);
}

Submitted RawFileStore::allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), offset, size); !fits.ok()) return done.finish(fits);
  Op& op = take_op(Op::Kind::allocate);
  op.offset = offset;
  op.size = size;
  return submit_call(op, id, done);
}

Submitted RawFileStore::find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Op& op = take_op(Op::Kind::find_data);
  op.offset = std::min(offset, object_bytes_max_);
  op.extent_out = out;
  return submit_call(op, id, done);
}

Submitted RawFileStore::remove(ObjectId id, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  return submit_call(take_op(Op::Kind::remove), id, done);
}

Submitted RawFileStore::stat(ObjectId id, ObjectStat* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Op& op = take_op(Op::Kind::stat);
  op.stat_out = out;
  return submit_call(op, id, done);
}

Submitted RawFileStore::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (capacity == 0) return done.finish(kOk, 0);
  // The job fills memory of its own: it may still run when the store, and with it the caller's buffer, is gone.
  struct Listing {
    bool from_first = true;
    ObjectId after;
    std::vector<ObjectId> found;
  };
  auto listing = std::make_shared<Listing>();
  if (after != nullptr) {
    listing->from_first = false;
    listing->after = *after;
  }
  ++op_count_;
  run_job(
      [listing, capacity, home = home_](std::uint64_t&) {
        return list_objects(home->objects(), listing->from_first ? nullptr : &listing->after, capacity, listing->found);
      },
      [this, listing, out, &done](Status status, std::uint64_t) {
        --op_count_;
        if (status.ok()) std::copy(listing->found.begin(), listing->found.end(), out);
        host_.complete(done, status, status.ok() ? listing->found.size() : 0);
      });
  return Submitted::pending;
}

Status RawFileStore::space(ObjectSpace* out) noexcept {
  if (life_ != Life::running) return kClosed;
  struct statvfs space {};
  if (::fstatvfs(home_->objects(), &space) != 0) return status_of(errno, "statvfs of the store");
  out->bytes_total = static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize;
  out->bytes_free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  out->object_count = object_count_;
  // Some file systems have no table of inodes that could fill.
  out->objects_free = space.f_files != 0 ? space.f_favail : ~0ull;
  out->device = home_->device();
  return kOk;
}

Submitted RawFileStore::lend(ObjectId, std::uint64_t, std::uint64_t, Purpose, ObjectLoan*, Completion& done) noexcept {
  return done.finish({Code::unsupported, 0, "raw-file lends no buffers"});
}

void RawFileStore::give_back(ObjectLoan&) noexcept {}

void RawFileStore::log(Level level, const std::string& message) noexcept {
  const std::string line = "raw-file: " + message;
  host_.log(level, Text(line.data(), line.size()));
}

Op& RawFileStore::take_op(Op::Kind kind) noexcept {
  ++op_count_;
  Op* op = free_ops_.pop();
  if (op == nullptr) op = all_ops_.emplace_back(std::make_unique<Op>()).get();
  op->kind = kind;
  return *op;
}

void RawFileStore::free_op(Op& op) noexcept {
  --op_count_;
  std::vector<IoVec> parts = std::move(op.parts);  // their capacity is worth keeping
  std::vector<IoVec> whole = std::move(op.whole);
  parts.clear();
  whole.clear();
  op = Op{};
  op.parts = std::move(parts);
  op.whole = std::move(whole);
  free_ops_.push(op);
}

Submitted RawFileStore::submit_call(Op& op, ObjectId id, Completion& done) noexcept {
  op.done = &done;
  done.plugin_slot[0] = &op;
  queue(op, id);
  return answer(done);
}

// What finishes before the call returns is stored and not delivered: a completion never comes inside its own call.
Submitted RawFileStore::answer(Completion& done) noexcept {
  current_ = &done;
  current_finished_ = false;
  settle();
  current_ = nullptr;
  return current_finished_ ? Submitted::finished : Submitted::pending;
}

void RawFileStore::deliver(Completion& done, Status status, std::uint64_t value) noexcept {
  done.plugin_slot[0] = nullptr;
  if (&done == current_) {
    done.finish(status, value);
    current_finished_ = true;
    current_ = nullptr;
    return;
  }
  host_.complete(done, status, value);
}

void RawFileStore::queue(Op& op, ObjectId id) noexcept {
  File& file = files_[id];
  file.id = id;
  unlist_idle(file);
  op.file = &file;
  op.stage = Op::Stage::waiting;
  file.waiting.push(op);
  admit(file);
}

bool RawFileStore::may_begin(const File& file, const Op& op) const noexcept {
  if (!file.admits(op)) return false;
  if (!keeps_sums() || !op.transfers()) return true;
  return std::none_of(file.transfers.begin(), file.transfers.end(), [&op](const Op* other) {
    const bool changes = op.kind == Op::Kind::write || other->kind == Op::Kind::write;
    return changes && op.first_block <= other->last_block && other->first_block <= op.last_block;
  });
}

void RawFileStore::admit(File& file) noexcept {
  while (Op* op = file.waiting.first) {
    if (!may_begin(file, *op)) return;
    file.waiting.pop();
    file.admit(*op);
    if (keeps_sums() && op->transfers()) file.transfers.push_back(op);
    op->stage = Op::Stage::ready;
    ready_.push(*op);
  }
}

// Ends an op in whatever stage it is. Delivers last but one: the change is noted before the caller can know of it.
void RawFileStore::finish(Op& op, Status status, std::uint64_t value) noexcept {
  File& file = *op.file;
  const ObjectId id = file.id;
  if (op.stage != Op::Stage::waiting) {
    file.end(op);
    std::erase(file.transfers, &op);
    if (op.stage != Op::Stage::ready) --active_;
  }
  if (op.held) sums_.release(id);
  if (op.done != nullptr) {
    deliver(*op.done, status, value);
  } else if (op.flush != nullptr) {
    flush_part_done(*op.flush, status, op.sync_failed);
  } else {
    on_summed(op, status, value);
  }
  free_op(op);
  admit(file);
  if (file.busy()) return;
  if (file.fd >= 0) {
    list_idle(file);
  } else {
    forget_if_unused(file);
  }
}

void RawFileStore::settle() noexcept {
  if (settling_) return;
  settling_ = true;
  const auto sums_wait = [this] { return sum_commit_ == nullptr && (settle_due_ || !marking_.empty()); };
  do {
    if (sums_wait()) settle_sums();
    while (!ready_.empty() && active_ < settings_.queue_depth) {
      Op& op = *ready_.pop();
      ++active_;
      dispatch(op);
    }
    ring_.send();
  } while (ring_.reap([this](void* data, int result) { on_result(*static_cast<Op*>(data), result); }) ||
           (!ready_.empty() && active_ < settings_.queue_depth) || sums_wait());
  start_naming();
  settling_ = false;
  if (life_ == Life::stopping) check_stopped();
}

void RawFileStore::run_job(Work::Body body, Work::After after) noexcept {
  Work::run_on(host_, works_, std::move(body), [this, after = std::move(after)](Status status, std::uint64_t value) {
    after(status, value);
    settle();
  });
}

void RawFileStore::cancel(Completion& pending) noexcept {
  Op* op = static_cast<Op*>(pending.plugin_slot[0]);
  if (op == nullptr) return;  // a listing or a flush: it ends by itself
  const bool waits = (op->stage == Op::Stage::waiting && op->file->waiting.remove(*op)) ||
                     (op->stage == Op::Stage::ready && ready_.remove(*op));
  if (!waits) return;
  finish(*op, {Code::cancelled, 0, "cancelled before it began"}, 0);
  settle();
}

}  // namespace rideau::raw_file
