// SPDX-License-Identifier: Apache-2.0
// Goal: transports/rdma keeps the contract of Transport, and gives libfabric what hardware asks for and software
// providers forgive: registered memory and its descriptor in every call. With all registration bits cleared, waiting
// for the queue; and with FI_MR_BASIC on a provider that demands local registration and registrations bound to the
// endpoint, polling the queue.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/strict_fabric.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "tests/conformance/transport_faults.hpp"
#include "transports/rdma/descriptor.hpp"
#include "transports/rdma/fabric.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

// libfabric 1.17 forgets its copy of the description of a connection whose peer dies while it is accepted, some 700
// bytes each time. All of libfabric is meant, since stacks of it end there.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfabric.so\n"; }

namespace rideau {
namespace {

void run_suite(std::uint64_t seed, const char* registration, bool demand, int busy_poll) {
  strict_fabric::begin(demand);
  RealRuntime runtime;
  TestHost host(runtime);
  // A short window, so that credits run out. Where nobody listens, libfabric does not say so: such connects time out.
  LinkedTransportFactory factory(rdma::kDescriptor, host,
                                 {{"connect_timeout", 2000}, {"window", 8}, {"busy_poll", busy_poll}}, "127.0.0.1:0",
                                 {{"registration", registration}});
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
  const strict_fabric::Seen& seen = strict_fabric::seen();
  CHECK(seen.faults == std::vector<std::string>{});
  CHECK(seen.open_registrations == 0);
  CHECK(seen.registrations > 100);
  CHECK(seen.messages > 1000);
  CHECK(seen.reads > 100);
  CHECK(seen.writes > 100);
}

}  // namespace

TEST_CASE("the strict fabric finds what hardware would refuse") {
  strict_fabric::begin(true);
  rdma::HostPort address{"127.0.0.1", "0"};
  rdma::InfoPtr info;
  std::string why;
  const rdma::FabricChoice choice{"tcp;ofi_rxm", rdma::Registration::automatic};
  REQUIRE(rdma::find_fabric(choice, address, true, &info, &why).ok());
  CHECK((info->domain_attr->mr_mode & FI_MR_ENDPOINT) != 0);
  std::unique_ptr<rdma::Fabric> fabric;
  REQUIRE(rdma::Fabric::open(std::move(info), &fabric, &why).ok());
  std::uint8_t memory[64] = {};
  fi_context2 context{};
  const auto& faults = strict_fabric::seen().faults;
  CHECK(fi_recv(fabric->ep(), memory, sizeof memory, nullptr, FI_ADDR_UNSPEC, &context) == -FI_EINVAL);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0] == "a descriptor of no registration");
  rdma::Registered registered;
  REQUIRE(fabric->enroll(memory, 32, FI_RECV, 1, &registered).ok());
  void* descriptor = fi_mr_desc(registered.get());
  CHECK(fi_recv(fabric->ep(), memory, sizeof memory, descriptor, FI_ADDR_UNSPEC, &context) == -FI_EINVAL);
  CHECK(faults[1] == "memory outside of its registration");
  CHECK(fi_send(fabric->ep(), memory, 8, descriptor, 0, &context) == -FI_EINVAL);
  CHECK(faults[2] == "memory without the right for the operation");
  CHECK(fi_recv(fabric->ep(), memory, 32, descriptor, FI_ADDR_UNSPEC, &context) == 0);
  CHECK(faults.size() == 3);
}

TEST_CASE("a provider that is none is refused with a word about it") {
  rdma::InfoPtr info;
  std::string why;
  const rdma::FabricChoice choice{"pigeon", rdma::Registration::automatic};
  CHECK(rdma::find_fabric(choice, {"127.0.0.1", "0"}, true, &info, &why).code == Code::not_found);
  CHECK(why.find("no provider \"pigeon\" here") != std::string::npos);
}

TEST_CASE("the transport suite passes over RDMA with all registration bits cleared") { run_suite(1, "none", false, 0); }

TEST_CASE("the transport suite passes over RDMA where registrations are demanded") { run_suite(2, "basic", true, 1); }

TEST_CASE("faults over libfabric") {
  strict_fabric::begin(true);
  RealRuntime runtime;
  TestHost host(runtime);
  // A peer that died is noticed by its silence.
  LinkedTransportFactory factory(rdma::kDescriptor, host,
                                 {{"connect_timeout", 500}, {"keepalive", 300}, {"cut_after", 300}}, "127.0.0.1:0");
  run_faults(runtime, factory, 7, 7);
  CHECK(strict_fabric::seen().faults == std::vector<std::string>{});
}

}  // namespace rideau
