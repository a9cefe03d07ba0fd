// SPDX-License-Identifier: Apache-2.0
// Goal: a listener with keys lets in whom it should and nobody else: other keys, none, garbage, silence. Each is
// refused with a reason that tells what to do, costs little, and harms no link that is there.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_tcp.hpp"
#include "tests/conformance/transport_tcp_keys.hpp"

#include <cstring>
#include <deque>
#include <functional>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rideau {
namespace {

using transport_suite::Buffer;
using transport_suite::Pair;
using transport_suite::Peer;
using transport_suite::random_bytes;
using transport_suite::Stage;
using Settings = LinkedTransportFactory::Settings;
using Texts = KeyFolder::Texts;

constexpr std::size_t kHandshakes = 256;  // limits.hpp

int connect_raw(const std::string& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return fd;
}

// Runs `test` where a listener has these keys, beside two neighbours who talk.
template <class Test>
void on_stage(const Texts& texts, const Test& test, Settings settings = {}) {
  settings["local"] = 0;
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, settings, "127.0.0.1:0", texts);
  Report report;
  report.rule("strangers");
  Stage stage(runtime, factory, report, 5);
  runtime.run([](Stage& on, TestHost& with, const Test& body) -> Task<> {
    const bool open = co_await on.open();
    REQUIRE(open);
    const Pair neighbour = co_await on.connect();
    REQUIRE(neighbour.near != nullptr);
    static_cast<void>(with.take_log());
    co_await body(on, with);
    const bool alive = co_await on.works(neighbour);
    CHECK(alive);
    const Pair another = co_await on.connect();
    REQUIRE(another.near != nullptr);
    co_await on.finish(another);
    co_await on.finish(neighbour);
    co_await on.close();
  }(stage, host, test));
  report.finish();
  if (report.exit_status() != 0) report.print(stdout);
  CHECK(report.exit_status() == 0);
}

// What becomes of a stranger who connects, and what both sides log of it.
struct Refusal {
  Status status{};
  std::string log;
};
Task<Refusal> connect_stranger(Stage& stage, TestHost& host, Texts texts) {
  TcpFactory factory(host, {{"local", 0}}, "", texts);
  const Result<Transport*> made = factory.make();
  REQUIRE(made.ok());
  Transport& stranger = **made;
  Peer peer(stage.dice);
  Link* link = nullptr;
  const std::string address = stage.address;
  Refusal outcome;
  const Outcome connected =
      co_await submit([&](Completion& c) { return stranger.connect(Text(address), peer, &link, c); });
  outcome.status = connected.status;
  if (link != nullptr) {
    peer.link = link;
    auto closed = [&] { return peer.closed; };
    const bool ended = co_await stage.eventually(closed);
    CHECK(ended);
    outcome.status = peer.why;
    peer.release();
  }
  // The other side hears of it a little later.
  auto logged = [&] {
    outcome.log += host.take_log();
    return outcome.log.find("refused:") != std::string::npos || outcome.log.find(" closed:") != std::string::npos;
  };
  const bool told = co_await stage.eventually(logged);
  CHECK(told);
  const Outcome stopped = co_await submit([&](Completion& c) { return stranger.stop(c); });
  CHECK(stopped.ok());
  stranger.destroy();
  co_return outcome;
}

void check_refused(const Refusal& outcome, const char* told_here, const char* told_there) {
  INFO(outcome.log);
  CHECK(outcome.status.code == Code::refused);
  REQUIRE(outcome.status.where != nullptr);
  INFO(outcome.status.where);
  CHECK(std::string(outcome.status.where).find(told_here) != std::string::npos);
  CHECK(outcome.log.find(told_there) != std::string::npos);
}

}  // namespace

TEST_CASE("keys of another authority are refused") {
  KeyFolder folder;
  const KeyFolder::Authority foreign = folder.make_authority("foreign");
  Texts stranger = folder.make("stranger", foreign);
  stranger["authority"] = foreign.file;
  on_stage(folder.make("server"), [&](Stage& stage, TestHost& host) -> Task<> {
    const Refusal outcome = co_await connect_stranger(stage, host, stranger);
    check_refused(outcome, "of another authority", "of another authority");
  });
  // The stranger knows the server's authority too, so that it is the server who refuses.
  stranger["authority"] = folder.write("both.pem", folder.authority.pair.certificate + foreign.pair.certificate);
  on_stage(folder.make("server2"), [&](Stage& stage, TestHost& host) -> Task<> {
    const Refusal outcome = co_await connect_stranger(stage, host, stranger);
    check_refused(outcome, "this node is of another authority", "all nodes of a cluster need keys of one");
    CHECK(stage.acceptor.peers.size() == 1);
  });
}

