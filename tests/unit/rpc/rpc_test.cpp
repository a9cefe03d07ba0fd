// SPDX-License-Identifier: Apache-2.0
// Goal: a session over real sockets carries bodies and payloads of all sizes both ways, refuses strangers, calls back,
// and ends in order. Loss of links and resends are tested in the simulator.
#include "framework/base/limits.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "rideau/abi.hpp"
#include "tcp/descriptor.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <thread>

namespace rideau {
namespace {

constexpr std::uint16_t kEcho = 1;    // body and payload come back
constexpr std::uint16_t kCount = 2;   // counts its executions
constexpr std::uint16_t kCallMe = 3;  // calls the client back before it answers
constexpr std::uint16_t kSilent = 4;  // ends without an answer
constexpr std::uint16_t kSlow = 5;    // the first one ends when it is let go

// Values of a plugin's keys as their defaults; the tests need no others.
std::vector<ConfigValue> defaults_of(const PluginDescriptor& descriptor) {
  std::vector<ConfigValue> values(descriptor.key_count);
  for (std::uint32_t i = 0; i < descriptor.key_count; ++i) {
    const std::string_view text = descriptor.keys[i].default_value;
    values[i].text = text;
    std::int64_t number = 0;
    for (const char digit : text) {
      if (digit < '0' || digit > '9') break;
      number = number * 10 + (digit - '0');
    }
    const std::int64_t unit = text.find("KiB") != text.npos ? 1024 : text.find("MiB") != text.npos ? 1 << 20 : 1;
    values[i].integer = text == "true" ? 1 : number * unit * (text.ends_with(" s") ? 1000 : 1);
  }
  return values;
}

class EchoService final : public rpc::Service {
 public:
  explicit EchoService(Runtime& runtime) : slow(runtime), tasks(runtime), runtime_(runtime) {}
  WaitQueue slow;
  std::string story;    // of slow calls
  bool greets = false;  // calls each client back as soon as it has a session
  bool greeted = false;
  TaskGroup tasks;
  std::uint64_t executions = 0;
  int sessions = 0;
  int ended = 0;

  Task<> handle(rpc::ServerCall& call) override {
    if (call.method() == kSilent) co_return;
    if (call.method() == kCount) ++executions;
    if (call.method() == kSlow) {
      const bool first = story.empty();
      story += "begins ";
      if (first) co_await slow.wait();
      story += "ends ";
    }
    if (call.method() == kCallMe) {
      const rpc::Reply answer = co_await call.session().call_back(9, call.body(), call.trace_id());
      co_await call.reply(answer.status, answer.body);
      co_return;
    }
    const Status fetched = co_await call.fetch_payload();
    const std::uint64_t size = std::min(call.payload_bytes(), call.room_bytes());
    if (size > 0) {
      const rpc::ServerCall::Room room = co_await call.reply_room(size);
      std::copy_n(static_cast<const std::uint8_t*>(call.payload()->base), size,
                  static_cast<std::uint8_t*>(room.parts->base));
    }
    co_await call.reply(fetched, call.body(), ++transactions_, size);
  }
  Task<> greet(rpc::ServerSession& session) {
    const rpc::Reply answer = co_await session.call_back(9, Bytes{}, 0);
    greeted = answer.ok();
  }
  void on_session(rpc::ServerSession& session) override {
    ++sessions;
    if (greets) tasks.spawn(greet(session));
  }
  void on_session_closing(rpc::ServerSession&, const std::string&) override {}
  void on_session_end(rpc::ServerSession&) override { ++ended; }
  std::uint64_t durable() const noexcept override { return transactions_; }
  std::uint64_t next_session_id() override { return ++last_session_; }

 private:
  Runtime& runtime_;
  std::uint64_t transactions_ = 0;
  std::uint64_t last_session_ = 0;
};

class Client final : public rpc::SessionEvents {
 public:
  int callbacks = 0;
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes body, std::uint64_t) override {
    ++callbacks;
    rpc::CallbackReply reply;
    reply.body.words().assign(body.size / 8, 0);
    std::copy_n(body.data, body.size, reinterpret_cast<std::uint8_t*>(reply.body.words().data()));
    co_return reply;
  }
  void on_new_epoch(std::uint64_t, bool) override {}
};

const Uuid kCluster = *parse_uuid("0f0e0d0c-0b0a-4908-8706-050403020100");
const Uuid kClient = *parse_uuid("11111111-2222-4333-8444-555555555555");

// One server node and one client node, both on the test's thread.
struct Pair {
  RealRuntime runtime;
  NullLogger log;
  PluginInstance server_side{runtime, log, tcp::kDescriptor, {"server", true}};
  PluginInstance client_side{runtime, log, tcp::kDescriptor, {"client", true}};
  EchoService service{runtime};
  Client events;
  std::optional<rpc::Server> server;
  std::optional<rpc::ClientSession> session;
  std::string address;

