// SPDX-License-Identifier: Apache-2.0
// verify: reads what objects hold, so that their store checks it, and tells what cannot be read. Writers go on: each
// portion is read under the lock of its range, as any other read.
#include "plugins/oss/ops/versioned.hpp"

#include <algorithm>
#include <vector>

namespace rideau::oss {

namespace {

constexpr std::uint64_t kPortionBytes = 256u << 10;
constexpr std::uint64_t kUnitBytes = 4096;  // a portion that fails is read again in these, to tell where
constexpr std::uint32_t kListedAtOnce = 64;

class OwnRoom final : public ReadRoom {
 public:
  explicit OwnRoom(std::vector<std::uint8_t>& memory) : memory_(memory) {}
  Task<rpc::ServerCall::Room> take(std::uint64_t size) override {
    part_ = {memory_.data(), size};
    co_return rpc::ServerCall::Room{&part_, 1};
  }

 private:
  std::vector<std::uint8_t>& memory_;
  IoVec part_{};
};

class Verify {
 public:
  Verify(Target& target, const fs::ObjectVerifyRequest& request)
      : target_(target), left_(std::min(request.size, fs::kVerifyBytesMax)), memory_(kPortionBytes) {
    reply_.object = request.object;
    reply_.offset = request.offset;
    reply_.checksums = target.checksums;
  }

  Task<Result<fs::ObjectVerifyReply>> run() {
    // Objects without bytes cost a look too.
    for (std::uint32_t looked_at = 0; looked_at < kListedAtOnce && left_ > 0 && has_room();) {
      if (reply_.offset != fs::kBehindObject) {
        const Status walked = co_await walk_object();
        if (!walked.ok()) co_return walked;
        continue;
      }
      if (next_ == listed_.size()) {
        const Status listed = co_await list_more();
        if (!listed.ok()) co_return listed;
        if (listed_.empty()) {
          reply_.end = true;
          break;
        }
      }
      reply_.object = listed_[next_++];
      reply_.offset = 0;
      ++looked_at;
    }
    co_return std::move(reply_);
  }

 private:
  // For all that one portion can show.
  bool has_room() const noexcept {
    return reply_.damages.size() + kPortionBytes / kUnitBytes + 1 <= fs::kDamagesPerCallMax;
  }

  Task<Status> list_more() {
    fs::ObjectListRequest request;
    request.after = reply_.object;
    request.count = kListedAtOnce;
    Result<fs::ObjectListReply> found = co_await list(target_, request);
    if (!found.ok()) co_return found.status();
    listed_ = std::move(found->objects);
    next_ = 0;
    co_return kOk;
  }

  Task<Status> walk_object() {
    while (left_ > 0 && has_room()) {
      fs::ObjectFindDataRequest wanted;
      wanted.object = reply_.object;
      wanted.offset = reply_.offset;
      const Result<fs::ObjectFindDataReply> run = co_await find_data(target_, wanted);
      if (!run.ok()) {
        // Where its bytes are cannot be told, so nothing of it can be read.
        if (!is_damage(run.status())) co_return run.status();
        add_damage(reply_.offset, 0);
        break;
      }
      if (run->begin >= run->end) break;
      const std::uint64_t size = std::min({run->end - run->begin, kPortionBytes, left_});
      const Status read = co_await read_portion(run->begin, size);
      if (!read.ok()) co_return read;
      reply_.offset = run->begin + size;
      if (left_ == 0 || !has_room()) co_return kOk;
    }
    ++reply_.objects;
    reply_.offset = fs::kBehindObject;
    co_return kOk;
  }

  Task<Status> read_portion(std::uint64_t offset, std::uint64_t size) {
    Status status = co_await read_bytes(offset, size);
    left_ -= size;
    reply_.bytes += size;
    if (!is_damage(status)) co_return status;
    for (std::uint64_t at = offset; at < offset + size;) {
      const std::uint64_t next = std::min(offset + size, (at / kUnitBytes + 1) * kUnitBytes);
      status = co_await read_bytes(at, next - at);
      if (is_damage(status)) {
        add_damage(at, next - at);
      } else if (!status.ok()) {
        co_return status;
      }
      at = next;
    }
    co_return kOk;
  }

  Task<Status> read_bytes(std::uint64_t offset, std::uint64_t size) {
    OwnRoom room(memory_);
    const fs::ObjectReadRequest request{reply_.object, offset, size};
    const Result<ReadDone> done = co_await read(target_, request, size, room);
    co_return done.status();
  }

  static bool is_damage(Status status) noexcept {
    return status.code == Code::corrupt || status.code == Code::io_error;
  }

  void add_damage(std::uint64_t offset, std::uint64_t size) {
    if (!reply_.damages.empty()) {
      fs::ObjectVerifyReply::Damage& before = reply_.damages.back();
      if (before.object == reply_.object && before.size != 0 && before.offset + before.size == offset) {
        before.size += size;
        return;
      }
    }
    reply_.damages.push_back({reply_.object, offset, size});
  }

  Target& target_;
  std::uint64_t left_;  // bytes that may still be read
  std::vector<std::uint8_t> memory_;
  std::vector<ObjectId> listed_;
  std::size_t next_ = 0;
  fs::ObjectVerifyReply reply_;
};

}  // namespace

Task<Result<fs::ObjectVerifyReply>> verify(Target& target, const fs::ObjectVerifyRequest& request) {
  Verify walk(target, request);
  co_return co_await walk.run();
}

Task<> handle_verify(Target& target, rpc::ServerCall& call) {
  return handle_look<fs::ObjectVerifyRequest>(target, call, verify);
}

}  // namespace rideau::oss
