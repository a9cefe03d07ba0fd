// SPDX-License-Identifier: Apache-2.0
// An object target in memory for tests of the data path: random delays, failures on demand, and a strict eye on its
// client: bytes must not change while they are sent, requests that overlap must not be in flight together, and no grant
// may be used that was not given.
#pragma once

#include "framework/runtime/await.hpp"
#include "plugins/fs/object_channel.hpp"
#include "plugins/fs/object_parts.hpp"
#include "tests/sim/sim_random.hpp"

#include <algorithm>
#include <cerrno>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace rideau::client {

class FakeTarget final : public fs::ObjectChannel {
 public:
  FakeTarget(Runtime& runtime, std::uint64_t seed) : runtime_(runtime), random_(seed) {}

  std::map<ObjectId, std::vector<std::uint8_t>> objects;
  std::map<ObjectId, std::vector<std::uint8_t>> durable;  // as the last sync left them
  std::map<ObjectId, std::uint64_t> versions;
  std::uint64_t grant_max = ~0ull;  // of one reply
  std::uint64_t space = ~0ull;      // bytes that can still be written
  std::uint64_t delay_ns_max = 2 * kMillisecond;
  Status read_failure{};   // what reads and syncs answer
  Status write_failure{};  // what writes answer, and nothing is written
  Status cut_failure{};    // what truncates answer, though they have happened
  std::string complaint;   // what the client did wrong first
  std::uint64_t granted = 0;
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t syncs = 0;
  std::uint64_t bytes_written_max = 0;  // of one request
  std::uint32_t writes_in_flight_max = 0;

  // What no sync made durable is gone, and a new server is there at once. Calls on their way are carried out by it, or
  // were answered by the old one: nobody can tell.
  void lose_what_is_not_durable() {
    objects = durable;
    granted = 0;
    ++restarts_;
  }

  Task<Result<std::uint64_t>> read(fs::ObjectReadRequest request, const IoVec* room, std::uint32_t parts) override {
    ++reads;
    if (fs::parts_bytes(room, parts) != request.size) complain("room of another size than the read");
    co_await delay();
    if (!read_failure.ok()) co_return read_failure;
    const std::vector<std::uint8_t>& bytes = objects[request.object];
    const std::uint64_t begin = std::min<std::uint64_t>(request.offset, bytes.size());
    const std::uint64_t size = std::min<std::uint64_t>(request.size, bytes.size() - begin);
    const std::vector<std::uint8_t> answer(bytes.begin() + static_cast<long>(begin),
                                           bytes.begin() + static_cast<long>(begin + size));
    co_await delay();
    fs::PartsCursor(room, parts).copy_in(answer.data(), size);
    co_return size;
  }

  Task<Result<fs::ObjectWriteReply>> write(fs::ObjectWriteRequest request, const IoVec* data,
                                           std::uint32_t parts) override {
    ++writes;
    std::vector<std::uint8_t> sent(fs::parts_bytes(data, parts));
    fs::PartsCursor(data, parts).copy_out(sent.data(), sent.size());
    bytes_written_max = std::max<std::uint64_t>(bytes_written_max, sent.size());
    if (!write_failure.ok()) co_return write_failure;
    if (request.grant_used > granted) complain("used more grant than it had");
    granted -= std::min(granted, request.grant_used);
    const InFlight own{request.object, request.offset, request.offset + sent.size()};
    for (const InFlight& other : in_flight_) {
      if (other.object == own.object && other.begin < own.end && own.begin < other.end) complain("overlapping writes");
    }
    const auto place = in_flight_.insert(in_flight_.end(), own);
    writes_in_flight_max = std::max(writes_in_flight_max, static_cast<std::uint32_t>(in_flight_.size()));
    fs::ObjectWriteReply reply;
    bool fits = true;
    std::uint64_t before = 0;
    do {
      before = restarts_;
      co_await delay();
      std::vector<std::uint8_t> now(sent.size());
      fs::PartsCursor(data, parts).copy_out(now.data(), now.size());
      if (now != sent) complain("bytes changed while they were sent");
      fits = sent.size() <= space;
      if (fits) {
        space -= sent.size();
        std::vector<std::uint8_t>& bytes = objects[request.object];
        if (bytes.size() < own.end) bytes.resize(own.end);
        std::copy(sent.begin(), sent.end(), bytes.begin() + static_cast<long>(own.begin));
        reply.grant = std::min(request.grant_wanted, grant_max);
        reply.bytes_used = (bytes.size() + 4095) / 4096 * 4096;
        granted += reply.grant;
      }
      co_await delay();
    } while (carried_out_again(before));
    in_flight_.erase(place);
    if (!fits) co_return Status{Code::no_space, ENOSPC, "write"};
    co_return reply;
  }

