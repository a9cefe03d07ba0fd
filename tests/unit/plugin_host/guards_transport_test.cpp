// SPDX-License-Identifier: Apache-2.0
// Goal: the rules of links: events in their order and never inside a call, loans and regions given back, limits. Each
// is planted broken once by a transport (or by its host), and the guard names it.
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "tests/unit/plugin_host/dies.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace rideau;

namespace {

// A transport whose one link does what the test tells it.
class OneLink final : public Transport, public Link {
 public:
  Submitted start(Completion& done) noexcept override { return done.finish(kOk); }
  Submitted stop(Completion& done) noexcept override { return done.finish(kOk); }
  void cancel(Completion&) noexcept override {}
  void destroy() noexcept override {}
  TransportLimits limits() const noexcept override { return {64, 64, 2, 128}; }
  Status listen(Text, LinkEvents& events, MutableBytes, std::size_t* size) noexcept override {
    events_ = &events;
    *size = 0;
    return kOk;
  }
  Submitted connect(Text, LinkEvents& events, Link** out, Completion& done) noexcept override {
    events_ = &events;
    if (calls_inside) events.on_closed(*this, kOk);
    *out = this;
    return done.finish(kOk);
  }
  Submitted send(const IoVec*, std::uint32_t, const IoVec*, std::uint32_t, Completion& done) noexcept override {
    if (pends) return Submitted::pending;
    return done.finish(kOk);
  }
  void give_back(MessageLoan) noexcept override {}
  Status lend(const IoVec*, std::uint32_t, std::uint32_t, Region** out, RegionKey* key) noexcept override {
    *out = &region_;
    key->size = key_size;
    return kOk;
  }
  Submitted reclaim(Region&, Completion& done) noexcept override { return done.finish(kOk); }
  Submitted pull(const RegionKey&, std::uint64_t, const IoVec*, std::uint32_t, Completion& done) noexcept override {
    return done.finish(kOk, 1);
  }
  Submitted push(const RegionKey&, std::uint64_t, const IoVec*, std::uint32_t, Completion& done) noexcept override {
    return done.finish(kOk, 0);
  }
  void close() noexcept override {}
  void release() noexcept override {}

  // The events of the host, as the guard passes them on.
  LinkEvents& events() { return *events_; }
  Link& link() { return *this; }
  bool calls_inside = false;
  bool pends = false;
  std::uint8_t key_size = 8;

 private:
  struct Some : Region {};
  LinkEvents* events_ = nullptr;
  Some region_;
};

class HostSide final : public LinkEvents {
 public:
  LinkEvents* on_link(Link&) noexcept override { return this; }
  Sink on_head(Link&, MessageLoan loan, std::uint64_t) noexcept override {
    last = loan;
    return sink;
  }
  void on_eager(Link&, Status) noexcept override {}
  void on_closed(Link&, Status) noexcept override {}
  MessageLoan last;
  Sink sink;
};

Status create(Host&, const ConfigValue*, Instance** out) noexcept;
OneLink* last_made = nullptr;

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::transport, .name = "faulty", .version = "1", .summary = "for tests", .create = create};

Status create(Host&, const ConfigValue*, Instance** out) noexcept {
  last_made = new OneLink;
  *out = static_cast<Transport*>(last_made);
  return kOk;
}

struct Call : Completion {
  Call() {
    resume = [](Completion*) noexcept {};
  }
};

struct World {
  RealRuntime runtime;
  NullLogger logger;
  PluginInstance instance{runtime, logger, kDescriptor, {.name = "oss0.transport", .guarded = true}};
  HostSide host;
  Link* link = nullptr;  // the host's
  OneLink* plugin = nullptr;
  alignas(8) std::uint8_t memory[64] = {};

  MessageLoan loan(std::size_t size, std::size_t offset = 0) { return {Bytes(memory + offset, size), this}; }
  void head(std::uint64_t eager = 0) { plugin->events().on_head(plugin->link(), loan(8), eager); }
};

using Step = void (*)(World&);

Task<> run(World& world, bool calls_inside, Step step) {
  RIDEAU_ASSERT(world.instance.create(nullptr).ok());
  world.plugin = last_made;
  world.plugin->calls_inside = calls_inside;
  const Status start = co_await world.instance.start();
  RIDEAU_ASSERT(start.ok());
  Call call;
  static_cast<void>(world.instance.transport().connect("x", world.host, &world.link, call));
  step(world);
  co_await world.instance.stop();
}

std::string words(Step step, bool calls_inside = false) {
  return last_words([=] {
    World world;
    world.runtime.run(run(world, calls_inside, step));
    world.instance.instance();
  });
}

