// SPDX-License-Identifier: Apache-2.0
// The calls that only look at the index, start and stop.
#include "store.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::index_objects {
namespace {

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

// A snapshot with one object in it.
class Look {
 public:
  Look(IndexStore& index, ObjectId id) : id_(id) {
    status_ = index.snapshot(&snapshot_);
    if (!status_.ok()) return;
    const std::string key = object_key(id);
    Bytes value;
    status_ = snapshot_->get(view(key), &value);
    if (status_.ok()) status_ = read_number(view(key), value, &size_);
  }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;
  ~Look() {
    if (snapshot_ != nullptr) snapshot_->release();
  }
  Status status() const noexcept { return status_; }  // not_found
  std::uint64_t size() const noexcept { return size_; }
  // Of an absent piece: no bytes.
  Status piece(std::uint64_t number, Bytes* bytes) {
    *bytes = {};
    const std::string key = piece_key(id_, number);
    Bytes value;
    const Status found = snapshot_->get(view(key), &value);
    if (found.code == Code::not_found) return kOk;
    return found.ok() ? read_piece(view(key), value, bytes) : found;
  }
  // Number and bytes of the first piece from `number` on; not_found.
  Status next_piece(std::uint64_t* number, Bytes* bytes) {
    const std::string from = piece_key(id_, *number);
    Bytes key;
    Bytes value;
    ObjectId id;
    if (const Status found = snapshot_->seek(view(from), &key, &value); !found.ok()) return found;
    if (!parse_piece_key(key, &id, number) || !(id == id_)) return {Code::not_found, 0, "no more pieces"};
    return read_piece(key, value, bytes);
  }

 private:
  const ObjectId id_;
  Snapshot* snapshot_ = nullptr;
  Status status_{};
  std::uint64_t size_ = 0;
};

}  // namespace

ObjectLimits IndexObjects::limits() const noexcept {
  const std::uint64_t half = std::max<std::uint64_t>(object_bytes_max_ / 2, 1);
  const auto io_bytes_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(kIoBytesMax, half));
  return {object_bytes_max_, io_bytes_max, kPartsMax, 1, static_cast<std::uint32_t>(kPieceBytes)};
}

Submitted IndexObjects::start(Completion& done) noexcept {
  if (life_ != Life::made) return done.finish({Code::invalid, 0, "second start of an index-objects store"});
  life_ = Life::stopped;
  Instance* instance = nullptr;
  if (const Status status = host_.open("index", PluginKind::index_store, &instance); !status.ok()) {
    host_.log(Level::error, "index-objects: needs an index, and none is wired to it under the role \"index\"");
    return done.finish(status);
  }
  index_ = static_cast<IndexStore*>(instance);
  Snapshot* snapshot = nullptr;
  Status status = index_->snapshot(&snapshot);
  if (!status.ok()) return done.finish(status);
  const std::string from = objects_prefix();
  Bytes key;
  Bytes value;
  ObjectId id;
  for (status = snapshot->seek(view(from), &key, &value); status.ok() && parse_object_key(key, &id);
       status = snapshot->next(&key, &value)) {
    ++object_count_;
  }
  snapshot->release();
  if (!status.ok() && status.code != Code::not_found) return done.finish(status);
  life_ = Life::running;
  return done.finish(kOk);
}

Submitted IndexObjects::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                             Completion& done) noexcept {
  std::uint64_t wanted = 0;
  if (const Status status = measure(parts, part_count, &wanted); !status.ok()) return done.finish(status);
  Look look(*index_, id);
  if (!look.status().ok()) return done.finish(look.status());
  const std::uint64_t count = offset < look.size() ? std::min(wanted, look.size() - offset) : 0;
  Bytes piece;
  std::uint64_t loaded = ~0ull;
  std::uint64_t at = offset;
  for (std::uint32_t i = 0; i < part_count && at < offset + count; ++i) {
    auto* to = static_cast<std::uint8_t*>(parts[i].base);
    std::uint64_t room = std::min<std::uint64_t>(parts[i].size, offset + count - at);
    while (room != 0) {
      if (at / kPieceBytes != loaded) {
        loaded = at / kPieceBytes;
        if (const Status status = look.piece(loaded, &piece); !status.ok()) {
          host_.log(Level::error, "index-objects: a piece of an object is damaged; restore the file from a copy");
          return done.finish(status);
        }
      }
      const std::uint64_t inside = at % kPieceBytes;
      const std::uint64_t step = std::min(room, kPieceBytes - inside);
      const std::uint64_t there = inside < piece.size ? std::min<std::uint64_t>(step, piece.size - inside) : 0;
      if (there != 0) std::memcpy(to, piece.data + inside, there);
      std::memset(to + there, 0, step - there);
      to += step;
      at += step;
      room -= step;
    }
  }
  host_.count(Tally::copied_bytes, count);
  return done.finish(kOk, count);
}

