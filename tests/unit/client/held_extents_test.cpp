// SPDX-License-Identifier: Apache-2.0
// Goal: what a client holds of a file in parts, and how much it gives back when others want some of it.
#include "plugins/client/held_extents.hpp"

#include <catch2/catch.hpp>

namespace rideau::client {
namespace {

using lock::Extent;
using lock::kExtentEnd;
using lock::Mode;

constexpr std::uint64_t kK = kExtentBytes;

TEST_CASE("ranges become whole blocks", "[client][extents]") {
  CHECK(in_whole_extents({1, 2}) == Extent{0, kK});
  CHECK(in_whole_extents({kK, 2 * kK}) == Extent{kK, 2 * kK});
  CHECK(in_whole_extents({kK - 1, kK + 1}) == Extent{0, 2 * kK});
  CHECK(in_whole_extents({5 * kK + 7, kExtentEnd}) == Extent{5 * kK, kExtentEnd});
  CHECK(in_whole_extents({0, kExtentEnd - 1}) == Extent{0, kExtentEnd});
}

TEST_CASE("what is held together covers what lies in it", "[client][extents]") {
  HeldExtents held;
  CHECK_FALSE(held.covers({0, 1}, Mode::shared));
  held.add({2 * kK, 4 * kK}, Mode::shared);
  held.add({4 * kK, 6 * kK}, Mode::exclusive);
  CHECK(held.covers({2 * kK, 6 * kK}, Mode::shared));
  CHECK_FALSE(held.covers({2 * kK, 6 * kK}, Mode::exclusive));
  CHECK(held.covers({4 * kK, 5 * kK}, Mode::exclusive));
  CHECK(held.reach(3 * kK, Mode::shared) == 6 * kK);
  CHECK(held.reach(3 * kK, Mode::exclusive) == 3 * kK);
  CHECK(held.reach(6 * kK, Mode::shared) == 6 * kK);
  CHECK(held.any_exclusive());
  // A weaker grant takes nothing away; a stronger one counts.
  held.add({5 * kK, 7 * kK}, Mode::shared);
  CHECK(held.covers({4 * kK, 6 * kK}, Mode::exclusive));
  held.add({0, kExtentEnd}, Mode::exclusive);
  CHECK(held.count() == 1);
  held.remove({3 * kK, 5 * kK});
  CHECK(held.all() ==
        std::vector<HeldExtents::Held>{{{0, 3 * kK}, Mode::exclusive}, {{5 * kK, kExtentEnd}, Mode::exclusive}});
  held.remove({0, kExtentEnd});
  CHECK(held.empty());
}

TEST_CASE("beside what is wanted goes what was not used", "[client][extents]") {
  HeldExtents held;
  CHECK(held.to_give({0, kK}).empty());
  held.add({0, kExtentEnd}, Mode::exclusive);
  CHECK(held.to_give({8 * kK, 9 * kK}) == Extent{0, kExtentEnd});  // nothing was
  held.use({2 * kK + 5, 3 * kK + 5});
  CHECK(held.to_give({8 * kK, 9 * kK}) == Extent{4 * kK, kExtentEnd});
  CHECK(held.to_give({4 * kK, 5 * kK}) == Extent{4 * kK, kExtentEnd});
  CHECK(held.to_give({0, kK}) == Extent{0, 2 * kK});
  held.use({20 * kK, 21 * kK});
  CHECK(held.to_give({8 * kK, 9 * kK}) == Extent{8 * kK, 9 * kK});
  CHECK(held.to_give({kK, 3 * kK}) == Extent{0, 3 * kK});
  CHECK(held.to_give({20 * kK, 30 * kK}) == Extent{20 * kK, kExtentEnd});
}

TEST_CASE("pieces remember what of each was used", "[client][extents]") {
  HeldExtents held;
  held.add({0, kExtentEnd}, Mode::exclusive);
  held.use({0, 10 * kK});
  held.remove({4 * kK, 6 * kK});
  CHECK(held.to_give({0, kK}) == Extent{0, kK});
  CHECK(held.to_give({20 * kK, 21 * kK}) == Extent{10 * kK, kExtentEnd});
  CHECK(held.to_give({3 * kK, 7 * kK}) == Extent{3 * kK, 7 * kK});
  held.add({4 * kK, 6 * kK}, Mode::exclusive);
  CHECK(held.count() == 1);
  CHECK(held.to_give({20 * kK, 21 * kK}) == Extent{10 * kK, kExtentEnd});
}

}  // namespace
}  // namespace rideau::client