void expect(Step step, const char* culprit, const char* call, const char* rule, bool calls_inside = false) {
  const std::string said = words(step, calls_inside);
  INFO(said);
  const std::string start = std::string("rideau: plugin contract broken by the ") + culprit +
                            ": plugin \"faulty\", instance \"oss0.transport\", call " + call + ": ";
  CHECK(said.find(start) != std::string::npos);
  CHECK(said.find(rule) != std::string::npos);
}

void close_link(World& world) { world.plugin->events().on_closed(world.plugin->link(), kOk); }

}  // namespace

TEST_CASE("a link that keeps the rules passes") {
  CHECK(words([](World& world) {
          IoVec sink{world.memory, 16};
          world.host.sink = {&sink, 1};
          world.head(16);
          world.plugin->events().on_eager(world.plugin->link(), kOk);
          world.link->give_back(world.host.last);
          Region* region = nullptr;
          RegionKey key;
          IoVec part{world.memory, 8};
          RIDEAU_ASSERT(world.link->lend(&part, 1, kAccessPull, &region, &key).ok());
          Call call;
          static_cast<void>(world.link->reclaim(*region, call));
          close_link(world);
          world.link->release();
        }) == "it lives ");
}

TEST_CASE("events of a transport that breaks a rule") {
  expect([](World&) {}, "plugin", "on_closed", "inside a call", true);
  expect([](World& world) { world.head(), close_link(world), world.head(); }, "plugin", "on_head", "last call");
  expect([](World& world) { close_link(world), close_link(world); }, "plugin", "on_closed", "exactly once");
  expect([](World& world) { world.head(8), world.head(); }, "plugin", "on_head", "has not ended");
  expect([](World& world) { world.plugin->events().on_eager(world.plugin->link(), kOk); }, "plugin", "on_eager",
         "no payload was announced");
  expect([](World& world) { world.head(8), close_link(world); }, "plugin", "on_closed", "a sink is still lent");
  expect([](World& world) { world.plugin->events().on_head(world.plugin->link(), world.loan(8, 4), 0); }, "plugin",
         "on_head", "aligned");
  expect([](World& world) { world.head(65); }, "plugin", "on_head", "over its limits");
  expect([](World&) {}, "plugin", "stop", "did not see on_closed");
  expect(
      [](World& world) {
        world.plugin->pends = true;
        static Call call;
        IoVec part{world.memory, 8};
        static_cast<void>(world.link->send(&part, 1, nullptr, 0, call));
        close_link(world);
      },
      "plugin", "on_closed", "completes before");
}

TEST_CASE("calls that a transport answers wrongly") {
  expect(
      [](World& world) {
        IoVec part{world.memory, 64};
        IoVec parts[3] = {part, part, part};
        Call call;
        static_cast<void>(world.link->send(parts, 3, nullptr, 0, call));
      },
      "plugin", "Link::send", "over its limits");
  expect(
      [](World& world) {
        IoVec part{world.memory, 8};
        Call call;
        static_cast<void>(world.link->pull({}, 0, &part, 1, call));
      },
      "plugin", "Link::pull", "not all was pulled");
  expect(
      [](World& world) {
        world.plugin->key_size = 64;
        IoVec part{world.memory, 8};
        Region* region = nullptr;
        RegionKey key;
        static_cast<void>(world.link->lend(&part, 1, kAccessPull, &region, &key));
      },
      "plugin", "Link::lend", "size of the key");
  expect(
      [](World& world) {
        world.head();
        world.memory[0] = 1;
        world.link->give_back(world.host.last);
      },
      "plugin", "Link::give_back", "changed while it was lent");
}

TEST_CASE("a host that breaks a rule of links") {
  expect(
      [](World& world) {
        world.head();
        world.link->give_back(world.host.last);
        world.link->give_back(world.host.last);
      },
      "host", "Link::give_back", "given back twice");
  expect([](World& world) { world.link->release(); }, "host", "Link::release", "only after on_closed");
  expect([](World& world) { world.head(), close_link(world), world.link->release(); }, "host", "Link::release",
         "a head was not given back");
  expect(
      [](World& world) {
        IoVec sink{world.memory, 4};
        world.host.sink = {&sink, 1};
        world.head(8);
      },
      "host", "on_head", "the sink is smaller");
  expect(
      [](World& world) {
        Region* region = nullptr;
        RegionKey key;
        IoVec part{world.memory, 8};
        RIDEAU_ASSERT(world.link->lend(&part, 1, kAccessPull, &region, &key).ok());
        Call first;
        Call second;
        static_cast<void>(world.link->reclaim(*region, first));
        static_cast<void>(world.link->reclaim(*region, second));
      },
      "host", "Link::reclaim", "reclaimed twice");
}
