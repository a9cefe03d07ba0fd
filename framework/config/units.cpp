// SPDX-License-Identifier: Apache-2.0
#include "framework/config/units.hpp"

#include <charconv>
#include <limits>

namespace rideau {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// The largest first, so that writing picks the shortest form.
constexpr Unit kSizes[] = {
    {"PiB", 1ll << 50},
    {"TiB", 1ll << 40},
    {"GiB", 1ll << 30},
    {"MiB", 1ll << 20},
    {"KiB", 1ll << 10},
    {"TB", 1'000'000'000'000},
    {"GB", 1'000'000'000},
    {"MB", 1'000'000},
    {"kB", 1'000},
    {"B", 1},
    {"", 1},
};
constexpr Unit kDurations[] = {
    {"h", 3'600'000'000'000}, {"min", 60'000'000'000}, {"s", 1'000'000'000},
    {"ms", 1'000'000},        {"us", 1'000},           {"ns", 1},
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <std::size_t n>
std::optional<std::int64_t> parse(std::string_view text, const Unit (&units)[n]) {
  text = trimmed(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0 || text.front() == '-') return std::nullopt;
  const std::string_view unit = trimmed(text.substr(static_cast<std::size_t>(end - text.data())));
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
    return number * known.factor;
  }
  return std::nullopt;
}

template <std::size_t n>
std::string write(std::int64_t value, const Unit (&units)[n], std::string_view smallest) {
  for (const Unit& unit : units) {
    const bool binary_or_last = unit.name.size() != 2 || unit.name == "ms" || unit.name == "us" || unit.name == "ns";
    if (value != 0 && binary_or_last && value % unit.factor == 0)
      return std::to_string(value / unit.factor) + " " + std::string(unit.name);
  }
  return std::to_string(value) + " " + std::string(smallest);
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) { return parse(text, kSizes); }
std::optional<std::int64_t> parse_duration_ns(std::string_view text) { return parse(text, kDurations); }
std::string size_text(std::int64_t bytes) { return write(bytes, kSizes, "B"); }
std::string duration_text(std::int64_t ns) { return write(ns, kDurations, "s"); }

}  // namespace rideau
