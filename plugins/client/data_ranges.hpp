// SPDX-License-Identifier: Apache-2.0
// A set of bytes of one block as sorted ranges that do not touch each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace rideau::client {

struct ByteRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

class ByteRanges {
 public:
  bool empty() const noexcept { return ranges_.empty(); }
  void clear() noexcept { ranges_.clear(); }
  const std::vector<ByteRange>& list() const noexcept { return ranges_; }

  void add(std::uint32_t begin, std::uint32_t end) {
    if (begin >= end) return;
    const auto first = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                                        [](const ByteRange& range, std::uint32_t at) { return range.end < at; });
    auto last = first;
    for (; last != ranges_.end() && last->begin <= end; ++last) {
      begin = std::min(begin, last->begin);
      end = std::max(end, last->end);
    }
    if (first == last) {
      ranges_.insert(first, {begin, end});
    } else {
      *first = {begin, end};
      ranges_.erase(first + 1, last);
    }
  }

  void remove(std::uint32_t begin, std::uint32_t end) {
    if (begin >= end || ranges_.empty()) return;
    std::vector<ByteRange> left;
    left.reserve(ranges_.size() + 1);
    for (const ByteRange& range : ranges_) {
      if (range.begin < std::min(range.end, begin)) left.push_back({range.begin, std::min(range.end, begin)});
      if (std::max(range.begin, end) < range.end) left.push_back({std::max(range.begin, end), range.end});
    }
    ranges_ = std::move(left);
  }

  // Bytes of [begin, end) that are in the set.
  std::uint32_t count(std::uint32_t begin, std::uint32_t end) const noexcept {
    std::uint32_t total = 0;
    for (const ByteRange& range : ranges_) {
      const std::uint32_t from = std::max(range.begin, begin);
      const std::uint32_t to = std::min(range.end, end);
      if (from < to) total += to - from;
    }
    return total;
  }
  // How many units of `unit` bytes have a byte of the set.
  std::uint32_t units(std::uint32_t unit) const noexcept {
    std::uint32_t total = 0;
    std::uint32_t next = 0;  // the first one not counted yet
    for (const ByteRange& range : ranges_) {
      const std::uint32_t first = std::max(range.begin / unit, next);
      next = (range.end - 1) / unit + 1;
      if (first < next) total += next - first;
    }
    return total;
  }
  bool covers(std::uint32_t begin, std::uint32_t end) const noexcept { return count(begin, end) == end - begin; }

  // The ranges of [begin, end) that are not in the set.
  std::vector<ByteRange> gaps(std::uint32_t begin, std::uint32_t end) const {
    std::vector<ByteRange> found;
    for (const ByteRange& range : ranges_) {
      if (range.end <= begin) continue;
      if (range.begin >= end) break;
      if (range.begin > begin) found.push_back({begin, range.begin});
      begin = range.end;
    }
    if (begin < end) found.push_back({begin, end});
    return found;
  }

 private:
  std::vector<ByteRange> ranges_;
};

}  // namespace rideau::client
