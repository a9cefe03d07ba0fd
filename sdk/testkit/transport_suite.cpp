// SPDX-License-Identifier: Apache-2.0
// The parts of the transport suite, one after the other.
#include "sdk/testkit/transport_suite.hpp"

#include "rideau/abi.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"

#include <filesystem>
#include <memory_resource>
#include <string_view>

namespace rideau {

namespace {

using transport_suite::Stage;

// What the suite lends lies in memory that peers can be shown, where there is some.
class OfferedResource final : public std::pmr::memory_resource {
 public:
  explicit OfferedResource(LendableMemory* source) noexcept : source_(source) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* taken = source_ != nullptr ? source_->take(bytes) : nullptr;
    return taken != nullptr ? taken : std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    if (source_ != nullptr && source_->put(static_cast<std::uint8_t*>(memory), bytes)) return;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  LendableMemory* source_;
};

// As long as it lives the buffers of the suite lie there.
class LendFrom {
 public:
  explicit LendFrom(LendableMemory* source) : offered_(source), pool_(&offered_) {
    if (source != nullptr) std::pmr::set_default_resource(&pool_);
  }
  ~LendFrom() { std::pmr::set_default_resource(before_); }
  LendFrom(const LendFrom&) = delete;
  LendFrom& operator=(const LendFrom&) = delete;

 private:
  std::pmr::memory_resource* before_ = std::pmr::get_default_resource();
  OfferedResource offered_;
  std::pmr::unsynchronized_pool_resource pool_;
};

struct Part {
  Task<> (*check)(Stage&);
  bool gated = false;
};

// Every part gets a stage of its own, so that a failure in one does not hide the others.
Task<> run_part(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report, Part part) {
  Stage stage(runtime, factory, report, seed);
  report.rule("transport.life.starts-and-stops");
  bool open = false;
  if (part.gated) {
    open = co_await stage.open_gated();
  } else {
    open = co_await stage.open();
  }
  if (open) co_await part.check(stage);
  report.rule("transport.life.starts-and-stops");
  co_await stage.close();
}

}  // namespace

std::optional<RelayPlaces> TransportFactory::relay_places(const std::string& address, std::string* why) const {
  if ((capabilities() & kTransportStreams) == 0) {
    *why = "its links do not pass over TCP connections (no kTransportStreams)";
    return std::nullopt;
  }
  constexpr std::string_view kIpc = "ipc://";
  if (address.starts_with(kIpc)) {
    // The relay has a name beside the file system, which no path of it is.
    std::string path = address.substr(kIpc.size());
    if (!path.starts_with('@')) path = std::filesystem::absolute(path).string();
    const std::string before = path.starts_with('@') ? path + "/relay" : "@" + path;
    return RelayPlaces{before, path, std::string(kIpc) + before};
  }
  const std::size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const bool numeric =
      colon != std::string::npos && host.find_first_not_of("0123456789abcdef.:[]") == std::string::npos;
  if (!numeric) {
    *why = "its address " + address + " is no host and port, nor ipc:// with a path, to put a relay before it";
    return std::nullopt;
  }
  return RelayPlaces{host + ":0", address, {}};
}

namespace {

template <std::size_t kCount>
Task<> run_parts(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report,
                 const Part (&parts)[kCount]) {
  const LendFrom lend_from(factory.memory().source);
  std::uint64_t part_seed = seed;
  for (const Part& part : parts) {
    part_seed += 0x1000;
    co_await run_part(runtime, factory, part_seed, report, part);
  }
  report.finish();
}

}  // namespace

Task<> run_transport_suite(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report) {
  using namespace transport_suite;
  static constexpr Part kParts[] = {
      {check_messages}, {check_payloads},         {check_loans},      {check_bulk},    {check_keys},
      {check_reclaim},  {check_many_outstanding}, {check_connecting}, {check_closing}, {check_stopping}};
  co_await run_parts(runtime, factory, seed, report, kParts);
}

Task<> run_transport_faults(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report) {
  using namespace transport_suite;
  static constexpr Part kParts[] = {{check_faults_of_nodes, true}, {check_faults_of_links, true}};
  co_await run_parts(runtime, factory, seed + 0x100000, report, kParts);
}

}  // namespace rideau
