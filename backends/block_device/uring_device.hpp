// SPDX-License-Identifier: Apache-2.0
// A device or an image through io_uring, around the page cache, with registered buffers where the kernel allows them.
#pragma once

#include "../shared/ring.hpp"
#include "../shared/work.hpp"
#include "device.hpp"
#include "device_file.hpp"
#include "rideau/host.hpp"

#include <memory>

namespace rideau::block_device {

struct DeviceOptions {
  std::string path;
  std::uint64_t image_bytes = 0;  // of an image that is made; 0: none is made
  bool discard = true;
  std::uint32_t queue_depth = 64;
};

class UringDevice final : public Device {
 public:
  UringDevice(Host& host, DeviceOptions options) : host_(host), options_(std::move(options)) {}
  ~UringDevice() override;

  void submit(Request& request, bool create) noexcept override;
  void work() noexcept override;
  void use_memory(MutableBytes memory) noexcept override;
  void close(Request& request) noexcept override;
  std::uint64_t size() const noexcept override { return file_->bytes(); }
  bool discards() const noexcept override { return discards_; }
  std::uint64_t room() const noexcept override;
  const std::string& name() const noexcept override { return options_.path; }
  const std::string& message() const noexcept override { return message_; }

 private:
  void open(Request& request, bool create) noexcept;
  void on_opened(Request& request, Status status) noexcept;
  void push(Request& request) noexcept;
  void send_soon() noexcept;
  void send_and_take() noexcept;
  void end_close() noexcept;
  void prepare(Request& request) noexcept;
  void on_result(Request& request, int result) noexcept;
  void log(Level level, const std::string& message) noexcept;

  Host& host_;
  const DeviceOptions options_;
  std::shared_ptr<DeviceFile> file_ = std::make_shared<DeviceFile>();
  std::string message_;
  backend::Ring ring_{host_, [this] { send_and_take(); }};
  bool discards_ = false;
  bool working_ = false;
  MutableBytes registered_{};
  Request* first_ = nullptr;  // wait for a place in the ring
  Request* last_ = nullptr;
  std::uint64_t waiting_bytes_ = 0;  // of them
  backend::Wakeup* soon_ = nullptr;  // when the calls that are there now have said what they want
  Request* closing_ = nullptr;
  backend::Work* works_ = nullptr;
};

}  // namespace rideau::block_device
