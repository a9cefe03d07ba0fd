// SPDX-License-Identifier: Apache-2.0
// Orders calls that overlap on one object: first come first served, ranges that only look share, everything else waits.
#pragma once

#include "framework/runtime/sync.hpp"
#include "rideau/object_store.hpp"

#include <cstdint>
#include <list>
#include <map>

namespace rideau::oss {

class ObjectLocks {
 public:
  // One range, held or waited for. Lives in the frame of the call that holds it.
  class Hold {
   public:
    Hold(Runtime& runtime, ObjectId id, std::uint64_t begin, std::uint64_t end, bool exclusive)
        : id_(id), begin_(begin), end_(end), exclusive_(exclusive), granted_(runtime) {}

   private:
    friend class ObjectLocks;
    bool conflicts(const Hold& other) const noexcept {
      return begin_ < other.end_ && other.begin_ < end_ && (exclusive_ || other.exclusive_);
    }
    ObjectId id_;
    std::uint64_t begin_;
    std::uint64_t end_;
    bool exclusive_;
    Event granted_;
  };

  Task<> lock(Hold& hold);
  void unlock(Hold& hold);
  bool idle() const noexcept { return queues_.empty(); }

 private:
  using Queue = std::list<Hold*>;  // in order of arrival, held and waiting
  static bool must_wait(const Queue& queue, Queue::const_iterator place) noexcept;
  std::map<ObjectId, Queue> queues_;
};

}  // namespace rideau::oss
