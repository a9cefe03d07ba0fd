// SPDX-License-Identifier: Apache-2.0
// Goal: transports/zmq keeps the contract of Transport over TCP and over a socket of this machine, with small limits,
// and encrypted; who has a wrong key, no key, or is no peer at all is refused, with a reason, and harms nobody.
#include "framework/runtime/real_runtime.hpp"
#include "plugins/tools/key_maker.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "tests/conformance/transport_faults.hpp"
#include "transports/zmq/descriptor.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

namespace rideau {
namespace {

using transport_suite::Buffer;
using transport_suite::Pair;
using transport_suite::Peer;
using transport_suite::random_bytes;
using transport_suite::Stage;

using Settings = LinkedTransportFactory::Settings;
using Texts = LinkedTransportFactory::Texts;

// A folder with key files.
class KeyFolder {
 public:
  KeyFolder() {
    char name[] = "/tmp/rideau-keys-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  KeyFolder(const KeyFolder&) = delete;
  KeyFolder& operator=(const KeyFolder&) = delete;
  ~KeyFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }
  std::string make(const std::string& name, std::string* public_key = nullptr) {
    char open_half[41];
    char secret[41];
    REQUIRE(zmq_curve_keypair(open_half, secret) == 0);
    files_.push_back(path_ + "/" + name);
    std::FILE* file = std::fopen(files_.back().c_str(), "w");
    std::fprintf(file, "%s\n", secret);
    std::fclose(file);
    ::chmod(files_.back().c_str(), 0600);
    if (public_key != nullptr) *public_key = open_half;
    return files_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

void run_suite(std::uint64_t seed, const Settings& settings, const std::string& address, const Texts& texts = {}) {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, settings, address, texts);
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
}

Transport& make(Host& host, const Texts& texts) {
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "", texts);
  Result<Transport*> made = factory.make();
  REQUIRE(made.ok());
  return **made;
}

// A stranger with these settings cannot connect to the stage's listener; a neighbour goes on.
Task<> refuse(Stage& stage, TestHost& host, Texts texts, const char* told) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  static_cast<void>(host.take_log());
  Transport& stranger = make(host, texts);
  Peer nobody(stage.dice);
  Link* link = nullptr;
  const std::string address = stage.address;
  const Outcome connected =
      co_await submit([&](Completion& c) { return stranger.connect(Text(address), nobody, &link, c); });
  CHECK(!connected.ok());
  CHECK(link == nullptr);
  // The two sides hear of it independently.
  std::string log = host.take_log();
  for (int looks = 0; looks < 1000 && log.find(told) == std::string::npos; ++looks) {
    co_await sleep_for(stage.runtime, 10 * kMillisecond);
    log += host.take_log();
  }
  INFO(log);
  CHECK(log.find(told) != std::string::npos);
  const Outcome stopped = co_await submit([&](Completion& c) { return stranger.stop(c); });
  CHECK(stopped.ok());
  stranger.destroy();
  const bool alive = co_await stage.works(neighbour);
  CHECK(alive);
  co_await stage.finish(neighbour);
  co_await stage.close();
}

// Bytes of no protocol, and the beginning of ZeroMQ's followed by nonsense.
Task<> garbage(Stage& stage) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  for (int round = 0; round < 60; ++round) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::atoi(stage.address.substr(stage.address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    Buffer bytes = random_bytes(stage.dice, 1 + stage.dice.below(5000));
    const std::uint8_t greeting[] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    if (round % 2 == 0) bytes.insert(bytes.begin(), std::begin(greeting), std::end(greeting));
    static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    for (int i = 0; i < 5; ++i) co_await yield_now(stage.runtime);
    ::close(fd);
  }
  const bool alive = co_await stage.works(neighbour);
  CHECK(alive);
  CHECK(stage.acceptor.peers.size() == 1);
  co_await stage.finish(neighbour);
  co_await stage.close();
}

// A peer that speaks ZeroMQ and not our protocol.
Task<> foreign_frames(Stage& stage, TestHost& host) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  void* context = zmq_ctx_new();
  void* dealer = zmq_socket(context, ZMQ_DEALER);
  const int no_wait = 0;
  zmq_setsockopt(dealer, ZMQ_LINGER, &no_wait, sizeof no_wait);
  REQUIRE(zmq_connect(dealer, ("tcp://" + stage.address).c_str()) == 0);
  std::string log;
  for (int round = 0; round < 40; ++round) {
    const Buffer bytes = random_bytes(stage.dice, stage.dice.below(200));
    zmq_send(dealer, bytes.data(), bytes.size(), round % 3 == 0 ? ZMQ_SNDMORE : 0);
    if (round % 3 == 0) zmq_send(dealer, bytes.data(), bytes.size(), 0);
  }
  auto told = [&] {
    log += host.take_log();
    return log.find("a peer that did not greet was refused") != std::string::npos;
  };
  const bool refused = co_await stage.eventually(told);
  CHECK(refused);
  const bool alive = co_await stage.works(neighbour);
  CHECK(alive);
  CHECK(stage.acceptor.peers.size() == 1);
  zmq_close(dealer);
  zmq_ctx_term(context);
  co_await stage.finish(neighbour);
  co_await stage.close();
}