TEST_CASE("who connects refuses a server with a certificate for another address") {
  KeyFolder folder;
  const Texts client = folder.make("client");
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, {{"local", 0}}, "127.0.0.1:0", folder.make("server", folder.authority, {"10.1.2.3"}));
  Report report;
  report.rule("strangers");
  Stage stage(runtime, factory, report, 6);
  runtime.run([](Stage& on, TestHost& with, Texts texts) -> Task<> {
    const bool open = co_await on.open();
    REQUIRE(open);
    const Refusal outcome = co_await connect_stranger(on, with, texts);
    check_refused(outcome, "not for its address", "no link with 127.0.0.1");
    co_await on.close();
  }(stage, host, client));
}

TEST_CASE("plain tcp and TLS refuse each other, and both say what to do") {
  KeyFolder folder;
  on_stage(folder.make("server"), [&](Stage& stage, TestHost& host) -> Task<> {
    const Refusal outcome = co_await connect_stranger(stage, host, {});
    check_refused(outcome, "the peer speaks TLS: certificate, key and authority are needed on both sides",
                  "the peer speaks tcp without TLS: certificate, key and authority are needed on both sides");
    CHECK(stage.acceptor.peers.size() == 1);
  });
  const Texts client = folder.make("client");
  on_stage({}, [&](Stage& stage, TestHost& host) -> Task<> {
    const Refusal outcome = co_await connect_stranger(stage, host, client);
    check_refused(outcome, "the peer speaks tcp without TLS", "the peer speaks TLS");
  });
}

TEST_CASE("garbage on a listener with keys harms nobody, and does not fill the log") {
  KeyFolder folder;
  on_stage(folder.make("server"), [](Stage& stage, TestHost& host) -> Task<> {
    std::size_t lines = 0;
    for (int round = 0; round < 300; ++round) {
      const int fd = connect_raw(stage.address);
      Buffer bytes = random_bytes(stage.dice, 1 + stage.dice.below(20'000));
      const std::uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};  // how a ClientHello begins
      if (round % 2 == 0) bytes.insert(bytes.begin(), hello, hello + 1 + stage.dice.below(sizeof hello));
      static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
      for (int i = 0; i < 5; ++i) co_await yield_now(stage.runtime);
      ::close(fd);
      const std::string log = host.take_log();
      lines += static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n'));
    }
    CHECK(stage.acceptor.peers.size() == 1);
    CHECK(lines > 10);
    CHECK(lines <= 100);
  });
}

TEST_CASE("who says nothing is given up, and many of them keep nobody out") {
  KeyFolder folder;
  on_stage(folder.make("server"),
           [](Stage& stage, TestHost& host) -> Task<> {
             std::deque<int> silent;
             std::string log;
             for (std::size_t i = 0; i < kHandshakes + 40; ++i) silent.push_back(connect_raw(stage.address));
             auto full = [&] {
               log += host.take_log();
               return log.find("too many handshakes") != std::string::npos;
             };
             const bool dropped = co_await stage.eventually(full);
             CHECK(dropped);
             const Pair meanwhile = co_await stage.connect();
             REQUIRE(meanwhile.near != nullptr);
             co_await stage.finish(meanwhile);
             for (const int fd : silent) ::close(fd);
           },
           {{"connect_timeout", 600'000}});
  on_stage(folder.make("patience"),
           [](Stage& stage, TestHost& host) -> Task<> {
             const int fd = connect_raw(stage.address);
             std::string log;
             auto late = [&] {
               log += host.take_log();
               return log.find("took too long") != std::string::npos;
             };
             const bool given_up = co_await stage.eventually(late);
             CHECK(given_up);
             char byte = 0;
             CHECK(::recv(fd, &byte, 1, 0) <= 0);
             ::close(fd);
           },
           {{"connect_timeout", 1'000}});
}

TEST_CASE("keys that cannot be used are told when the instance is made") {
  KeyFolder folder;
  RealRuntime runtime;
  TestHost host(runtime);
  const Texts late = folder.make("late", folder.authority, {"127.0.0.1"}, -1);
  CHECK(!TcpFactory(host, {}, "", late).make().ok());
  CHECK(host.take_log().find("rideau keys node") != std::string::npos);
  CHECK(!TcpFactory(host, {}, "", {{"certificate", late.at("certificate")}}).make().ok());
  CHECK(host.take_log().find("are needed together") != std::string::npos);
}

}  // namespace rideau
