// SPDX-License-Identifier: Apache-2.0
// One connection as a Link. Everything is copied once into a buffer on its way out and once out of one on its way in:
// plain, and bounded. A frame is a header, a head and a body.
#pragma once

#include <rideau/driver/callback.hpp>
#include <rideau/driver/regions.hpp>
#include <rideau/transport.hpp>

#include <deque>
#include <map>
#include <vector>

namespace minimal {

class MinimalTransport;

constexpr std::uint32_t kHeadBytesMax = 1 << 20;
constexpr std::uint32_t kEagerBytesMax = 64 << 10;
constexpr std::uint32_t kBulkBytesMax = 16 << 20;
constexpr std::uint32_t kPartsMax = 1024;
constexpr std::uint32_t kRegionsMax = 4096;
constexpr std::uint32_t kPullsMax = 1024;        // of one link and direction
constexpr std::uint32_t kWaitingMax = 16384;     // calls whose bytes are not copied yet
constexpr std::uint64_t kBufferBytes = 1 << 20;  // copied and not written: beyond it, calls wait
constexpr std::uint64_t kHoldBytes = 8 << 20;    // of heads that are lent: beyond it, reading rests

enum class FrameType : std::uint32_t { message = 1, push = 2, pull = 3, answer = 4 };

struct FrameHeader {
  std::uint32_t magic = 0x314e494d;
  FrameType type = FrameType::message;
  std::uint32_t head_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint64_t tag = 0;  // names a pull
  rideau::driver::KeyBytes key{};
  std::uint64_t offset = 0;  // in the region
  std::uint64_t size = 0;    // of a pull
  std::int64_t code = 0;     // of an answer
};

// What a pending completion of the host points to, for cancel().
class Cancellable {
 public:
  virtual void cancel() noexcept = 0;

 protected:
  ~Cancellable() = default;
};

class MinimalLink final : public rideau::Link {
 public:
  MinimalLink(MinimalTransport& transport, int fd);
  MinimalLink(const MinimalLink&) = delete;
  MinimalLink& operator=(const MinimalLink&) = delete;
  ~MinimalLink();

  rideau::Submitted send(const rideau::IoVec* head, std::uint32_t head_parts, const rideau::IoVec* eager,
                         std::uint32_t eager_parts, rideau::Completion& done) noexcept override;
  void give_back(rideau::MessageLoan loan) noexcept override;
  rideau::Status lend(const rideau::IoVec* parts, std::uint32_t part_count, std::uint32_t access, rideau::Region** out,
                      rideau::RegionKey* key) noexcept override;
  rideau::Submitted reclaim(rideau::Region& region, rideau::Completion& done) noexcept override;
  rideau::Submitted pull(const rideau::RegionKey& key, std::uint64_t remote_offset, const rideau::IoVec* local,
                         std::uint32_t parts, rideau::Completion& done) noexcept override;
  rideau::Submitted push(const rideau::RegionKey& key, std::uint64_t remote_offset, const rideau::IoVec* local,
                         std::uint32_t parts, rideau::Completion& done) noexcept override;
  void close() noexcept override;
  void release() noexcept override;

  void begin(rideau::LinkEvents* events) noexcept;  // null: nobody wants it
  bool quiet() const noexcept;

 private:
  enum class State { open, dying, dead };

  // A frame whose bytes still lie with their owner.
  struct Waiting final : Cancellable {
    void cancel() noexcept override;
    MinimalLink* link = nullptr;
    FrameHeader header{};
    rideau::driver::PartCursor head{};
    rideau::driver::PartCursor body{};
    rideau::driver::LentRegion* region = nullptr;  // of an answer
    rideau::Completion* done = nullptr;
  };
  struct Pull final : Cancellable {
    void cancel() noexcept override;
    MinimalLink* link = nullptr;
    rideau::driver::PartCursor local{};
    std::uint64_t size = 0;
    rideau::Completion* done = nullptr;  // null: cancelled
  };

  rideau::Submitted submit(Waiting frame, rideau::Completion& done) noexcept;
  void copy(Waiting& frame) noexcept;
  void copy_waiting() noexcept;
  void answer(const FrameHeader& request) noexcept;
  void flush() noexcept;
  void schedule() noexcept;
  void on_turn() noexcept;
  void on_writable() noexcept;
  void on_readable() noexcept;
  void on_dead() noexcept;
  void wait_readable() noexcept;
  void parse() noexcept;
  bool take(const FrameHeader& header, const std::uint8_t* bytes) noexcept;
  void take_message(const FrameHeader& header, const std::uint8_t* bytes) noexcept;
  bool take_answer(const FrameHeader& header, const std::uint8_t* bytes) noexcept;
  void fail(rideau::Status why) noexcept;
  void complete(rideau::Completion*& done, rideau::Status status, std::uint64_t value) noexcept;
  void check_gone() noexcept;

  MinimalTransport& transport_;
  int fd_;
  rideau::LinkEvents* events_ = nullptr;
  State state_ = State::open;
  rideau::Status why_{};
  bool released_ = false;
  bool blocked_ = false;  // the socket takes no more
  bool paused_ = false;   // too much is lent to the host
  std::vector<std::uint8_t> out_;
  std::size_t written_ = 0;
  std::deque<Waiting*> waiting_;
  std::vector<std::uint8_t> in_;
  std::size_t parsed_ = 0;
  std::uint32_t loans_ = 0;
  std::uint64_t loan_bytes_ = 0;
  std::uint32_t answers_ = 0;
  std::uint64_t next_tag_ = 1;
  std::map<std::uint64_t, Pull> pulls_;
  rideau::driver::RegionTable regions_{kRegionsMax};
  rideau::driver::Callback<MinimalLink, &MinimalLink::on_turn> turn_{*this};
  rideau::driver::Callback<MinimalLink, &MinimalLink::on_writable> writable_{*this};
  rideau::driver::Callback<MinimalLink, &MinimalLink::on_readable> readable_{*this};
  rideau::driver::Callback<MinimalLink, &MinimalLink::on_dead> dead_{*this};
};

}  // namespace minimal
