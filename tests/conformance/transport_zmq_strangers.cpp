// SPDX-License-Identifier: Apache-2.0
// Goal: who has a wrong key, no key, or is no peer at all is refused by transports/zmq, with a reason, at whatever
// place he breaks off or goes wrong, and harms nobody: other links, memory, descriptors.
#include "sdk/testkit/relay.hpp"
#include "tests/conformance/transport_zmq.hpp"

#include <filesystem>
#include <iterator>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace rideau {
namespace {

using relay::Fault;
using relay::Relay;
using relay::Way;
using transport_suite::Buffer;
using transport_suite::Pair;
using transport_suite::Peer;
using transport_suite::random_bytes;
using transport_suite::Stage;

using Texts = LinkedTransportFactory::Texts;

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

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// The neighbour is not harmed, and nothing is left of those who came and went.
Task<> harmed_nobody(Stage& stage, Pair neighbour, std::size_t descriptors, Relay* relay = nullptr) {
  const auto gone = [&] { return open_descriptors() <= descriptors; };
  const bool clean = co_await stage.eventually(gone);
  CHECK(clean);
  const bool alive = co_await stage.works(neighbour);
  CHECK(alive);
  CHECK(stage.acceptor.peers.size() == 1);
  if (relay != nullptr) co_await relay->close();
  co_await stage.finish(neighbour);
  co_await stage.close();
}

// How a peer of ZMTP 3 begins, who wants this mechanism.
std::string begun_greeting(Dice& dice, const char* mechanism) {
  std::string out("\xff\0\0\0\0\0\0\0\1\x7f\3", 11);
  out += static_cast<char>(dice.below(2));
  out += mechanism;
  out.resize(32);
  return out.append(32, '\0');
}

// The frame of a command, with a name that may have its place.
std::string begun_command(Dice& dice, std::size_t bytes) {
  const std::string names[] = {"\5HELLO", "\7WELCOME", "\x8INITIATE", "\5READY", "\5ERROR", "\7MESSAGE", "\4PING"};
  const std::string name = names[dice.below(std::size(names))];
  const std::size_t said = dice.below(3) == 0 ? dice.below(250) : std::min<std::size_t>(250, bytes + name.size());
  return std::string("\4") + static_cast<char>(said) + name;
}

// Bytes of no protocol, and the beginning of ZeroMQ's followed by nonsense: the name of a way to encrypt, commands.
Task<> garbage(Stage& stage) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  const std::size_t descriptors = open_descriptors();
  for (int round = 0; round < 300; ++round) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::atoi(stage.address.substr(stage.address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    Buffer bytes = random_bytes(stage.dice, 1 + stage.dice.below(5000));
    std::string before = begun_greeting(stage.dice, round % 3 == 0 ? "NULL" : "CURVE");
    if (round % 2 == 0) before += begun_command(stage.dice, bytes.size());
    if (round % 5 != 0) bytes.insert(bytes.begin(), before.begin(), before.end());
    static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    for (int i = 0; i < 5; ++i) co_await yield_now(stage.runtime);
    // Some leave with a reset.
    const linger at_once{round % 4 == 0, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd);
  }
  co_await harmed_nobody(stage, neighbour, descriptors);
}

// One who has no key of the cluster and knows the public one of its servers, as ZeroMQ makes him.
class Stranger {
 public:
  explicit Stranger(const std::string& server) : server_(server), context_(zmq_ctx_new()) {
    REQUIRE(zmq_curve_keypair(open_, secret_) == 0);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() { zmq_ctx_term(context_); }

  void* begin(const std::string& address) {
    void* dealer = zmq_socket(context_, ZMQ_DEALER);
    const int no_wait = 0;
    const int once = -1;
    zmq_setsockopt(dealer, ZMQ_LINGER, &no_wait, sizeof no_wait);
    zmq_setsockopt(dealer, ZMQ_RECONNECT_IVL, &once, sizeof once);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, server_.c_str(), server_.size());
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, open_, sizeof open_ - 1);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, secret_, sizeof secret_ - 1);
    REQUIRE(zmq_connect(dealer, ("tcp://" + address).c_str()) == 0);
    zmq_send(dealer, "x", 1, ZMQ_DONTWAIT);
    return dealer;
  }

 private:
  std::string server_;
  void* context_;
  char open_[41] = "";
  char secret_[41] = "";
};

