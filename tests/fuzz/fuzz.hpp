// SPDX-License-Identifier: Apache-2.0
// What the fuzzers share. A fuzzer is one file with LLVMFuzzerTestOneInput (libFuzzer); it gives bytes from outside to
// a parser, which may refuse them and must do nothing worse. What it accepts must survive being written and read again.
#pragma once

#include "framework/base/checksum.hpp"
#include "rideau/buffer.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace rideau::fuzz {

// Unlike assert(), always on.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// The input, taken from the front.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  Bytes take(std::size_t size) {
    size = size < left_ ? size : left_;
    const Bytes taken(at_, size);
    at_ += size;
    left_ -= size;
    return taken;
  }
  Bytes rest() { return take(left_); }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

// A copy that lies as received messages do: aligned to words, of whole words.
class Words {
 public:
  explicit Words(Bytes from) : words_(from.size / 8) {
    if (!words_.empty()) std::memcpy(words_.data(), from.data, words_.size() * 8);
  }
  Bytes bytes() const { return Bytes(static_cast<const void*>(words_.data()), words_.size() * 8); }

 private:
  std::vector<std::uint64_t> words_;
};

// A record whose checksum is right: a fuzzer would hardly ever find one.
inline std::vector<std::uint8_t> sealed(Bytes key, Bytes record) {
  std::vector<std::uint8_t> out(record.data, record.data + record.size);
  const std::uint32_t sum = crc32c(record, crc32c(key));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&sum);
  out.insert(out.end(), bytes, bytes + sizeof sum);
  return out;
}

}  // namespace rideau::fuzz
