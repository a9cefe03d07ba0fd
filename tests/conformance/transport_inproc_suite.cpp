// SPDX-License-Identifier: Apache-2.0
// Goal: transports/inproc keeps the contract of Transport, as it comes and with a budget so small that every send meets
// it; and two nodes with threads of their own can be linked.
#include "framework/runtime/real_thread.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "tests/conformance/transport_faults.hpp"
#include "transports/inproc/descriptor.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <future>

namespace rideau {
namespace {

using transport_suite::Acceptor;
using transport_suite::Buffer;
using transport_suite::Peer;
using transport_suite::random_bytes;
using transport_suite::whole;

void run_suite(std::uint64_t seed, const LinkedTransportFactory::Settings& settings) {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(inproc::kDescriptor, host, settings, "anywhere:0");
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
  CHECK(host.take_log() == "");
}

Transport& make(Host& host) {
  LinkedTransportFactory factory(inproc::kDescriptor, host, {}, "");
  Result<Transport*> made = factory.make();
  REQUIRE(made.ok());
  return **made;
}

Task<> stop(Transport& transport) {
  const Outcome stopped = co_await submit([&](Completion& done) { return transport.stop(done); });
  CHECK(stopped.ok());
}

template <class Work>
void on(RealThread& thread, Work work) {
  std::promise<void> done;
  thread.post([&] {
    work();
    done.set_value();
  });
  done.get_future().get();
}

// The node that answers each message with the same bytes, payload and head exchanged.
class Echo final : public LinkEvents {
 public:
  LinkEvents* on_link(Link&) noexcept override { return this; }
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override {
    head_.assign(loan.head.data, loan.head.data + loan.head.size);
    link.give_back(loan);
    eager_.resize(eager_bytes);
    part_ = whole(eager_);
    return {&part_, 1};
  }
  void on_eager(Link& link, Status status) noexcept override {
    if (!status.ok()) return;
    answers_.emplace_back();
    Answer& answer = answers_.back();
    answer.head = head_;
    answer.eager = std::move(eager_);
    answer.parts[0] = whole(answer.head);
    answer.parts[1] = whole(answer.eager);
    answer.resume = [](Completion*) noexcept {};
    static_cast<void>(link.send(&answer.parts[0], 1, &answer.parts[1], 1, answer));
  }
  void on_closed(Link& link, Status) noexcept override {
    link.release();
    closed.set_value();
  }
  std::promise<void> closed;

 private:
  struct Answer : Completion {
    Buffer head;
    Buffer eager;
    IoVec parts[2];
  };
  Buffer head_;
  Buffer eager_;
  IoVec part_{};
  std::deque<Answer> answers_;
};

Task<> talk(Runtime& runtime, Transport& near, const std::string& address) {
  Dice dice(5);
  Peer peer(dice);
  Link* link = nullptr;
  const Outcome connected = co_await submit([&](Completion& c) { return near.connect(Text(address), peer, &link, c); });
  REQUIRE(connected.ok());
  peer.link = link;
  for (std::size_t i = 0; i < 2000; ++i) {
    Buffer head = random_bytes(dice, 8 + i % 200);
    Buffer eager = random_bytes(dice, 1 + dice.below(20000));
    const IoVec parts[2] = {whole(head), whole(eager)};
    const Outcome sent = co_await submit([&](Completion& c) { return link->send(&parts[0], 1, &parts[1], 1, c); });
    REQUIRE(sent.ok());
    while (peer.inbox.size() <= i) co_await yield_now(runtime);
    REQUIRE(peer.inbox[i].head == head);
    REQUIRE(peer.inbox[i].eager == eager);
  }
  link->close();
  while (!peer.closed) co_await yield_now(runtime);
  CHECK(peer.fault == "");
  peer.release();
  co_await stop(near);
}

}  // namespace

TEST_CASE("the transport suite passes within a process") { run_suite(1, {}); }

TEST_CASE("the transport suite passes within a process with small limits") {
  run_suite(2, {{"hold_bytes", 1 << 20}, {"head_bytes", 65536}, {"eager_bytes", 20000}});
}

TEST_CASE("faults within a process") {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(inproc::kDescriptor, host, {}, "anywhere:0");
  run_faults(runtime, factory, 3, 7);
}

TEST_CASE("nodes of two threads are linked") {
  RealRuntime runtime;
  TestHost host(runtime);
  RealThread other;
  TestHost other_host(other.runtime());
  Echo echo;
  Transport* far = nullptr;
  std::string address;
  on(other, [&] {
    far = &make(other_host);
    std::uint8_t bound[64];
    std::size_t size = 0;
    REQUIRE(far->listen("threads:0", echo, MutableBytes(bound, sizeof bound), &size).ok());
    address.assign(reinterpret_cast<const char*>(bound), size);
  });
  Transport& near = make(host);
  runtime.run(talk(runtime, near, address));
  near.destroy();
  echo.closed.get_future().get();
  std::promise<void> stopped;
  struct Done : Completion {
    std::promise<void>* stopped = nullptr;
  } done;
  done.stopped = &stopped;
  done.resume = [](Completion* completion) noexcept { static_cast<Done*>(completion)->stopped->set_value(); };
  on(other, [&] {
    if (far->stop(done) == Submitted::finished) stopped.set_value();
  });
  stopped.get_future().get();
  on(other, [&] { far->destroy(); });
}

}  // namespace rideau