  Task<Status> truncate(fs::ObjectTruncateRequest request, std::uint64_t* seen) override {
    co_await delay();
    const Status newer = take_version(request.object, request.version, seen);
    if (!newer.ok()) co_return newer;
    std::uint64_t before = 0;
    do {
      before = restarts_;
      if (request.size > 0 || objects.contains(request.object)) objects[request.object].resize(request.size);
      co_await delay();
    } while (carried_out_again(before));
    co_return cut_failure;
  }

  Task<Status> punch(fs::ObjectPunchRequest request, std::uint64_t* seen) override {
    co_await delay();
    const Status newer = take_version(request.object, request.version, seen);
    if (!newer.ok()) co_return newer;
    zero(request.object, request.offset, request.size);
    co_await delay();
    co_return kOk;
  }

  // Space is what writes take: what was allocated before is not counted again, and bytes are not counted twice.
  Task<Status> allocate(fs::ObjectAllocateRequest request, std::uint64_t* seen) override {
    co_await delay();
    if (request.size > space) co_return Status{Code::no_space, ENOSPC, "allocate"};
    const Status newer = take_version(request.object, request.version, seen);
    if (!newer.ok()) co_return newer;
    objects[request.object];
    if (request.zero) zero(request.object, request.offset, request.size);
    co_await delay();
    co_return kOk;
  }

  // A hole is what is zero.
  Task<Result<fs::ObjectFindDataReply>> find_data(fs::ObjectFindDataRequest request) override {
    co_await delay();
    const std::vector<std::uint8_t>& bytes = objects[request.object];
    const auto start = bytes.begin() + static_cast<long>(std::min<std::uint64_t>(request.offset, bytes.size()));
    const auto begin = std::find_if(start, bytes.end(), [](std::uint8_t byte) { return byte != 0; });
    const auto end = std::find(begin, bytes.end(), 0);
    fs::ObjectFindDataReply reply;
    reply.begin = static_cast<std::uint64_t>(begin - bytes.begin());
    reply.end = static_cast<std::uint64_t>(end - bytes.begin());
    co_return reply;
  }

  Task<Result<fs::ObjectStatReply>> stat(fs::ObjectStatRequest request) override {
    co_await delay();
    fs::ObjectStatReply reply;
    for (const ObjectId id : request.objects)
      reply.items.push_back({objects[id].size(), (objects[id].size() + 4095) / 4096 * 4096});
    co_return reply;
  }

  Task<Status> sync(fs::ObjectSyncRequest request) override {
    ++syncs;
    std::uint64_t before = 0;
    do {
      before = restarts_;
      if (request.objects.empty()) durable = objects;
      for (const ObjectId& id : request.objects) {
        if (objects.contains(id)) durable[id] = objects[id];
      }
      co_await delay();
    } while (carried_out_again(before));
    co_return read_failure;
  }
  Task<Result<fs::ObjectStatFileSystemReply>> stat_file_system() override {
    co_await delay();
    co_return fs::ObjectStatFileSystemReply{space, space, objects.size()};
  }
  std::int64_t time_offset_ns() const noexcept override { return 0; }

 private:
  struct InFlight {
    ObjectId object;
    std::uint64_t begin;
    std::uint64_t end;
  };
  void complain(const char* what) {
    if (complaint.empty()) complaint = what;
  }
  Status take_version(ObjectId id, std::uint64_t wanted, std::uint64_t* seen) {
    std::uint64_t& version = versions[id];
    const bool newer = wanted > version;
    if (newer) version = wanted;
    *seen = version;
    return newer ? kOk : Status{Code::check_failed, 0, "an old version"};
  }
  void zero(ObjectId id, std::uint64_t offset, std::uint64_t size) {
    const auto found = objects.find(id);
    if (found == objects.end()) return;
    std::vector<std::uint8_t>& bytes = found->second;
    const std::uint64_t begin = std::min<std::uint64_t>(offset, bytes.size());
    const std::uint64_t end = begin + std::min<std::uint64_t>(size, bytes.size() - begin);
    std::fill(bytes.begin() + static_cast<long>(begin), bytes.begin() + static_cast<long>(end), std::uint8_t{0});
  }
  bool carried_out_again(std::uint64_t restarts_before) { return restarts_ != restarts_before && random_.chance(50); }
  Task<> delay() {
    if (random_.chance(70)) co_await sleep_for(runtime_, random_.below(delay_ns_max) + 1);
  }
  Runtime& runtime_;
  sim::Random random_;
  std::list<InFlight> in_flight_;
  std::uint64_t restarts_ = 0;
};

}  // namespace rideau::client
