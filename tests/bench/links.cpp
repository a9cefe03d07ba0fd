// SPDX-License-Identifier: Apache-2.0
// What a link of one transport does, beside a bare socket of the same machine: round trips of 200 bytes one after
// the other, messages with 64 on their way, and bulk of 1 MiB pulled by the other side; and round trips while such bulk
// is on its way, beside those without. Two processes, except for a transport that reaches no other process; all rounds
// of both sides in turn. One line of JSON at the end.
//
// rideau-bench-links TRANSPORT [--set KEY=VALUE ...] [--beside-unix] [--rounds N] [--messages N] [--mib N]
#include "tests/bench/bare_socket.hpp"
#include "tests/bench/measuring.hpp"

#include "framework/node/open_plugin.hpp"
#include "framework/observe/log.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace rideau {
namespace {

constexpr std::size_t kPullsInFlight = 4;

struct Wishes {
  std::string transport;
  std::vector<std::string> settings;
  bool beside_unix = false;
  std::uint32_t rounds = 5;
  Amounts amounts;
};

struct PullAsk {
  Ask ask = Ask::pull;
  std::uint32_t count = 0;
  RegionKey key;
};
static_assert(sizeof(PullAsk) <= kMessageBytes);

// One end of a link: counts what arrives, answers what asks for it.
class End final : public LinkEvents {
 public:
  explicit End(Runtime& runtime) : runtime_(runtime), tasks_(runtime), changed_(runtime) {}

  LinkEvents* on_link(Link& opened) noexcept override {
    link = &opened;
    return this;
  }
  Sink on_head(Link&, MessageLoan loan, std::uint64_t) noexcept override {
    Message message{};
    std::memcpy(message.data(), loan.head.data, std::min(loan.head.size, message.size()));
    link->give_back(loan);
    ++received;
    last = static_cast<Ask>(message[0]);
    if (answers) answer(message);
    if (on_message) on_message();
    changed_.wake_all();
    return {};
  }
  void on_eager(Link&, Status) noexcept override {}
  void on_closed(Link& closed, Status) noexcept override {
    closed.release();
    link = nullptr;
    changed_.wake_all();
  }

  // Bytes of a message that is on its way stay here.
  void send(const Message& message) {
    Sending* sending = nullptr;
    if (free_.empty()) {
      sending = &sent_.emplace_back();
      sending->end = this;
    } else {
      sending = free_.back();
      free_.pop_back();
    }
    sending->message = message;
    sending->part = {sending->message.data(), sending->message.size()};
    sending->done.resume = [](Completion* done) noexcept {
      auto* self = static_cast<Sending::Done*>(done)->sending;
      self->end->free_.push_back(self);
    };
    sending->done.sending = sending;
    if (link->send(&sending->part, 1, nullptr, 0, sending->done) == Submitted::finished) free_.push_back(sending);
  }
  template <class Condition>
  Task<> until(Condition condition) {
    while (!condition()) co_await changed_.wait();
  }

  Link* link = nullptr;
  std::uint64_t received = 0;
  Ask last{};  // what the last message was about
  bool answers = false;
  std::function<void()> on_message;

 private:
  struct Sending {
    struct Done : Completion {
      Sending* sending = nullptr;
    };
    End* end = nullptr;
    Message message{};
    IoVec part{};
    Done done{};
  };

  void answer(const Message& message) {
    const auto ask = static_cast<Ask>(message[0]);
    if (ask == Ask::echo) send(message);
    if (ask == Ask::end) link->close();
    if (ask != Ask::pull) return;
    PullAsk wish;
    std::memcpy(static_cast<void*>(&wish), message.data(), sizeof wish);
    tasks_.spawn(pull_all(wish));
  }
  Task<> pull_all(PullAsk wish) {
    TaskGroup pulls(runtime_);
    std::uint32_t left = wish.count;
    for (std::size_t i = 0; i < kPullsInFlight; ++i) pulls.spawn(pull_some(wish.key, left));
    co_await pulls.join();
    send(Message{});
  }
  Task<> pull_some(const RegionKey& key, std::uint32_t& left) {
    std::vector<std::uint8_t> buffer(kBulkBytes);
    const IoVec part{buffer.data(), buffer.size()};
    while (left > 0) {
      --left;
      const Outcome pulled = co_await submit([&](Completion& c) { return link->pull(key, 0, &part, 1, c); });
      must(pulled.ok(), "a pull failed");
    }
  }

