// SPDX-License-Identifier: Apache-2.0
// Goal: what a layout is told as can be wished again, and nothing else is taken for a wish.
#include "plugins/fs/layout_text.hpp"

#include <cerrno>

#include <catch2/catch.hpp>

using namespace rideau;
using namespace rideau::fs;

TEST_CASE("layouts are told", "[fs]") {
  REQUIRE(layout_text(Layout{1, 65536, {4, 2}}, 2, false) ==
          "stripe_count=2 stripe_size=65536 stripe_offset=2 inline=0 bytes=objects targets=4,2");
  REQUIRE(layout_text(Layout{1, 65536, {4}, 4096}, 2, true) ==
          "stripe_count=1 stripe_size=65536 stripe_offset=2 inline=4096 bytes=inline targets=4");
  REQUIRE(layout_text(LayoutDefault{}) == "stripe_count=default stripe_size=default stripe_offset=any inline=default");
  REQUIRE(layout_text(LayoutDefault{kStripeAll, 1 << 20, 0, 0}) ==
          "stripe_count=all stripe_size=1048576 stripe_offset=0 inline=0");
}

TEST_CASE("pools are told where there is one, and wished by name", "[fs]") {
  REQUIRE(layout_text(Layout{1, 65536, {4}}, 0, false, "fast") ==
          "stripe_count=1 stripe_size=65536 stripe_offset=0 inline=0 pool=fast bytes=objects targets=4");
  REQUIRE(layout_text(LayoutDefault{}, "fast") ==
          "stripe_count=default stripe_size=default stripe_offset=any inline=default pool=fast");
  REQUIRE(parse_layout_wish("pool=fast")->pool == "fast");
  REQUIRE(parse_layout_wish("pool=none")->pool == "");
  REQUIRE_FALSE(parse_layout_wish("stripe_count=1")->pool.has_value());
  REQUIRE(parse_layout_wish("pool=" + std::string(kPoolNameBytesMax, 'p')).ok());
  for (const std::string text : {"pool=", "pool=a/b", "pool=a pool=b", "pool"}) {
    CAPTURE(text);
    REQUIRE(errno_of(parse_layout_wish(text).status()) == EINVAL);
  }
  REQUIRE_FALSE(parse_layout_wish("pool=" + std::string(kPoolNameBytesMax + 1, 'p')).ok());
}

TEST_CASE("what was told can be wished", "[fs]") {
  const auto file = parse_layout_wish(layout_text(Layout{7, 131072, {4, 2}, 100}, 1, true));
  REQUIRE(file.ok());
  REQUIRE(file->stripe_count == 2u);
  REQUIRE(file->stripe_size == 131072u);
  REQUIRE(file->stripe_offset == 1);
  REQUIRE(file->inline_max == 100u);
  const auto none = parse_layout_wish(layout_text(LayoutDefault{}));
  REQUIRE(none.ok());
  REQUIRE(none->stripe_count == 0u);
  REQUIRE(none->stripe_size == 0u);
  REQUIRE(none->stripe_offset == -1);
  REQUIRE(none->inline_max == kInlineAsConfigured);
  REQUIRE(parse_layout_wish("inline=0")->inline_max == 0u);
  REQUIRE(parse_layout_wish("inline=65536")->inline_max == kInlineBytesMax);
  REQUIRE(parse_layout_wish("stripe_count=all")->stripe_count == kStripeAll);
  const auto line = parse_layout_wish(" stripe_size=65536\n");
  REQUIRE(line.ok());
  REQUIRE_FALSE(line->stripe_count.has_value());
}

TEST_CASE("nothing else is a wish", "[fs]") {
  for (const char* text : {"",
                           "  ",
                           "targets=1",
                           "stripe_count",
                           "stripe_count=",
                           "stripe_count=0",
                           "stripe_count=1025",
                           "stripe_count=-1",
                           "stripe_count=1x",
                           "stripe_count=1 stripe_count=1",
                           "stripe_size=65535",
                           "stripe_size=65537",
                           "stripe_size=0",
                           "stripe_size=1073807360",
                           "stripe_size=1M",
                           "stripe_offset=-1",
                           "stripe_offset=2147483648",
                           "inline=",
                           "inline=65537",
                           "inline=-1",
                           "inline=4K",
                           "inline=1 inline=2",
                           "bytes=inline",
                           "stripes=1",
                           "stripe_count=1,stripe_size=65536"}) {
    CAPTURE(text);
    REQUIRE(errno_of(parse_layout_wish(text).status()) == EINVAL);
  }
  REQUIRE(parse_layout_wish("stripe_count=1024").ok());
  REQUIRE(parse_layout_wish("stripe_size=1073741824").ok());
}
