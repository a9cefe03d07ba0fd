// SPDX-License-Identifier: Apache-2.0
// The calls that change objects, each planned as one batch from what the index holds, and flush.
#include "store.hpp"

#include "../shared/bounds.hpp"

#include <algorithm>

namespace rideau::index_objects {
namespace {

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

// The bytes of a piece as they are; absent: none.
Status load(Snapshot& snapshot, ObjectId id, std::uint64_t number, std::string* to) {
  to->clear();
  const std::string key = piece_key(id, number);
  Bytes value;
  Bytes bytes;
  Status status = snapshot.get(view(key), &value);
  if (status.code == Code::not_found) return kOk;
  if (status.ok()) status = read_piece(view(key), value, &bytes);
  if (status.ok()) to->assign(bytes.view());
  return status;
}

}  // namespace

Status IndexObjects::accepts_calls() const noexcept {
  if (life_ != Life::running) return kClosed;
  if (call_count_ >= kCallsMax) return {Code::busy, 0, "too many pending calls of an index-objects store"};
  return kOk;
}

Status IndexObjects::measure(const IoVec* parts, std::uint32_t part_count, std::uint64_t* size) const noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return status;
  return backend::measure_parts(limits(), parts, part_count, size);
}

Submitted IndexObjects::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                              Completion& done) noexcept {
  std::uint64_t size = 0;
  if (const Status status = measure(parts, part_count, &size); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), offset, size); !fits.ok()) return done.finish(fits);
  auto* call = new Call;
  call->parts.assign(parts, parts + part_count);
  done.plugin_slot[0] = call;
  return queue(Call::Kind::write, id, offset, size, done);
}

Submitted IndexObjects::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), 0, size); !fits.ok()) return done.finish(fits);
  done.plugin_slot[0] = new Call;
  return queue(Call::Kind::truncate, id, 0, size, done);
}

Submitted IndexObjects::punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  offset = std::min(offset, object_bytes_max_);
  done.plugin_slot[0] = new Call;
  return queue(Call::Kind::punch, id, offset, std::min(size, object_bytes_max_ - offset), done);
}

Submitted IndexObjects::remove(ObjectId id, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  done.plugin_slot[0] = new Call;
  return queue(Call::Kind::remove, id, 0, 0, done);
}

Submitted IndexObjects::queue(Call::Kind kind, ObjectId id, std::uint64_t offset, std::uint64_t size,
                              Completion& done) noexcept {
  Call& call = *static_cast<Call*>(done.plugin_slot[0]);
  call.store = this;
  call.kind = kind;
  call.id = id;
  call.offset = offset;
  call.size = size;
  call.done = &done;
  ++call_count_;
  std::deque<Call*>& calls = changes_[id];
  calls.push_back(&call);
  if (calls.size() == 1) run(call);
  return Submitted::pending;
}

void IndexObjects::put(Call& call, std::string key, std::string value) {
  const std::string& own_key = call.texts.emplace_back(std::move(key));
  const std::string& own_value = call.texts.emplace_back(std::move(value));
  call.edits.push_back({Edit::Kind::put, view(own_key), view(own_value)});
}

void IndexObjects::erase(Call& call, std::string key) {
  const std::string& own_key = call.texts.emplace_back(std::move(key));
  call.edits.push_back({Edit::Kind::erase, view(own_key), {}});
}

Status IndexObjects::plan_write(Call& call, Snapshot& snapshot, std::uint64_t size) noexcept {
  std::size_t part = 0;
  std::uint64_t part_used = 0;
  const std::uint64_t end = call.offset + call.size;
  for (std::uint64_t at = call.offset; at < end;) {
    const std::uint64_t number = at / kPieceBytes;
    const std::uint64_t inside = at % kPieceBytes;
    std::uint64_t count = std::min(kPieceBytes - inside, end - at);
    at += count;
    std::string piece;
    if (inside != 0 || count < kPieceBytes) {
      if (const Status status = load(snapshot, call.id, number, &piece); !status.ok()) return status;
    }
    if (piece.size() < inside + count) piece.resize(inside + count, '\0');
    for (std::uint64_t to = inside; count != 0;) {
      const IoVec& from = call.parts[part];
      const std::uint64_t step = std::min<std::uint64_t>(count, from.size - part_used);
      if (step != 0) piece.replace(to, step, static_cast<const char*>(from.base) + part_used, step);
      to += step;
      count -= step;
      part_used += step;
      if (part_used == from.size) {
        ++part;
        part_used = 0;
      }
    }
    std::string key = piece_key(call.id, number);
    std::string value = piece_value(key, piece);
    put(call, std::move(key), std::move(value));
  }
  const std::uint64_t grown = call.size != 0 ? std::max(size, end) : size;
  std::string key = object_key(call.id);
  std::string value = number_value(key, grown);
  put(call, std::move(key), std::move(value));
  host_.count(Tally::copied_bytes, call.size);
  return kOk;
}

