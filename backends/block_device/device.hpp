// SPDX-License-Identifier: Apache-2.0
// The seam below the store: a flat device of blocks. The real one is uring_device.hpp; tests put a simulated one here
// that loses and tears what was not flushed.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/status.hpp"

#include <cstdint>
#include <string>

namespace rideau::block_device {

// What is read and written at once, and the unit of every place on the device.
constexpr std::uint64_t kBlockBytes = 4096;

// Lent to the device from submit() until done(), which comes on the node's thread and never inside submit().
struct Request {
  enum class Kind : std::uint8_t { open, read, write, flush, discard };
  Kind kind = Kind::read;
  std::uint64_t offset = 0;        // bytes; of read, write and discard, whole blocks
  std::uint64_t size = 0;          // bytes
  std::uint8_t* memory = nullptr;  // of read and write, at a multiple of kBlockBytes
  void (*done)(Request&) noexcept = nullptr;
  void* owner = nullptr;  // the caller's own
  Status status{};
  Request* next = nullptr;     // the device's own
  std::uint64_t progress = 0;  // the device's own
};

class Device {
 public:
  // Ends without any done() that is still due; nothing touches lent memory after this.
  virtual ~Device() = default;

  // First of all `open`, alone. With `create`, a device that is not there yet is made, formatted.
  virtual void submit(Request& request, bool create = false) noexcept = 0;
  // Sends what was submitted, and takes results that are there: done() is called from here.
  virtual void work() noexcept = 0;
  // Where most transfers will take place, before the first of them. Stays until the end of the device.
  virtual void use_memory(MutableBytes memory) noexcept = 0;
  // When no request is pending: closes, then calls done(), which may come at once.
  virtual void close(Request& request) noexcept = 0;

  virtual std::uint64_t size() const noexcept = 0;  // bytes, after open
  virtual bool discards() const noexcept = 0;
  // Bytes that the file system below an image still has; ~0: no such bound.
  virtual std::uint64_t room() const noexcept = 0;
  // For people: which device, and after a failed open what is wrong and what to do.
  virtual const std::string& name() const noexcept = 0;
  virtual const std::string& message() const noexcept = 0;
};

}  // namespace rideau::block_device