Submitted IndexObjects::stat(ObjectId id, ObjectStat* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Look look(*index_, id);
  if (!look.status().ok()) return done.finish(look.status());
  *out = {look.size(), 0};
  Bytes bytes;
  for (std::uint64_t number = 0; look.next_piece(&number, &bytes).ok(); ++number) out->bytes_used += bytes.size;
  return done.finish(kOk);
}

Submitted IndexObjects::find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Look look(*index_, id);
  if (!look.status().ok()) return done.finish(look.status());
  *out = {look.size(), look.size()};
  std::uint64_t number = offset / kPieceBytes;
  for (bool found = false;; ++number) {
    const std::uint64_t expected = number;
    Bytes bytes;
    const Status status = look.next_piece(&number, &bytes);
    if (!status.ok() && status.code != Code::not_found) return done.finish(status);
    if (!status.ok() || (found && number != expected)) break;
    const std::uint64_t end = std::min(look.size(), number * kPieceBytes + bytes.size);
    if (end <= offset) continue;
    if (!found) out->begin = std::max(offset, number * kPieceBytes);
    found = true;
    out->end = end;
    if (bytes.size < kPieceBytes) break;
  }
  return done.finish(kOk);
}

Submitted IndexObjects::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Snapshot* snapshot = nullptr;
  if (const Status status = index_->snapshot(&snapshot); !status.ok()) return done.finish(status);
  const std::string from = after != nullptr ? object_key(*after) : objects_prefix();
  Bytes key;
  Bytes value;
  ObjectId id;
  std::uint32_t count = 0;
  Status status = snapshot->seek(view(from), &key, &value);
  for (; count < capacity && status.ok() && parse_object_key(key, &id); status = snapshot->next(&key, &value)) {
    if (after == nullptr || !(id == *after)) out[count++] = id;
  }
  snapshot->release();
  if (!status.ok() && status.code != Code::not_found) return done.finish(status);
  return done.finish(kOk, count);
}

Status IndexObjects::space(ObjectSpace* out) noexcept {
  if (life_ != Life::running) return kClosed;
  IndexSpace space;
  if (const Status status = index_->space(&space); !status.ok()) return status;
  *out = {};
  out->bytes_total = space.bytes_total;
  out->bytes_free = space.bytes_free;
  out->object_count = object_count_;
  return kOk;
}

Submitted IndexObjects::lend(ObjectId, std::uint64_t, std::uint64_t, Purpose, ObjectLoan*, Completion& done) noexcept {
  return done.finish({Code::unsupported, 0, "index-objects lends no buffers"});
}

void IndexObjects::give_back(ObjectLoan&) noexcept {}

Submitted IndexObjects::allocate(ObjectId, std::uint64_t, std::uint64_t, Completion& done) noexcept {
  return done.finish({Code::unsupported, 0, "index-objects keeps no space"});
}

Submitted IndexObjects::stop(Completion& done) noexcept {
  if (life_ != Life::running) {
    if (life_ == Life::stopping) return done.finish({Code::invalid, 0, "second stop of an index-objects store"});
    life_ = Life::stopped;
    return done.finish(kOk);
  }
  life_ = Life::stopping;
  stop_done_ = &done;
  // What waits behind a change that runs has not begun.
  for (auto& [id, calls] : changes_) {
    while (calls.size() > 1) {
      Call* call = calls.back();
      calls.pop_back();
      --call_count_;
      host_.complete(*call->done, kClosed, 0);
      delete call;
    }
  }
  check_stopped();
  return Submitted::pending;
}

// The index makes everything durable when it stops, which is after this.
void IndexObjects::check_stopped() noexcept {
  if (life_ != Life::stopping || call_count_ != 0) return;
  life_ = Life::stopped;
  host_.complete(*stop_done_, kOk, 0);
}

void IndexObjects::cancel(Completion& pending) noexcept {
  auto* call = static_cast<Call*>(pending.plugin_slot[0]);
  if (call == nullptr || call->kind == Call::Kind::flush) return;
  std::deque<Call*>& calls = changes_.at(call->id);
  if (calls.front() == call) return;
  std::erase(calls, call);
  --call_count_;
  pending.plugin_slot[0] = nullptr;
  host_.complete(pending, {Code::cancelled, 0, "call of an index-objects store"}, 0);
  delete call;
}

void IndexObjects::destroy() noexcept {
  for (const auto& [id, calls] : changes_) {
    for (Call* call : calls) backend::LentCall::abandon(call);
  }
  for (Call* call : flushes_) backend::LentCall::abandon(call);
  delete this;
}

}  // namespace rideau::index_objects
