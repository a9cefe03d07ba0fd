// SPDX-License-Identifier: Apache-2.0
// What a user may write into the attribute that chooses a layout.
#include "plugins/fs/layout_text.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<fs::LayoutWish> wish = fs::parse_layout_wish(text);
  if (!wish.ok()) return 0;
  fuzz::require(wish->stripe_count.has_value() || wish->stripe_size.has_value() || wish->stripe_offset.has_value() ||
                    wish->inline_max.has_value() || wish->pool.has_value(),
                "a wish wishes for something");
  return 0;
}
