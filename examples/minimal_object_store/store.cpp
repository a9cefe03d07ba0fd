// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <algorithm>
#include <vector>

namespace minimal {

using rideau::Code;
using rideau::Completion;
using rideau::IoVec;
using rideau::ObjectId;
using rideau::Status;
using rideau::Submitted;

namespace {

constexpr std::uint64_t kObjectBytesMax = 1ull << 40;
constexpr std::uint32_t kIoBytesMax = 4u << 20;
constexpr std::uint32_t kPartsMax = 1024;    // of preadv and pwritev
constexpr std::uint32_t kPendingMax = 4096;  // calls; more are answered with busy

constexpr Status kUnsupported{Code::unsupported, 0, "not a capability of this store"};

}  // namespace

Submitted MinimalObjectStore::start(Completion& done) noexcept {
  folder_ = std::make_shared<Folder>();
  const auto open = [folder = folder_, path = path_](std::uint64_t*) { return folder->open(path); };
  Work::begin(host_, &works_, open, [this, &done](Status status, std::uint64_t) {
    running_ = status.ok() && stopping_ == nullptr;
    if (!status.ok()) {
      // The host adds the name of the instance, and shows the last complaint when a start fails.
      const std::string line = path_ + ": cannot " + status.where;
      host_.log(rideau::Level::error, std::string_view(line));
      folder_.reset();
    }
    host_.complete(done, status, 0);
    ended();
  });
  pending_ = 1;
  return Submitted::pending;
}

Submitted MinimalObjectStore::stop(Completion& done) noexcept {
  running_ = false;
  if (pending_ == 0) {
    folder_.reset();
    return done.finish(rideau::kOk);
  }
  stopping_ = &done;
  return Submitted::pending;
}

void MinimalObjectStore::ended() {
  if (--pending_ != 0 || stopping_ == nullptr) return;
  folder_.reset();
  host_.complete(*stopping_, rideau::kOk, 0);
}

// Buffers are lent until the completion, so the job may use them where they are.
Submitted MinimalObjectStore::begin(Completion& done, Work::Body body, Work::After before_the_answer) {
  if (!running_) return done.finish({Code::closed, 0, "the store is not running"});
  if (pending_ == kPendingMax) return done.finish({Code::busy, 0, "too many pending calls"});
  ++pending_;
  Work::begin(host_, &works_, std::move(body),
              [this, &done, first = std::move(before_the_answer)](Status status, std::uint64_t value) {
                if (first) first(status, value);
                host_.complete(done, status, value);
                ended();
              });
  return Submitted::pending;
}

rideau::ObjectLimits MinimalObjectStore::limits() const noexcept {
  return {.object_bytes_max = kObjectBytesMax,
          .io_bytes_max = kIoBytesMax,
          .parts_max = kPartsMax,
          .alignment = 4096,
          .atomic_bytes = 1};
}

Status MinimalObjectStore::judge(const IoVec* parts, std::uint32_t part_count, std::uint64_t offset,
                                 bool writes) const {
  if (part_count > kPartsMax) return {Code::too_large, 0, "too many parts"};
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < part_count; ++i) {
    if (parts[i].size > kIoBytesMax - size) return {Code::too_large, 0, "too many bytes for one call"};
    size += parts[i].size;
  }
  if (writes && (offset > kObjectBytesMax || size > kObjectBytesMax - offset)) {
    return {Code::too_large, 0, "beyond the largest object"};
  }
  return rideau::kOk;
}

Submitted MinimalObjectStore::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                                   Completion& done) noexcept {
  if (const Status judged = judge(parts, part_count, offset, false); !judged.ok()) return done.finish(judged);
  // The list of parts is lent with them, but what is left of it changes as bytes arrive.
  std::vector<IoVec> room(parts, parts + part_count);
  offset = std::min(offset, kObjectBytesMax);  // nothing is there
  return begin(done, [folder = folder_, id, offset, room](std::uint64_t* bytes) {
    return folder->read(id, offset, room, bytes);
  });
}

Submitted MinimalObjectStore::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                                    Completion& done) noexcept {
  if (const Status judged = judge(parts, part_count, offset, true); !judged.ok()) return done.finish(judged);
  std::vector<IoVec> data(parts, parts + part_count);
  return begin(done, [folder = folder_, id, offset, data](std::uint64_t* bytes) {
    return folder->write(id, offset, data, bytes);
  });
}

Submitted MinimalObjectStore::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  if (size > kObjectBytesMax) return done.finish({Code::too_large, 0, "beyond the largest object"});
  return begin(done, [folder = folder_, id, size](std::uint64_t*) { return folder->truncate(id, size); });
}

Submitted MinimalObjectStore::remove(ObjectId id, Completion& done) noexcept {
  return begin(done, [folder = folder_, id](std::uint64_t*) { return folder->remove(id); });
}

// What a job finds out waits in memory of its own: after a power cut nobody may write to the caller's.
Submitted MinimalObjectStore::stat(ObjectId id, rideau::ObjectStat* out, Completion& done) noexcept {
  auto found = std::make_shared<rideau::ObjectStat>();
  return begin(
      done, [folder = folder_, id, found](std::uint64_t*) { return folder->stat(id, found.get()); },
      [found, out](Status status, std::uint64_t) {
        if (status.ok()) *out = *found;
      });
}

Submitted MinimalObjectStore::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity,
                                   Completion& done) noexcept {
  auto found = std::make_shared<std::vector<ObjectId>>();
  const bool from_first = after == nullptr;
  const ObjectId last = from_first ? ObjectId{} : *after;
  return begin(
      done,
      [folder = folder_, from_first, last, capacity, found](std::uint64_t* count) {
        const Status status = folder->list(from_first ? nullptr : &last, capacity, found.get());
        *count = found->size();
        return status;
      },
      [found, out](Status status, std::uint64_t) {
        if (status.ok()) std::copy(found->begin(), found->end(), out);
      });
}

Submitted MinimalObjectStore::flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept {
  std::vector<ObjectId> wanted(ids, ids + count);
  return begin(done, [folder = folder_, wanted](std::uint64_t*) { return folder->flush(wanted); });
}

Status MinimalObjectStore::space(rideau::ObjectSpace* out) noexcept {
  if (!running_) return {Code::closed, 0, "the store is not running"};
  return folder_->space(out);
}

Submitted MinimalObjectStore::punch(ObjectId, std::uint64_t, std::uint64_t, Completion& done) noexcept {
  return done.finish(kUnsupported);
}
Submitted MinimalObjectStore::lend(ObjectId, std::uint64_t, std::uint64_t, rideau::Purpose, rideau::ObjectLoan*,
                                   Completion& done) noexcept {
  return done.finish(kUnsupported);
}
Submitted MinimalObjectStore::allocate(ObjectId, std::uint64_t, std::uint64_t, Completion& done) noexcept {
  return done.finish(kUnsupported);
}
Submitted MinimalObjectStore::find_data(ObjectId, std::uint64_t, rideau::ObjectExtent*, Completion& done) noexcept {
  return done.finish(kUnsupported);
}

}  // namespace minimal
