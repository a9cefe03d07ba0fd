// SPDX-License-Identifier: Apache-2.0
// The instance: its listeners and links.
#pragma once

#include "link.hpp"
#include "listeners.hpp"
#include "rideau/sdk.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::inproc {

struct Config {
  std::uint32_t eager_bytes = 0;
  std::uint32_t head_bytes = 0;
  std::uint64_t hold_bytes = 0;  // of messages that one link has received
  std::uint32_t links_max = 0;
};

class InprocTransport final : public Transport {
 public:
  InprocTransport(Host& host, const Config& config) : host_(host), config_(config) {}

  Submitted start(Completion& done) noexcept override { return done.finish(kOk); }
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  TransportLimits limits() const noexcept override;
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override;
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override;

  // For the parts of this driver.
  Host& host() noexcept { return host_; }
  const Config& config() const noexcept { return config_; }
  std::uint64_t token() noexcept;  // never guessable, never 0
  // Null when the instance has all the links it may have, or was stopped.
  InprocLink* add_link(const std::shared_ptr<Pipe>& pipe, std::size_t side);
  void remove_link(InprocLink& link) noexcept;
  void check_stopped() noexcept;

 private:
  ~InprocTransport() = default;
  bool quiet() const noexcept;

  Host& host_;
  const Config config_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<InprocLink>> links_;
  Completion* stopping_ = nullptr;
  bool stopped_ = false;
};

}  // namespace rideau::inproc
