// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a peer writes to a TCP link, at worst that one link closes, with the reason logged. Other links of the
// instance go on, and memory that was lent is written only by good pushes.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_tcp.hpp"
#include "transports/tcp/frame.hpp"
#include "transports/tcp/limits.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <functional>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rideau {
namespace {

using tcp::FrameHeader;
using tcp::FrameType;
using transport_suite::Buffer;
using transport_suite::Pair;
using transport_suite::Peer;
using transport_suite::random_bytes;
using transport_suite::Stage;

// A peer that speaks bytes.
class RawClient {
 public:
  explicit RawClient(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) std::abort();
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  // What the other side does not take any more is lost, which is no failure here.
  void write(const Buffer& bytes) {
    static_cast<void>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }
  void end() { ::shutdown(fd_, SHUT_WR); }

 private:
  int fd_;
};

Buffer frame(FrameType type, const Buffer& head, const Buffer& body, std::uint64_t tag = 0) {
  FrameHeader header;
  header.type = type;
  header.head_bytes = static_cast<std::uint32_t>(head.size());
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  header.tag = tag;
  const IoVec part{const_cast<std::uint8_t*>(head.data()), head.size()};
  header.checksum = tcp::checksum_of(header, &part, 1);
  Buffer out(sizeof header + tcp::padded(head.size()) + tcp::padded(body.size()));
  std::memcpy(out.data(), &header, sizeof header);
  std::copy(head.begin(), head.end(), out.begin() + sizeof header);
  std::copy(body.begin(), body.end(),
            out.begin() + static_cast<std::ptrdiff_t>(sizeof header + tcp::padded(head.size())));
  return out;
}

template <class Head>
Buffer bytes_of(const Head& head) {
  Buffer out(sizeof head);
  std::memcpy(out.data(), &head, sizeof head);
  return out;
}

Buffer hello(std::uint32_t version = tcp::kProtocolVersion) {
  tcp::Hello greeting;
  greeting.version = version;
  greeting.head_bytes_max = 1 << 20;
  greeting.eager_bytes_max = 1 << 16;
  return frame(FrameType::hello, bytes_of(greeting), {});
}

// A header with a right checksum whose lengths promise more than follows.
Buffer promise(FrameType type, std::uint32_t head_bytes, std::uint32_t body_bytes) {
  FrameHeader header;
  header.type = type;
  header.head_bytes = head_bytes;
  header.body_bytes = body_bytes;
  header.checksum = tcp::checksum_of(header, nullptr, 0);
  return bytes_of(header);
}

struct Case {
  const char* name;
  bool greets;
  Buffer bytes;
  Code why;
};

std::vector<Case> cases(Dice& dice) {
  std::vector<Case> all;
  all.push_back({"random bytes instead of a greeting", false, random_bytes(dice, 4000), Code::corrupt});
  all.push_back({"an HTTP request", false, Buffer(64, 'G'), Code::corrupt});
  all.push_back(
      {"a message before the greeting", false, frame(FrameType::message, random_bytes(dice, 8), {}), Code::corrupt});
  all.push_back({"another version", false, hello(99), Code::refused});
  all.push_back({"a second greeting", true, hello(), Code::corrupt});
  all.push_back({"random bytes after the greeting", true, random_bytes(dice, 4000), Code::corrupt});
  all.push_back({"an unknown type", true, promise(static_cast<FrameType>(77), 0, 0), Code::corrupt});
  all.push_back({"a head over the limit", true, promise(FrameType::message, (1 << 20) + 1, 0), Code::corrupt});
  all.push_back(
      {"the largest head there is", true, promise(FrameType::message, UINT32_MAX, UINT32_MAX), Code::corrupt});
  all.push_back({"a payload over the limit", true, promise(FrameType::message, 0, (1 << 16) + 1), Code::corrupt});
  all.push_back({"a push over the limit", true, promise(FrameType::push, 32, tcp::kBulkBytesMax + 1), Code::corrupt});
  all.push_back({"a push with a short head", true, promise(FrameType::push, 31, 8), Code::corrupt});
  all.push_back({"a pull with a body", true, promise(FrameType::pull, 32, 8), Code::corrupt});
  all.push_back({"pull data without bytes", true, promise(FrameType::pull_data, 0, 0), Code::corrupt});
  all.push_back({"data for no pull", true, frame(FrameType::pull_data, {}, Buffer(8), 12345), Code::corrupt});
  all.push_back({"the end of no pull", true, frame(FrameType::pull_end, Buffer(8), {}, 12345), Code::corrupt});
  tcp::BulkHead bulk;
  bulk.size = 9;
  all.push_back({"a push of a wrong size", true, frame(FrameType::push, bytes_of(bulk), Buffer(8)), Code::corrupt});
  Buffer damaged = frame(FrameType::message, random_bytes(dice, 100), {});
  damaged[60] ^= 1;
  all.push_back({"a damaged head", true, damaged, Code::corrupt});
  Buffer cut = frame(FrameType::message, random_bytes(dice, 100), random_bytes(dice, 1000));
  cut.resize(500);
  all.push_back({"a stream that ends in a payload", true, cut, Code::closed});
  cut.resize(50);
  all.push_back({"a stream that ends in a head", true, cut, Code::closed});
  Buffer pulls;
  for (std::uint32_t i = 0; i < 40 * tcp::kPullsMax; ++i) {
    const Buffer one = frame(FrameType::pull, bytes_of(tcp::BulkHead{}), {}, i);
    pulls.insert(pulls.end(), one.begin(), one.end());
  }
  all.push_back({"more pulls than are allowed", true, pulls, Code::corrupt});
  return all;
}

// The accepted peer of a raw client.
Task<Peer*> accepted(Stage& stage, std::size_t before) {
  auto arrived = [&] { return stage.acceptor.peers.size() > before; };
  const bool came = co_await stage.eventually(arrived);
  co_return came ? stage.acceptor.peers.back().get() : nullptr;
}

Task<> run_cases(Stage& stage, TestHost& host) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  const std::vector<Case> all = cases(stage.dice);
  for (const Case& one : all) {
    INFO(one.name);
    const std::size_t before = stage.acceptor.peers.size();
    RawClient client(stage.address);
    if (one.greets) client.write(hello());
    client.write(one.bytes);
    client.end();
    Peer* peer = co_await accepted(stage, before);
    REQUIRE(peer != nullptr);
    auto closed = [&] { return peer->closed; };
    const bool ended = co_await stage.eventually(closed);
    CHECK(ended);
    CHECK(peer->why.code == one.why);
    CHECK(peer->fault == "");
    const bool logged = host.take_log().find("closed: ") != std::string::npos;
    CHECK(logged == (one.why != Code::closed));
    peer->release();
    const bool alive = co_await stage.works(neighbour);
    CHECK(alive);
  }
  co_await stage.finish(neighbour);
  co_await stage.close();
}