  Task<> open() {
    const std::vector<ConfigValue> values = defaults_of(tcp::kDescriptor);
    REQUIRE(server_side.create(values.data()).ok());
    REQUIRE(client_side.create(values.data()).ok());
    const Status first = co_await server_side.start();
    const Status second = co_await client_side.start();
    REQUIRE(first.ok());
    REQUIRE(second.ok());
    server.emplace(runtime, log);
    server->add_target(service, {kCluster, 7, 1});
    REQUIRE(server->listen(server_side.transport(), "127.0.0.1:0", &address).ok());
    session.emplace(runtime, client_side.transport(), log, events, options());
  }
  rpc::SessionOptions options() const { return {address, kCluster, 7, kClient, "tester"}; }
  Task<> close() {
    co_await session->close();
    co_await server->stop();
    session.reset();
    server.reset();
    const Status first = co_await client_side.stop();
    const Status second = co_await server_side.stop();
    CHECK(first.ok());
    CHECK(second.ok());
  }
};

Task<> echo_sizes(Pair& pair) {
  co_await pair.open();
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  const std::vector<std::uint64_t> body(3, 0x0123456789abcdef);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{65536},
                                 std::size_t{65537}, std::size_t{1} << 20, std::size_t{limits::kPayloadBytesMax}}) {
    std::vector<std::uint8_t> sent(size);
    std::iota(sent.begin(), sent.end(), static_cast<std::uint8_t>(size));
    std::vector<std::uint8_t> got(size);
    const IoVec out{sent.data(), size};
    const IoVec in{got.data(), size};
    rpc::Request request;
    request.method = kEcho;
    request.body = Bytes(static_cast<const void*>(body.data()), 24);
    request.payload = &out;
    request.payload_parts = size == 0 ? 0 : 1;
    request.room = &in;
    request.room_parts = size == 0 ? 0 : 1;
    const rpc::Reply reply = co_await pair.session->call(request);
    CHECK(reply.status.code == Code::ok);
    CHECK(compare(reply.body, request.body) == 0);
    CHECK(reply.payload_bytes == size);
    CHECK(sent == got);
  }
  rpc::Request too_much;
  std::vector<std::uint8_t> huge(limits::kPayloadBytesMax + 1);
  const IoVec part{huge.data(), huge.size()};
  too_much.method = kEcho;
  too_much.payload = &part;
  too_much.payload_parts = 1;
  const rpc::Reply refused = co_await pair.session->call(too_much);
  CHECK(refused.status.code == Code::too_large);
  co_await pair.close();
  CHECK(pair.service.ended == 1);
}

TEST_CASE("bodies and payloads of all sizes come back") {
  Pair pair;
  pair.runtime.run(echo_sizes(pair));
}

Task<> one_count(Pair& pair, int& finished) {
  rpc::Request request;
  request.method = kCount;
  request.modifies = true;
  const rpc::Reply reply = co_await pair.session->call(request);
  CHECK(reply.ok());
  ++finished;
}

Task<> many_at_once(Pair& pair) {
  co_await pair.open();
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  TaskGroup tasks(pair.runtime);
  int finished = 0;
  for (int i = 0; i < 1000; ++i) tasks.spawn(one_count(pair, finished));
  co_await tasks.join();
  CHECK(finished == 1000);
  CHECK(pair.service.executions == 1000);
  CHECK(pair.session->calls_sent() == 1000);
  co_await pair.close();
}

TEST_CASE("more calls at once than slots: each runs once") {
  Pair pair;
  pair.runtime.run(many_at_once(pair));
}

constexpr std::uint64_t kStreams = 2 * limits::kSlotsPerSession;
constexpr std::uint64_t kCallsOfStream = 100;

