// SPDX-License-Identifier: Apache-2.0
// Copies an object to another target, holes left out, and bounds how many bytes a second all copies take together.
#pragma once

#include "framework/base/result.hpp"
#include "plugins/fs/object_channel.hpp"
#include "plugins/mds/rest.hpp"

#include <cstdint>

namespace rideau::mds {

class Pace {
 public:
  Pace(Runtime& runtime, Rest& rest) : runtime_(runtime), rest_(rest) {}

  void set_rate(std::uint64_t bytes_per_second) noexcept { rate_ = bytes_per_second; }  // 0: no bound
  // Waits until so many bytes have their turn.
  Task<> take(std::uint64_t bytes);
  // They were taken out of turn: others wait for them.
  void charge(std::uint64_t bytes);
  // How long so many bytes take.
  std::uint64_t time_ns(std::uint64_t bytes) const noexcept;

 private:
  Runtime& runtime_;
  Rest& rest_;
  std::uint64_t rate_ = 0;
  std::uint64_t next_ns_ = 0;
};

struct ObjectCopy {
  fs::ObjectChannel* from = nullptr;
  ObjectId source{};
  fs::ObjectChannel* to = nullptr;
  ObjectId copy{};
  // Of changes of the copy, growing from one attempt to the next. After the first one the copy may have bytes of an
  // earlier attempt.
  std::uint64_t version = 0;
  bool first = true;
};

// The copy has the bytes of the source, and its size. With `waits` it keeps the pace, else it goes at once and is
// charged for. *bytes grows by what was copied. closed: stopped meanwhile.
Task<Status> copy_object(Rest& rest, Pace& pace, ObjectCopy what, bool waits, std::uint64_t* bytes);

}  // namespace rideau::mds