template <class Test>
void on_stage(const Texts& texts, const Test& test) {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "127.0.0.1:0", texts);
  Report report;
  report.rule("strangers");
  Stage stage(runtime, factory, report, 5);
  runtime.run(test(stage, host));
  report.finish();
  if (report.exit_status() != 0) report.print(stdout);
  CHECK(report.exit_status() == 0);
}

}  // namespace

TEST_CASE("the transport suite passes over ZeroMQ") { run_suite(1, {}, "127.0.0.1:0"); }

TEST_CASE("the transport suite passes over ZeroMQ with small limits") {
  run_suite(2, {{"hold_bytes", 1 << 20}, {"high_water_mark", 1024}, {"head_bytes", 65536}, {"eager_bytes", 20000}},
            "127.0.0.1:0");
}

TEST_CASE("the transport suite passes over ZeroMQ with encryption") {
  KeyFolder keys;
  run_suite(4, {}, "127.0.0.1:0", {{"key_file", keys.make("shared")}});
}

TEST_CASE("the transport suite passes over a ZeroMQ socket of this machine") { run_suite(3, {}, "ipc://*"); }

TEST_CASE("faults over ZeroMQ") {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory plain(zeromq::kDescriptor, host, {}, "127.0.0.1:0");
  run_faults(runtime, plain, 5, 1);
}

// Not with encryption: see "Limits of libzmq" in transports/zmq/README.md.
TEST_CASE("faults over a ZeroMQ socket of this machine") {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "ipc://*");
  run_faults(runtime, factory, 7, 7);
}

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

TEST_CASE("a wrong key is refused") {
  KeyFolder keys;
  std::string server;
  const std::string good = keys.make("server", &server);
  const std::string other = keys.make("other");
  on_stage({{"key_file", good}}, [&](Stage& stage, TestHost& host) {
    return refuse(stage, host, {{"key_file", other}, {"server_key", server}}, "is not allowed here");
  });
  on_stage({{"key_file", good}}, [&](Stage& stage, TestHost& host) {
    return refuse(stage, host, {{"key_file", other}}, "handshake");
  });
}

TEST_CASE("a peer without encryption is refused where there is, and the other way round") {
  KeyFolder keys;
  const std::string good = keys.make("server");
  on_stage({{"key_file", good}}, [&](Stage& stage, TestHost& host) { return refuse(stage, host, {}, "handshake"); });
  on_stage({}, [&](Stage& stage, TestHost& host) { return refuse(stage, host, {{"key_file", good}}, "handshake"); });
}

TEST_CASE("garbage harms nobody") {
  on_stage({}, [](Stage& stage, TestHost&) { return garbage(stage); });
  on_stage({}, [](Stage& stage, TestHost& host) { return foreign_frames(stage, host); });
}

TEST_CASE("a key file that others can read is refused") {
  KeyFolder keys;
  const std::string file = keys.make("open");
  ::chmod(file.c_str(), 0644);
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "", {{"key_file", file}});
  CHECK(!factory.make().ok());
  CHECK(host.take_log().find("can be read by others") != std::string::npos);
}

}  // namespace rideau