Task<> stream_of_calls(Pair& pair) {
  rpc::Request request;
  request.method = kCount;
  request.modifies = true;
  for (std::uint64_t i = 0; i < kCallsOfStream; ++i) {
    const rpc::Reply reply = co_await pair.session->call(request);
    CHECK(reply.ok());
  }
}

Task<> one_among_streams(Pair& pair) {
  co_await pair.open();
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  TaskGroup streams(pair.runtime);
  for (std::uint64_t i = 0; i < kStreams; ++i) streams.spawn(stream_of_calls(pair));
  rpc::Request request;
  request.method = kEcho;
  {
    const rpc::Reply reply = co_await pair.session->call(request);
    CHECK(reply.ok());
  }
  CHECK(pair.service.executions <= 2 * kStreams);
  co_await streams.join();
  CHECK(pair.service.executions == kStreams * kCallsOfStream);
  co_await pair.close();
}

TEST_CASE("a call among streams that never pause has its turn") {
  Pair pair;
  pair.runtime.run(one_among_streams(pair));
}

Task<> other_things(Pair& pair) {
  co_await pair.open();
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  const std::vector<std::uint64_t> body(2, 42);
  rpc::Request call_me;
  call_me.method = kCallMe;
  call_me.body = Bytes(static_cast<const void*>(body.data()), 16);
  rpc::Reply called = co_await pair.session->call(call_me);
  CHECK(called.ok());
  CHECK(compare(called.body, call_me.body) == 0);
  called = {};  // a reply keeps memory of its transport, which waits for it at stop
  CHECK(pair.events.callbacks == 1);

  rpc::Request silent;
  silent.method = kSilent;
  rpc::Reply unanswered = co_await pair.session->call(silent);
  CHECK(unanswered.status.code == Code::io_error);
  unanswered = {};

  rpc::SessionOptions stranger = pair.options();
  stranger.cluster = kClient;
  rpc::ClientSession other(pair.runtime, pair.client_side.transport(), pair.log, pair.events, stranger);
  const Status refused = co_await other.connect();
  CHECK(refused.code == Code::refused);
  CHECK(other.last_refusal().find("belongs to cluster") != std::string::npos);
  co_await other.close();
  co_await pair.close();
}

TEST_CASE("callbacks, handlers without an answer, a client of another cluster") {
  Pair pair;
  pair.runtime.run(other_things(pair));
}

Task<> greeting(Pair& pair) {
  co_await pair.open();
  pair.service.greets = true;
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  co_await pair.service.tasks.join();
  CHECK(pair.service.greeted);
  CHECK(pair.events.callbacks == 1);
  co_await pair.close();
}

TEST_CASE("a callback right behind the welcome is heard") {
  Pair pair;
  pair.runtime.run(greeting(pair));
}

// A client whose links are the test's own.
class RawLink final : public LinkEvents {
 public:
  RawLink(Pair& pair) : pair_(pair), heard_(pair.runtime) {}
  wire::Welcome welcome;
  std::uint64_t callback = 0;  // the number of the last one that came
  bool replied = false;
  bool closed = false;

  Task<> open(std::uint64_t session) {
    const Outcome opened = co_await submit([&](Completion& done) {
      return pair_.client_side.transport().connect(std::string_view(pair_.address), *this, &link_, done);
    });
    REQUIRE(opened.ok());
    wire::Hello hello;
    hello.cluster = kCluster;
    hello.target = 7;
    hello.client = kClient;
    hello.client_name = "raw";
    hello.session = session;
    hello.boot_epoch = session != 0 ? 1 : 0;
    wire::Encoded body;
    wire::encode(hello, body);
    wire::Envelope envelope;
    envelope.kind = wire::Kind::hello;
    co_await send(envelope, body);
    while (welcome.session == 0) co_await heard_.wait();
  }
  Task<> send(const wire::Envelope& envelope, wire::Encoded& body) {
    wire::Encoded head;
    wire::encode(envelope, head);
    const IoVec parts[] = {{head.words().data(), head.words().size() * 8},
                           {body.words().data(), body.words().size() * 8}};
    const Outcome sent = co_await submit([&](Completion& done) { return link_->send(parts, 2, nullptr, 0, done); });
    REQUIRE(sent.ok());
  }
  Task<> wait(const bool& what) {
    while (!what) co_await heard_.wait();
  }
  // A callback, or an answer that came without one.
  Task<> wait_for_callback() {
    while (callback == 0 && !replied) co_await heard_.wait();
  }

