// SPDX-License-Identifier: Apache-2.0
// Of an inode whose lock is held in parts: what is held, which data calls rest on it, which wait for more, and what is
// being given back (file_system_extents.cpp).
#pragma once

#include "plugins/client/held_extents.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <list>
#include <vector>

namespace rideau::client {

// A data call, in the frame of its coroutine.
struct DataCall : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  explicit DataCall(lock::Extent bytes) : range(bytes) {}
  lock::Extent range;
  // The kernel holds locks of these pages until the call is answered, and has nothing in them that must be dropped.
  bool fills_pages = false;
  // A WRITE of mapped pages. It waits for no part that must come from others: then it is told so by `not_held`.
  bool of_map = false;
  bool not_held = false;
  std::uint64_t behind =
      0;  // the last one of the writes that were put off for which it waits, by number; 0: all so far
};
using DataCalls = boost::intrusive::list<DataCall, boost::intrusive::constant_time_size<false>>;

struct NodeParts {
  // A range on its way back.
  struct Going {
    lock::Extent range{};
    bool sealed = false;   // no data call may start in it any more
    bool held_up = false;  // for a moment
    bool entered = false;  // one has since the last drop of its pages began
  };
  // A range that was given back, with every grant up to the number.
  struct Given {
    lock::Extent range{};
    lock::GrantNumber number = 0;
  };
  struct Wanted {
    lock::Extent range{};
    lock::Mode mode = lock::Mode::none;
  };

  HeldExtents held;
  DataCalls running;
  DataCalls waiting;
  std::list<Going> going;
  std::list<Wanted> wanted;       // asked of the server
  std::vector<Given> given;       // while answers to these are on their way: what they grant may be void by now
  lock::GrantNumber newest = 0;   // of a grant
  std::uint32_t giving_back = 0;  // messages on their way that give parts back
  std::uint32_t same_size = 0;    // questions for the size in a row that brought nothing new
  bool end_known = false;         // nobody can make the file larger: the end is held, and its size was asked since
};

}  // namespace rideau::client
