// SPDX-License-Identifier: Apache-2.0
// Goal: transports/zmq keeps the contract of Transport over TCP and over a socket of this machine, with small limits,
// and encrypted, with keys that `rideau keys` makes too.
#include "plugins/tools/key_maker.hpp"
#include "tests/conformance/transport_zmq.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace rideau {
namespace {

using Settings = LinkedTransportFactory::Settings;
using Texts = LinkedTransportFactory::Texts;

void run_suite(std::uint64_t seed, const Settings& settings, const std::string& address, const Texts& texts = {}) {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, settings, address, texts);
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
}

// Sockets of this process that the kernel watches for a peer that fell silent, for so long.
int watched_sockets(int idle_seconds, int given_up_ms) {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    int on = 0;
    int idle = 0;
    int given_up = 0;
    socklen_t size = sizeof on;
    if (::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size) != 0 || on == 0) continue;
    ::getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
    ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &given_up, &size);
    if (idle == idle_seconds && given_up == given_up_ms) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a silent peer is looked for at both ends of a link") {
  on_zmq_stage({}, [](transport_suite::Stage& stage, TestHost&) -> Task<> {
    const bool open = co_await stage.open();
    REQUIRE(open);
    const transport_suite::Pair pair = co_await stage.connect();
    REQUIRE(pair.near != nullptr);
    CHECK(watched_sockets(10, 20'000) == 2);
    co_await stage.finish(pair);
    co_await stage.close();
  });
}

TEST_CASE("the transport suite passes over ZeroMQ") { run_suite(1, {}, "127.0.0.1:0"); }

TEST_CASE("the transport suite passes over ZeroMQ with small limits") {
  run_suite(2, {{"hold_bytes", 1 << 20}, {"high_water_mark", 1024}, {"head_bytes", 65536}, {"eager_bytes", 20000}},
            "127.0.0.1:0");
}

TEST_CASE("the transport suite passes over ZeroMQ with encryption") {
  CurveFolder keys;
  run_suite(4, {}, "127.0.0.1:0", {{"key_file", keys.make("shared")}});
}

TEST_CASE("the transport suite passes over a ZeroMQ socket of this machine") { run_suite(3, {}, "ipc://*"); }

TEST_CASE("keys that `rideau keys` makes are ZeroMQ's") {
  for (int i = 0; i < 50; ++i) {
    tools::CurvePair pair;
    std::string why;
    REQUIRE(tools::make_curve_pair(&pair, &why));
    char open[41] = "";
    CHECK(zmq_curve_public(open, pair.secret.c_str()) == 0);
    CHECK(pair.open == open);
    CHECK(tools::curve_public(pair.secret) == pair.open);
  }
  CHECK(tools::curve_public("") == "");
  CHECK(tools::curve_public(std::string(40, '"')) == "");
  CHECK(tools::curve_public(std::string(40, '#')) == "");  // over 32 bits
}

TEST_CASE("a key file that others can read is refused") {
  CurveFolder keys;
  const std::string file = keys.make("open");
  ::chmod(file.c_str(), 0644);
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "", {{"key_file", file}});
  CHECK(!factory.make().ok());
  CHECK(host.take_log().find("can be read by others") != std::string::npos);
}

}  // namespace rideau