// Good frames that come in the smallest pieces.
Task<> run_pieces(Stage& stage) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const std::size_t before = stage.acceptor.peers.size();
  RawClient client(stage.address);
  Buffer stream = hello();
  const Buffer heads[] = {random_bytes(stage.dice, 13), random_bytes(stage.dice, 0), random_bytes(stage.dice, 64)};
  const Buffer eagers[] = {random_bytes(stage.dice, 21), random_bytes(stage.dice, 5), random_bytes(stage.dice, 0)};
  for (int i = 0; i < 3; ++i) {
    const Buffer one = frame(FrameType::message, heads[i], eagers[i]);
    stream.insert(stream.end(), one.begin(), one.end());
  }
  for (const std::uint8_t byte : stream) {
    client.write({byte});
    for (int i = 0; i < 3; ++i) co_await yield_now(stage.runtime);
  }
  Peer* peer = co_await accepted(stage, before);
  REQUIRE(peer != nullptr);
  auto arrived = [&] { return peer->inbox.size() == 3; };
  const bool came = co_await stage.eventually(arrived);
  REQUIRE(came);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(peer->inbox[i].head == heads[i]);
    CHECK(peer->inbox[i].eager == eagers[i]);
  }
  co_await stage.close();
}

// One bit of a good stream is wrong: the link closes, or what arrived are good heads, since they carry a checksum.
Task<> run_flips(Stage& stage) {
  const bool open = co_await stage.open();
  REQUIRE(open);
  const Pair neighbour = co_await stage.connect();
  REQUIRE(neighbour.near != nullptr);
  int closed_as_corrupt = 0;
  for (int round = 0; round < 400; ++round) {
    Buffer stream = hello();
    std::vector<Buffer> heads;
    for (int i = 0; i < 5; ++i) {
      heads.push_back(random_bytes(stage.dice, stage.dice.below(200)));
      tcp::BulkHead bulk;
      bulk.size = 24;
      for (const Buffer& one :
           {frame(FrameType::message, heads.back(), random_bytes(stage.dice, stage.dice.below(100))),
            frame(FrameType::push, bytes_of(bulk), random_bytes(stage.dice, 24))}) {
        stream.insert(stream.end(), one.begin(), one.end());
      }
    }
    stream[stage.dice.below(stream.size())] ^= static_cast<std::uint8_t>(1u << stage.dice.below(8));
    const std::size_t before = stage.acceptor.peers.size();
    RawClient client(stage.address);
    client.write(stream);
    client.end();
    Peer* peer = co_await accepted(stage, before);
    REQUIRE(peer != nullptr);
    auto closed = [&] { return peer->closed; };
    const bool ended = co_await stage.eventually(closed);
    CHECK(ended);
    CHECK(peer->fault == "");
    if (peer->why.code == Code::corrupt) ++closed_as_corrupt;
    REQUIRE(peer->inbox.size() <= heads.size());
    for (std::size_t i = 0; i < peer->inbox.size(); ++i) CHECK(peer->inbox[i].head == heads[i]);
    peer->release();
  }
  CHECK(closed_as_corrupt > 100);
  const bool alive = co_await stage.works(neighbour);
  CHECK(alive);
  co_await stage.finish(neighbour);
  co_await stage.close();
}

void run(const std::function<Task<>(Stage&, TestHost&)>& test, std::uint64_t seed) {
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host);
  Report report;
  report.rule("malformed");
  Stage stage(runtime, factory, report, seed);
  runtime.run(test(stage, host));
  report.finish();
  if (report.exit_status() != 0) report.print(stdout);
  CHECK(report.exit_status() == 0);
}

}  // namespace

TEST_CASE("malformed frames close their link alone, with a reason") { run(run_cases, 1); }

TEST_CASE("frames may come in any pieces") {
  run([](Stage& stage, TestHost&) { return run_pieces(stage); }, 2);
}

TEST_CASE("a wrong bit is found or does no harm") {
  run([](Stage& stage, TestHost&) { return run_flips(stage); }, 3);
}

}  // namespace rideau