// His handshake goes wrong at any place: it is cut there, or bytes are changed, left out, or come twice.
Task<> disturbed_handshakes(Stage& stage, const std::string& server) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  Stranger stranger(server);
  Relay relay(stage.runtime, stage.dice.roll());
  REQUIRE(relay.open("127.0.0.1:0", stage.address) == 0);
  const auto meet = [&](Fault fault) -> Task<> {
    relay.plan(fault);
    void* dealer = stranger.begin(relay.place());
    const auto quiet = [&] { return stage.runtime.now_ns() - relay.quiet_since_ns() > 5 * kMillisecond; };
    const bool over = co_await stage.eventually(quiet);
    CHECK(over);
    zmq_close(dealer);
  };
  relay.plan({});
  void* first = stranger.begin(relay.place());
  // His greeting, HELLO and INITIATE, and the greeting and WELCOME that he gets, whatever the machine does beside.
  const auto shaken = [&] { return relay.passed(Way::there) > 500 && relay.passed(Way::back) > 200; };
  const bool whole = co_await stage.eventually(shaken);
  CHECK(whole);
  zmq_close(first);
  const std::size_t descriptors = open_descriptors();
  const std::uint64_t bytes[] = {relay.passed(Way::there), relay.passed(Way::back)};
  for (const Way way : {Way::there, Way::back}) {
    const std::uint64_t most = bytes[static_cast<std::size_t>(way)];
    for (std::uint64_t at = stage.dice.below(3); at < most; at += 3) {
      co_await meet({Fault::Kind::cut, way, at, 0});
      const Fault::Kind kinds[] = {Fault::Kind::change, Fault::Kind::leave_out, Fault::Kind::duplicate};
      co_await meet({kinds[at % 3], way, at, 1 + stage.dice.below(at % 2 == 0 ? 1 : 100)});
    }
  }
  co_await harmed_nobody(stage, neighbour, descriptors, &relay);
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

}  // namespace

TEST_CASE("a wrong key is refused") {
  CurveFolder keys;
  std::string server;
  const std::string good = keys.make("server", &server);
  const std::string other = keys.make("other");
  on_zmq_stage({{"key_file", good}}, [&](Stage& stage, TestHost& host) {
    return refuse(stage, host, {{"key_file", other}, {"server_key", server}}, "is not allowed here");
  });
  on_zmq_stage({{"key_file", good}}, [&](Stage& stage, TestHost& host) {
    return refuse(stage, host, {{"key_file", other}}, "handshake");
  });
}

TEST_CASE("a peer without encryption is refused where there is, and the other way round") {
  CurveFolder keys;
  const std::string good = keys.make("server");
  on_zmq_stage({{"key_file", good}},
               [&](Stage& stage, TestHost& host) { return refuse(stage, host, {}, "handshake"); });
  on_zmq_stage({}, [&](Stage& stage, TestHost& host) {
    return refuse(stage, host, {{"key_file", good}}, "handshake");
  });
}

TEST_CASE("garbage harms nobody") {
  CurveFolder keys;
  on_zmq_stage({}, [](Stage& stage, TestHost&) { return garbage(stage); });
  on_zmq_stage({{"key_file", keys.make("server")}}, [](Stage& stage, TestHost&) { return garbage(stage); });
  on_zmq_stage({}, [](Stage& stage, TestHost& host) { return foreign_frames(stage, host); });
}

TEST_CASE("a handshake of a stranger that goes wrong at any place harms nobody") {
  CurveFolder keys;
  std::string server;
  const std::string good = keys.make("server", &server);
  on_zmq_stage({{"key_file", good}}, [&](Stage& stage, TestHost&) { return disturbed_handshakes(stage, server); });
}

}  // namespace rideau
