// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/layout_text.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>

namespace rideau::fs {
namespace {

constexpr std::string_view kBlanks = " \t\n";

std::string line(const std::string& count, const std::string& size, const std::string& offset,
                 const std::string& inline_max) {
  return "stripe_count=" + count + " stripe_size=" + size + " stripe_offset=" + offset + " inline=" + inline_max;
}

std::string offset_text(std::int32_t offset) { return offset < 0 ? "any" : std::to_string(offset); }

template <class Number>
bool parse_number(std::string_view text, Number least, Number most, Number* to) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *to);
  return error == std::errc{} && end == text.data() + text.size() && *to >= least && *to <= most;
}

// False: unknown, unreadable, or said before.
bool take_word(std::string_view key, std::string_view value, LayoutWish* wish) {
  if (key == "stripe_count" && !wish->stripe_count) {
    std::uint32_t& count = wish->stripe_count.emplace(0);
    if (value == "default") return true;
    if (value == "all") return (count = kStripeAll) != 0;
    return parse_number(value, 1u, limits::kStripeCountMax, &count);
  }
  if (key == "stripe_size" && !wish->stripe_size) {
    std::uint32_t& size = wish->stripe_size.emplace(0);
    if (value == "default") return true;
    return parse_number(value, limits::kStripeSizeMin, limits::kStripeSizeMax, &size) &&
           size % limits::kStripeSizeMin == 0;
  }
  if (key == "stripe_offset" && !wish->stripe_offset) {
    std::int32_t& offset = wish->stripe_offset.emplace(-1);
    if (value == "any") return true;
    return parse_number(value, 0, std::numeric_limits<std::int32_t>::max(), &offset);
  }
  if (key == "inline" && !wish->inline_max) {
    std::uint32_t& bytes = wish->inline_max.emplace(kInlineAsConfigured);
    return value == "default" || parse_number(value, 0u, kInlineBytesMax, &bytes);
  }
  if (key == "pool" && !wish->pool) {
    std::string& pool = wish->pool.emplace();
    if (value == "none") return true;
    pool = value;
    return is_pool_name(value);
  }
  return key == "targets" || key == "bytes";
}

std::string pool_text(const std::string& pool) { return pool.empty() ? "" : " pool=" + pool; }

}  // namespace

bool is_pool_name(std::string_view name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kPoolNameBytesMax && name != "none" &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string layout_text(const Layout& layout, std::int32_t stripe_offset, bool is_inline, const std::string& pool) {
  std::string text = line(std::to_string(layout.stripe_count()), std::to_string(layout.stripe_size),
                          offset_text(stripe_offset), std::to_string(layout.inline_max));
  text += pool_text(pool) + (is_inline ? " bytes=inline" : " bytes=objects");
  text += " targets=";
  for (std::size_t i = 0; i < layout.targets.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(layout.targets[i]);
  }
  return text;
}

std::string layout_text(const LayoutDefault& wish, const std::string& pool) {
  std::string count = "default";
  if (wish.stripe_count != 0) count = wish.stripe_count == kStripeAll ? "all" : std::to_string(wish.stripe_count);
  return line(count, wish.stripe_size == 0 ? "default" : std::to_string(wish.stripe_size),
              offset_text(wish.stripe_offset),
              wish.inline_max == kInlineAsConfigured ? "default" : std::to_string(wish.inline_max)) +
         pool_text(pool);
}

Result<LayoutWish> parse_layout_wish(std::string_view text) {
  LayoutWish wish;
  // A program that writes a line may end it.
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  for (;;) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || !take_word(word.substr(0, equals), word.substr(equals + 1), &wish)) {
      return posix_error(EINVAL, "words of a layout");
    }
  }
  const bool says = wish.stripe_count || wish.stripe_size || wish.stripe_offset || wish.inline_max || wish.pool;
  if (!says) return posix_error(EINVAL, "an empty layout");
  return wish;
}

}  // namespace rideau::fs