// Bytes from `begin` to `end` become zero: whole pieces go, of others a part.
Status IndexObjects::plan_zeros(Call& call, Snapshot& snapshot, std::uint64_t begin, std::uint64_t end) noexcept {
  const std::string from = piece_key(call.id, begin / kPieceBytes);
  std::vector<std::uint64_t> numbers;
  Bytes key;
  Bytes value;
  ObjectId id;
  std::uint64_t number = 0;
  Status status = snapshot.seek(view(from), &key, &value);
  for (; status.ok() && parse_piece_key(key, &id, &number) && id == call.id && number * kPieceBytes < end;
       status = snapshot.next(&key, &value)) {
    numbers.push_back(number);
  }
  if (!status.ok() && status.code != Code::not_found) return status;
  for (const std::uint64_t each : numbers) {
    const std::uint64_t base = each * kPieceBytes;
    std::string piece;
    const bool whole = begin <= base && base + kPieceBytes <= end;
    if (!whole) {
      if (status = load(snapshot, call.id, each, &piece); !status.ok()) return status;
    }
    const std::uint64_t first = std::max(begin, base) - base;
    const std::uint64_t last = std::min(end - base, piece.size());
    if (first < last) piece.replace(first, last - first, last - first, '\0');
    if (last >= piece.size() && first < piece.size()) piece.resize(first);
    std::string own = piece_key(call.id, each);
    if (piece.empty()) {
      erase(call, std::move(own));
    } else {
      std::string bytes = piece_value(own, piece);
      put(call, std::move(own), std::move(bytes));
    }
  }
  return kOk;
}

Status IndexObjects::plan(Call& call) noexcept {
  Snapshot* snapshot = nullptr;
  if (const Status made = index_->snapshot(&snapshot); !made.ok()) return made;
  std::string key = object_key(call.id);
  Bytes value;
  std::uint64_t size = 0;
  Status status = snapshot->get(view(key), &value);
  const bool exists = status.ok();
  if (exists) status = read_number(view(key), value, &size);
  if (status.code == Code::not_found) status = kOk;
  if (status.ok() && !exists && call.kind == Call::Kind::punch) status = {Code::not_found, 0, "no such object"};
  if (status.ok()) {
    switch (call.kind) {
      case Call::Kind::write:
        status = plan_write(call, *snapshot, size);
        call.objects_more = exists ? 0 : 1;
        break;
      case Call::Kind::truncate:
        if (call.size < size) status = plan_zeros(call, *snapshot, call.size, object_bytes_max_ + kPieceBytes);
        put(call, key, number_value(key, call.size));
        call.objects_more = exists ? 0 : 1;
        break;
      case Call::Kind::punch:
        if (call.size != 0) status = plan_zeros(call, *snapshot, call.offset, call.offset + call.size);
        break;
      case Call::Kind::remove:
        if (exists) status = plan_zeros(call, *snapshot, 0, object_bytes_max_ + kPieceBytes);
        if (exists) erase(call, key);
        call.objects_more = exists ? -1 : 0;
        break;
      case Call::Kind::flush:
        break;
    }
  }
  snapshot->release();
  return status;
}

void IndexObjects::run(Call& call) noexcept {
  if (const Status status = plan(call); !status.ok() || call.edits.empty()) return end(call, status);
  const auto erases = std::count_if(call.edits.begin(), call.edits.end(),
                                    [](const Edit& edit) { return edit.kind == Edit::Kind::erase; });
  call.batch.edits = call.edits.data();
  call.batch.edit_count = static_cast<std::uint32_t>(call.edits.size());
  call.batch.frees_space = 2 * static_cast<std::size_t>(erases) > call.edits.size();
  call.resume = [](Completion* completion) noexcept {
    auto* own = static_cast<Call*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    own->store->on_committed(*own);
  };
  call.lent = true;
  if (index_->commit(&call.batch, 1, Durability::eventual, call) == Submitted::pending) return;
  call.lent = false;
  on_committed(call);
}

void IndexObjects::on_committed(Call& call) noexcept {
  Status status = call.status;
  if (status.ok()) status = call.batch.status;
  if (status.ok()) {
    ++changed_;
    object_count_ += static_cast<std::uint64_t>(static_cast<std::int64_t>(call.objects_more));
  }
  end(call, status);
}

void IndexObjects::end(Call& call, Status status) noexcept {
  call.done->plugin_slot[0] = nullptr;
  host_.complete(*call.done, status, status.ok() && call.kind == Call::Kind::write ? call.size : 0);
  const auto calls = changes_.find(call.id);
  calls->second.pop_front();
  --call_count_;
  delete &call;
  if (calls->second.empty()) {
    changes_.erase(calls);
  } else {
    run(*calls->second.front());
  }
  check_stopped();
}

// Batches are durable in order, so one durable batch is enough for all before it.
Submitted IndexObjects::flush(const ObjectId*, std::uint32_t, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (durable_ == changed_) return done.finish(kOk);
  auto* call = new Call;
  call->store = this;
  call->kind = Call::Kind::flush;
  call->size = changed_;
  call->done = &done;
  done.plugin_slot[0] = call;
  put(*call, mark_key(), number_value(mark_key(), changed_));
  call->batch.edits = call->edits.data();
  call->batch.edit_count = 1;
  call->resume = [](Completion* completion) noexcept {
    auto* own = static_cast<Call*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    own->store->on_flushed(*own);
  };
  flushes_.insert(call);
  ++call_count_;
  call->lent = true;
  if (index_->commit(&call->batch, 1, Durability::durable, *call) == Submitted::finished) {
    call->lent = false;
    on_flushed(*call);
  }
  return Submitted::pending;
}

void IndexObjects::on_flushed(Call& call) noexcept {
  Status status = call.status;
  if (status.ok()) status = call.batch.status;
  if (status.ok()) durable_ = std::max(durable_, call.size);
  call.done->plugin_slot[0] = nullptr;
  host_.complete(*call.done, status, 0);
  flushes_.erase(&call);
  --call_count_;
  delete &call;
  check_stopped();
}

}  // namespace rideau::index_objects