 private:
  LinkEvents* on_link(Link&) noexcept override { return nullptr; }
  Sink on_head(Link& from, MessageLoan loan, std::uint64_t) noexcept override {
    wire::Envelope envelope;
    Bytes body;
    CHECK(wire::decode(loan.head, &envelope, &body).ok());
    if (envelope.kind == wire::Kind::welcome) CHECK(wire::decode(body, &welcome).ok());
    if (envelope.kind == wire::Kind::callback) callback = envelope.sequence;
    if (envelope.kind == wire::Kind::reply) replied = true;
    from.give_back(loan);
    heard_.wake_all();
    return {};
  }
  void on_eager(Link&, Status) noexcept override {}
  void on_closed(Link& from, Status) noexcept override {
    closed = true;
    heard_.wake_all();
    from.release();
  }
  Pair& pair_;
  WaitQueue heard_;
  Link* link_ = nullptr;
};

Task<> callback_moves(Pair& pair) {
  co_await pair.open();
  RawLink first(pair);
  co_await first.open(0);
  wire::Envelope call;
  call.method = kCallMe;
  call.sequence = 1;
  wire::Encoded body;
  body.words().assign(2, 42);
  co_await first.send(call, body);
  co_await first.wait_for_callback();
  // It is not answered: the network swallows what the first link carries, and the client makes a second one.
  RawLink second(pair);
  co_await second.open(first.welcome.session);
  CHECK(second.welcome.resumed);
  co_await second.wait_for_callback();
  CHECK(second.callback == first.callback);
  CHECK_FALSE(second.replied);
  co_await first.wait(first.closed);
  wire::Envelope answer;
  answer.kind = wire::Kind::callback_reply;
  answer.sequence = second.callback;
  co_await second.send(answer, body);
  wire::Envelope goodbye;
  goodbye.kind = wire::Kind::goodbye;
  co_await second.send(goodbye, body);
  co_await second.wait(second.closed);
  co_await pair.close();
  CHECK(pair.service.ended == 1);
}

TEST_CASE("a callback that one link did not carry comes over the next, though the server thought the first was alive") {
  Pair pair;
  pair.runtime.run(callback_moves(pair));
}

Task<> sleeping(Pair& pair) {
  co_await pair.open();
  CHECK_FALSE(pair.session->trusted());
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  CHECK(pair.session->trusted());
  // The whole process sleeps, as one that was stopped: nothing of it runs meanwhile.
  std::this_thread::sleep_for(std::chrono::milliseconds(limits::kTrustMs + 100));
  CHECK_FALSE(pair.session->trusted());
  co_await pair.session->until_trusted();
  CHECK(pair.session->trusted());
  CHECK(pair.service.sessions == 1);
  co_await pair.close();
}

Task<> write_slowly(Pair& pair, Status& status) {
  rpc::Request request;
  request.method = kSlow;
  request.modifies = true;
  request.outlives_restart = true;
  const rpc::Reply reply = co_await pair.session->call(request);
  status = reply.status;
}

Task<> session_given_up(Pair& pair) {
  co_await pair.open();
  const Status connected = co_await pair.session->connect();
  REQUIRE(connected.ok());
  TaskGroup tasks(pair.runtime);
  Status status{Code::busy, 0, "not yet"};
  tasks.spawn(write_slowly(pair, status));
  while (pair.service.story.empty()) co_await sleep_for(pair.runtime, kMillisecond);
  REQUIRE(pair.server->evict(kClient, "for the test"));
  // The client comes at once, and is not let in while that call runs.
  co_await sleep_for(pair.runtime, 200 * kMillisecond);
  CHECK(pair.service.sessions == 1);
  CHECK(pair.service.story == "begins ");
  pair.service.slow.wake_all();
  co_await tasks.join();
  CHECK(status.ok());
  CHECK(pair.service.story == "begins ends begins ends ");
  CHECK(pair.service.sessions == 2);
  co_await pair.close();
}

TEST_CASE("a call that outlives its session is made again under the next one, after the first has ended") {
  Pair pair;
  pair.runtime.run(session_given_up(pair));
}

TEST_CASE("who slept for long asks the server before he takes it for certain that his session is there") {
  Pair pair;
  pair.runtime.run(sleeping(pair));
}

}  // namespace
}  // namespace rideau
