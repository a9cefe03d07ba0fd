// SPDX-License-Identifier: Apache-2.0
// Goal: what is left alone of a part that is being given back, for the sake of data calls that wait.
#include "plugins/client/part_release.hpp"

#include <catch2/catch.hpp>

namespace rideau::client {
namespace {

using lock::Extent;
using lock::kExtentEnd;
using lock::Mode;

constexpr std::uint64_t kK = kExtentBytes;

TEST_CASE("a part is given back in two pieces around the last page of a WRITE that waits", "[client][extents]") {
  DataCalls waiting;
  CHECK(border_in(waiting, {0, kExtentEnd}) == 0);
  DataCall write({2 * kK + 5, 4 * kK + 7});
  waiting.push_back(write);
  CHECK(border_in(waiting, {0, kExtentEnd}) == 4 * kK);
  CHECK(border_in(waiting, {3 * kK, 5 * kK}) == 4 * kK);
  // Neither piece is cut once more.
  CHECK(border_in(waiting, {0, 4 * kK}) == 0);
  CHECK(border_in(waiting, {4 * kK, kExtentEnd}) == 0);
  CHECK(border_in(waiting, {6 * kK, kExtentEnd}) == 0);
  write.unlink();
  // The last byte counts, not what is behind it.
  DataCall whole({0, 4 * kK});
  waiting.push_back(whole);
  CHECK(border_in(waiting, {0, kExtentEnd}) == 3 * kK);
}

TEST_CASE("readers, appends and cuts that wait divide no part", "[client][extents]") {
  DataCalls waiting;
  DataCall read({0, 3 * kK});
  read.fills_pages = true;
  DataCall cut({0, kExtentEnd});
  DataCall append({5 * kK, kExtentEnd});
  waiting.push_back(read);
  waiting.push_back(cut);
  waiting.push_back(append);
  CHECK(border_in(waiting, {0, kExtentEnd}) == 0);
}

TEST_CASE("pages of what is held are dropped, but for those of READs that wait", "[client][extents]") {
  NodeParts parts;
  parts.held.add({kK, 3 * kK}, Mode::exclusive);
  parts.held.add({5 * kK, 6 * kK}, Mode::shared);
  CHECK(pages_to_drop(parts, {0, kExtentEnd}) == std::vector<Extent>{{kK, 3 * kK}, {5 * kK, 6 * kK}});
  CHECK(pages_to_drop(parts, {2 * kK, 5 * kK}) == std::vector<Extent>{{2 * kK, 3 * kK}});
  CHECK(pages_to_drop(parts, {3 * kK, 5 * kK}).empty());
  DataCall read({2 * kK - 1, 2 * kK + 1});
  read.fills_pages = true;
  parts.waiting.push_back(read);
  CHECK(pages_to_drop(parts, {0, 4 * kK}) == std::vector<Extent>{{kK, 2 * kK - 4096}, {2 * kK + 4096, 3 * kK}});
  read.fills_pages = false;
  CHECK(pages_to_drop(parts, {0, 4 * kK}) == std::vector<Extent>{{kK, 3 * kK}});
}

TEST_CASE("what was given back after it was granted is not held when the answer comes", "[client][extents]") {
  NodeParts parts;
  CHECK(left_of_grant(parts, {0, 9 * kK}, 5) == std::vector<Extent>{{0, 9 * kK}});
  parts.given.push_back({{2 * kK, 3 * kK}, 5});
  parts.given.push_back({{6 * kK, kExtentEnd}, 7});
  parts.given.push_back({{0, kK}, 4});  // of before
  CHECK(left_of_grant(parts, {0, 9 * kK}, 5) == std::vector<Extent>{{0, 2 * kK}, {3 * kK, 6 * kK}});
  CHECK(left_of_grant(parts, {0, 9 * kK}, 6) == std::vector<Extent>{{0, 6 * kK}});
  CHECK(left_of_grant(parts, {7 * kK, 9 * kK}, 6).empty());
  CHECK(left_of_grant(parts, {0, 9 * kK}, 8) == std::vector<Extent>{{0, 9 * kK}});
}

}  // namespace
}  // namespace rideau::client
