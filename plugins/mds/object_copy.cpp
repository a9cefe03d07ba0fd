// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/object_copy.hpp"

#include <algorithm>
#include <memory>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr std::uint64_t kPieceBytes = 1u << 20;
constexpr Status kStopped{Code::closed, 0, "the target stops"};

struct Piece {
  std::unique_ptr<std::uint8_t[]> memory = std::make_unique<std::uint8_t[]>(kPieceBytes);
};

// [begin, end) of the source. What is not there is a hole.
Task<Status> copy_range(Rest& rest, Pace& pace, const ObjectCopy& what, bool waits, std::uint64_t begin,
                        std::uint64_t end, Piece& piece, std::uint64_t* bytes, std::uint64_t* written_end) {
  while (begin < end) {
    const std::uint64_t size = std::min(end - begin, kPieceBytes);
    if (waits) {
      co_await pace.take(size);
    } else {
      pace.charge(size);
    }
    if (rest.stopped()) co_return kStopped;
    const IoVec room{piece.memory.get(), size};
    const ObjectReadRequest read{what.source, begin, size};
    const Result<std::uint64_t> got = co_await what.from->read(read, &room, 1);
    if (!got.ok()) co_return got.status();
    if (*got == 0) break;
    const IoVec data{piece.memory.get(), *got};
    const ObjectWriteRequest write{what.copy, begin, 0, 0};
    const Result<ObjectWriteReply> written = co_await what.to->write(write, &data, 1);
    if (!written.ok()) co_return written.status();
    *bytes += *got;
    begin += *got;
    *written_end = begin;
  }
  co_return kOk;
}

// No version of before can be greater: a file that moves has new objects.
Task<Status> cut(const ObjectCopy& what, std::uint64_t size, std::uint64_t version) {
  std::uint64_t seen = 0;
  const ObjectTruncateRequest request{what.copy, size, version};
  const Status done = co_await what.to->truncate(request, &seen);
  co_return done;
}

}  // namespace

Task<> Pace::take(std::uint64_t bytes) {
  const std::uint64_t now = runtime_.now_ns();
  const std::uint64_t turn = std::max(now, next_ns_);
  next_ns_ = turn + time_ns(bytes);
  if (turn > now) co_await rest_.sleep(turn - now);
}

void Pace::charge(std::uint64_t bytes) { next_ns_ = std::max(runtime_.now_ns(), next_ns_) + time_ns(bytes); }

std::uint64_t Pace::time_ns(std::uint64_t bytes) const noexcept {
  if (rate_ == 0) return 0;
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bytes) * kSecond / rate_);
}

Task<Status> copy_object(Rest& rest, Pace& pace, ObjectCopy what, bool waits, std::uint64_t* bytes) {
  ObjectStatRequest request;
  request.objects.push_back(what.source);
  const Result<ObjectStatReply> stat = co_await what.from->stat(std::move(request));
  if (!stat.ok()) co_return stat.status();
  const ObjectStatReply::Item object = stat->items.front();
  if (!what.first) {
    const Status emptied = co_await cut(what, 0, what.version);
    if (!emptied.ok()) co_return emptied;
  }
  if (object.size == 0) co_return kOk;
  Piece piece;
  std::uint64_t end = 0;
  std::uint64_t written_end = 0;
  while (end < object.size) {
    if (rest.stopped()) co_return kStopped;
    const ObjectFindDataRequest find{what.source, end};
    const Result<ObjectFindDataReply> data = co_await what.from->find_data(find);
    if (!data.ok()) co_return data.status();
    if (data->begin == data->end) break;
    const std::uint64_t begin = std::max(data->begin, end);
    end = std::min(data->end, object.size);
    if (begin >= end) break;
    const Status copied = co_await copy_range(rest, pace, what, waits, begin, end, piece, bytes, &written_end);
    if (!copied.ok()) co_return copied;
  }
  if (written_end == object.size) co_return kOk;
  // What follows the last bytes is a hole.
  const Status grown = co_await cut(what, object.size, what.version + 1);
  co_return grown;
}

}  // namespace rideau::mds
