// SPDX-License-Identifier: Apache-2.0
// Packing of records: version byte, little-endian fields, crc32c over key and record at the end.
#pragma once

#include "framework/base/checksum.hpp"
#include "framework/base/result.hpp"
#include "rideau/buffer.hpp"

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rideau::fs {

static_assert(std::endian::native == std::endian::little, "records are copied as they lie in memory");

class RecordWriter {
 public:
  RecordWriter(std::vector<std::uint8_t>& out, std::uint8_t version) : out_(out) {
    out_.clear();
    out_.push_back(version);
  }
  template <std::integral T>
  RecordWriter& put(T value) {
    return raw(&value, sizeof value);
  }
  RecordWriter& raw(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
    return *this;
  }
  void finish(Bytes key) {
    const std::uint32_t sum = crc32c(Bytes(out_.data(), out_.size()), crc32c(key));
    raw(&sum, sizeof sum);
  }

 private:
  std::vector<std::uint8_t>& out_;
};

// Reads never pass the end; the first that would makes everything after it read as zero, and end() false.
class RecordReader {
 public:
  RecordReader(Bytes key, Bytes record, std::uint8_t version_max) noexcept : at_(record.data), left_(0) {
    constexpr std::size_t kSmallest = 1 + sizeof(std::uint32_t);
    if (record.size < kSmallest) {
      status_ = {Code::corrupt, 0, "record too short"};
      return;
    }
    const std::size_t summed = record.size - sizeof(std::uint32_t);
    std::uint32_t sum = 0;
    std::memcpy(&sum, record.data + summed, sizeof sum);
    if (crc32c(Bytes(record.data, summed), crc32c(key)) != sum) {
      status_ = {Code::corrupt, 0, "checksum of a record"};
      return;
    }
    version_ = record.data[0];
    if (version_ == 0 || version_ > version_max) {
      status_ = {Code::refused, 0, "record of a newer version of Rideau"};
      return;
    }
    at_ += 1;
    left_ = summed - 1;
  }
  Status status() const noexcept { return status_; }
  std::uint8_t version() const noexcept { return version_; }

  template <std::integral T>
  T get() noexcept {
    T value{};
    if (const std::uint8_t* from = take(sizeof value); from != nullptr) std::memcpy(&value, from, sizeof value);
    return value;
  }
  template <std::integral T>
  void get(T* out) noexcept {
    *out = get<T>();
  }
  void raw(void* out, std::size_t size) noexcept {
    // Nothing may be copied to nowhere, not even no bytes.
    if (const std::uint8_t* from = take(size); from != nullptr && size != 0) std::memcpy(out, from, size);
  }
  Bytes bytes(std::size_t size) noexcept {
    const std::uint8_t* from = take(size);
    return from != nullptr ? Bytes(from, size) : Bytes();
  }
  std::size_t left() const noexcept { return left_; }
  // ok when the record had exactly the fields that were read.
  Status end() const noexcept {
    if (!status_.ok()) return status_;
    return overrun_ || left_ != 0 ? Status{Code::corrupt, 0, "length of a record"} : kOk;
  }

 private:
  const std::uint8_t* take(std::size_t size) noexcept {
    if (!status_.ok() || overrun_ || size > left_) {
      overrun_ = true;
      return nullptr;
    }
    const std::uint8_t* from = at_;
    at_ += size;
    left_ -= size;
    return from;
  }

  const std::uint8_t* at_;
  std::size_t left_;
  std::uint8_t version_ = 0;
  bool overrun_ = false;
  Status status_{};
};

}  // namespace rideau::fs