  Runtime& runtime_;
  TaskGroup tasks_;
  WaitQueue changed_;
  std::deque<Sending> sent_;
  std::vector<Sending*> free_;
};

PluginChoice choice_of(const Wishes& wishes) {
  PluginChoice choice;
  choice.plugin = wishes.transport;
  choice.key = "transport";
  choice.values = raw_values(wishes.settings);
  return choice;
}

// An instance that is started.
class Opened {
 public:
  Opened(Runtime& runtime, const PluginCatalog& catalog, const Wishes& wishes) {
    ClusterConfig nothing;
    nothing.file = "rideau-bench-links";
    nothing.folder = ".";
    OpenedPlugin opened = open_plugin(runtime, log_, catalog, nothing, choice_of(wishes), wishes.transport);
    must(opened.instance != nullptr, opened.problem.c_str());
    instance_ = std::move(opened.instance);
  }
  Task<> start() {
    const Status started = co_await instance_->start();
    must(started.ok(), "the transport does not start");
  }
  Task<> stop() {
    const Status stopped = co_await instance_->stop();
    must(stopped.ok(), "the transport does not stop");
  }
  Transport& transport() { return instance_->transport(); }

 private:
  NullLogger log_;
  std::unique_ptr<PluginInstance> instance_;
};

std::string listen(Transport& transport, End& end, const std::string& address) {
  std::uint8_t text[256];
  std::size_t size = 0;
  must(transport.listen(Text(address), end, MutableBytes(text, sizeof text), &size).ok(),
       "the transport does not listen");
  return {reinterpret_cast<const char*>(text), size};
}

struct OurFigures : Figures {
  double beside_bulk = 0;  // round trips a second while the other side pulls
};

// The client's side of one round.
Task<OurFigures> measure(End& end, const Amounts& amounts) {
  OurFigures figures;
  const Message echo = message_of(Ask::echo);
  const std::uint64_t trips = amounts.messages / 10;
  std::uint64_t base = end.received;
  auto begin = Clock::now();
  end.on_message = [&] {
    if (end.received - base < trips) end.send(echo);
  };
  end.send(echo);
  co_await end.until([&] { return end.received - base >= trips; });
  figures.round_trips = static_cast<double>(trips) / seconds_since(begin);

  base = end.received;
  std::uint64_t sent = kInFlight;
  begin = Clock::now();
  end.on_message = [&] {
    if (sent < amounts.messages) end.send(echo);
    ++sent;
  };
  for (std::size_t i = 0; i < kInFlight; ++i) end.send(echo);
  co_await end.until([&] { return end.received - base >= amounts.messages; });
  figures.messages = amounts.messages / seconds_since(begin);

  end.on_message = nullptr;
  std::vector<std::uint8_t> bytes(kBulkBytes, 7);
  const IoVec part{bytes.data(), bytes.size()};
  Region* region = nullptr;
  PullAsk wish;
  wish.count = amounts.mib;
  must(end.link->lend(&part, 1, kAccessPull, &region, &wish.key).ok(), "memory cannot be lent");
  Message ask{};
  std::memcpy(ask.data(), &wish, sizeof wish);
  base = end.received;
  begin = Clock::now();
  end.send(ask);
  co_await end.until([&] { return end.received > base; });
  figures.mib = amounts.mib / seconds_since(begin);

  std::uint64_t between = 0;
  bool pulled = false;
  bool alone = false;  // the echo that was on its way is back
  end.on_message = [&] {
    if (end.last != Ask::echo) {
      pulled = true;
    } else if (pulled) {
      alone = true;
    } else {
      ++between;
      end.send(echo);
    }
  };
  begin = Clock::now();
  end.send(ask);
  end.send(echo);
  co_await end.until([&] { return pulled; });
  figures.beside_bulk = static_cast<double>(between) / seconds_since(begin);
  co_await end.until([&] { return alone; });
  end.on_message = nullptr;
  const Outcome reclaimed = co_await submit([&](Completion& c) { return end.link->reclaim(*region, c); });
  must(reclaimed.ok(), "memory does not come back");
  co_return figures;
}

Task<> serve(RealRuntime& runtime, const PluginCatalog& catalog, const Wishes& wishes, int tell) {
  Opened opened(runtime, catalog, wishes);
  co_await opened.start();
  End end(runtime);
  end.answers = true;
  const std::string address = listen(opened.transport(), end, "127.0.0.1:0") + "\n";
  must(::write(tell, address.data(), address.size()) == static_cast<ssize_t>(address.size()), "nobody listens");
  co_await end.until([&] { return end.link != nullptr; });
  co_await end.until([&] { return end.link == nullptr; });
  co_await opened.stop();
}

struct Round {
  OurFigures ours;
  Figures bare;
};

Task<> drive(RealRuntime& runtime, const PluginCatalog& catalog, const Wishes& wishes, std::string address, int bare,
             std::vector<Round>* rounds) {
  Opened opened(runtime, catalog, wishes);
  co_await opened.start();
  End far(runtime);
  End near(runtime);
  std::unique_ptr<Opened> beside;
  if (address.empty()) {  // in this process
    beside = std::make_unique<Opened>(runtime, catalog, wishes);
    co_await beside->start();
    far.answers = true;
    address = listen(beside->transport(), far, "bench:1");
  }
  const Outcome connected =
      co_await submit([&](Completion& c) { return opened.transport().connect(Text(address), near, &near.link, c); });
  must(connected.ok(), "the transport does not connect");
  for (std::uint32_t i = 0; i < wishes.rounds; ++i) {
    Round round;
    round.bare = measure_bare(bare, wishes.amounts);
    round.ours = co_await measure(near, wishes.amounts);
    rounds->push_back(round);
  }
  near.send(message_of(Ask::end));
  co_await near.until([&] { return near.link == nullptr; });
  if (beside != nullptr) co_await far.until([&] { return far.link == nullptr; });
  co_await opened.stop();
  if (beside != nullptr) co_await beside->stop();
}

// The median of rounds, and of their ratios.
void print(const char* name, const std::vector<Round>& rounds, double Figures::*figure, const char* after) {
  std::vector<double> rates;
  std::vector<double> ratios;
  for (const Round& round : rounds) {
    rates.push_back(round.ours.*figure);
    ratios.push_back(round.ours.*figure / (round.bare.*figure));
  }
  std::sort(rates.begin(), rates.end());
  std::sort(ratios.begin(), ratios.end());
  std::printf("\"%s\": %.1f, \"%s_ratio\": %.4f%s", name, rates[rates.size() / 2], name, ratios[ratios.size() / 2],
              after);
}

std::string start_server(const PluginCatalog& catalog, const Wishes& wishes, int bare) {
  int pipe_ends[2];
  must(::pipe(pipe_ends) == 0, "no pipe");
  if (::fork() == 0) {
    ::close(bare);
    RealRuntime runtime;
    runtime.run(serve(runtime, catalog, wishes, pipe_ends[1]));
    std::_Exit(0);
  }
  ::close(pipe_ends[1]);
  std::string address;
  for (char c = 0; ::read(pipe_ends[0], &c, 1) == 1 && c != '\n';) address += c;
  must(!address.empty(), "the other process does not start");
  return address;
}

int run(const Wishes& wishes) {
  CatalogOptions options;
  options.folders = default_plugin_folders();
  const PluginCatalog catalog(options);
  const int bare = connect_bare(wishes.beside_unix, wishes.amounts.mib);
  const std::string address = wishes.transport == "inproc" ? "" : start_server(catalog, wishes, bare);
  std::vector<Round> rounds;
  {
    RealRuntime runtime;
    runtime.run(drive(runtime, catalog, wishes, address, bare, &rounds));
  }
  ::close(bare);
  while (::wait(nullptr) > 0) {
  }
  std::printf("{\"transport\": \"%s\", ", wishes.transport.c_str());
  print("round_trips", rounds, &Figures::round_trips, ", ");
  print("messages", rounds, &Figures::messages, ", ");
  print("bulk_mib", rounds, &Figures::mib, ", ");
  std::vector<double> kept;
  for (const Round& round : rounds) kept.push_back(round.ours.beside_bulk / round.ours.round_trips);
  std::sort(kept.begin(), kept.end());
  std::printf("\"round_trips_beside_bulk\": %.4f}\n", kept[kept.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace rideau

int main(int count, char** arguments) {
  rideau::Wishes wishes;
  CLI::App app("What a link of a transport does, beside a bare socket.", "rideau-bench-links");
  app.add_option("transport", wishes.transport, "its name")->required();
  app.add_option("--set", wishes.settings, "KEY=VALUE of the transport; may be said again")->allow_extra_args(false);
  app.add_flag("--beside-unix", wishes.beside_unix, "the bare socket is a Unix socket, not TCP");
  app.add_option("--rounds", wishes.rounds, "of both sides in turn")->check(CLI::Range(1, 1000));
  app.add_option("--messages", wishes.amounts.messages, "of a round")->check(CLI::Range(640, 100'000'000));
  app.add_option("--mib", wishes.amounts.mib, "of bulk, in a round")->check(CLI::Range(1, 1 << 20));
  CLI11_PARSE(app, count, arguments);
  return rideau::run(wishes);
}
