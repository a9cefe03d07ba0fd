// SPDX-License-Identifier: Apache-2.0
// What the parts of the transport suite share: a stage with two instances, peers that record what a link brings and
// watch the order of its events, and calls whose completions are counted. Private to the suite.
#pragma once

#include "framework/runtime/await.hpp"
#include "framework/runtime/task.hpp"
#include "sdk/testkit/dice.hpp"
#include "sdk/testkit/transport_suite.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

namespace rideau::transport_suite {

using Buffer = std::pmr::vector<std::uint8_t>;

// The thread sanitizer takes its time for each byte, so there the large sizes are smaller.
#ifdef __SANITIZE_THREAD__
constexpr std::size_t kSizeDivisor = 16;
#else
constexpr std::size_t kSizeDivisor = 1;
#endif

Buffer random_bytes(Dice& dice, std::size_t size);
// Splits a buffer into parts of random sizes, empty ones among them.
std::vector<IoVec> split(Buffer& buffer, std::size_t parts, Dice& dice);
inline IoVec whole(Buffer& buffer) { return {buffer.data(), buffer.size()}; }

struct Received {
  Buffer head;
  Buffer eager;  // empty when it was discarded
  std::uint64_t eager_bytes = 0;
};

// One end of a link.
class Peer final : public LinkEvents {
 public:
  enum class Take { exact, parts, larger, discard };

  explicit Peer(Dice& dice) : dice_(dice) {}

  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override;
  void on_eager(Link& link, Status status) noexcept override;
  void on_closed(Link& link, Status why) noexcept override;

  void give_back_all() noexcept;
  void give_back_one(std::size_t index) noexcept;
  // After on_closed: the link object goes.
  void release() noexcept;
  // The link went with its instance, or is left as it is.
  void abandon() noexcept {
    link = nullptr;
    held_.clear();
  }

  Link* link = nullptr;
  Peer* other = nullptr;  // the other end, where the stage knows it
  Take take = Take::exact;
  bool hold = false;  // keep the loans
  std::deque<Received> inbox;
  std::size_t held() const noexcept { return held_.size(); }
  bool closed = false;
  Status why{};
  std::uint64_t payload_ends = 0;  // calls of on_eager
  std::string fault;               // the first rule of events that was broken

 private:
  struct Held {
    MessageLoan loan;
    Buffer copy;
  };
  void broken(const char* rule) {
    if (fault.empty()) fault = rule;
  }

  Dice& dice_;
  std::vector<Held> held_;
  bool in_payload_ = false;
  Received current_;
  Buffer sink_;
  std::vector<IoVec> sink_parts_;
};

// Accepts every link with a peer of its own, or none.
class Acceptor final : public LinkEvents {
 public:
  explicit Acceptor(Dice& dice) : dice_(dice) {}
  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link&, MessageLoan, std::uint64_t) noexcept override;
  void on_eager(Link&, Status) noexcept override { misused = true; }
  void on_closed(Link&, Status) noexcept override { misused = true; }

  bool refuse = false;
  Peer::Take take = Peer::Take::exact;  // of peers that come
  bool misused = false;                 // events of a link came to its listener
  std::deque<std::unique_ptr<Peer>> peers;

 private:
  Dice& dice_;
};

// Calls that run at the same time, and how often each completed.
class Calls {
 public:
  struct Call : Completion {
    Calls* owner = nullptr;
    bool submitting = false;
    bool finished_at_once = false;
    std::uint32_t arrivals = 0;
    Transport* instance = nullptr;  // that it was made on
    Buffer* fills = nullptr;        // of a pull
    bool over() const noexcept { return finished_at_once || arrivals > 0; }
  };
  template <class Submit>
  Call& start(Submit submit) {
    Call& call = calls_.emplace_back();
    call.owner = this;
    call.resume = &Calls::arrived;
    call.submitting = true;
    call.finished_at_once = submit(static_cast<Completion&>(call)) == Submitted::finished;
    call.submitting = false;
    return call;
  }
  std::size_t outstanding() const noexcept;
  bool all_over() const noexcept { return outstanding() == 0; }
  bool all_ok() const noexcept;
  template <class Predicate>
  bool all_of(Predicate holds) const noexcept {
    return std::all_of(calls_.begin(), calls_.end(), holds);
  }
  std::size_t size() const noexcept { return calls_.size(); }
  std::deque<Call>& calls() noexcept { return calls_; }
  std::string fault;  // a completion that came twice, inside the call, or after it had finished

 private:
  static void arrived(Completion* done) noexcept;
  std::deque<Call> calls_;
};

struct Pair {
  Peer* near = nullptr;  // connected; of Stage::near()
  Peer* far = nullptr;   // accepted; of Stage::far()
};

// Two instances, the far one listening.
class Stage {
 public:
  Stage(Runtime& its_runtime, TransportFactory& its_factory, Report& its_report, std::uint64_t seed)
      : runtime(its_runtime), factory(its_factory), report(its_report), dice(seed), acceptor(dice) {}

  Task<bool> open();
  // With a gate before each of them.
  Task<bool> open_gated();
  Task<Transport*> start_one();
  Task<Transport*> start(Result<GatedTransport> made);
  // A new far instance in the place of one that died.
  Task<bool> renew_far();
  // Ends the far one as its machine would: destroyed without stop, and nothing arrives for it any more.
  void kill_far();
  Task<Pair> connect();
  // Closes, waits until both ends know, gives everything back and releases both.
  Task<> finish(Pair pair);
  // Stops and destroys both instances.
  Task<> close();
  // The same when the far one was stopped already.
  Task<> close_after_stop();
  Task<> stop(Transport* transport);

  // Waits, for a bounded number of looks, until it holds: on a busy machine these take longer, as does all else.
  template <class Condition>
  Task<bool> eventually(const Condition& condition) {
    for (std::uint64_t i = 0; i < 2 * factory.patience_ns() / kMillisecond; ++i) {
      if (condition()) co_return true;
      if (i < 200) {
        co_await yield_now(runtime);
      } else {
        co_await sleep_for(runtime, kMillisecond / 2);
      }
    }
    co_return condition();
  }
  // One message each way; how a test sees that a link still works.
  Task<bool> works(Pair pair);
  Task<Status> send(Peer& peer, Buffer& head, Buffer& eager);
  // Tells the other end a key in a message of its own, and waits until it has arrived.
  Task<bool> tell(Peer& owner, const RegionKey& key);

  // For a link that is connected without connect().
  Peer& add_peer();

  Transport& near() noexcept { return *near_; }
  Transport& far() noexcept { return *far_; }
  HostGate& near_gate() noexcept { return *near_gate_; }
  HostGate& far_gate() noexcept { return *far_gate_; }

  Runtime& runtime;
  TransportFactory& factory;
  Report& report;
  Dice dice;
  Acceptor acceptor;
  std::string address;   // of the far one
  bool spoiled = false;  // an end was waited for in vain: the instances cannot be stopped as usual

 private:
  Task<bool> listen();
  void release_and_destroy();

  Transport* near_ = nullptr;
  Transport* far_ = nullptr;
  HostGate* near_gate_ = nullptr;
  HostGate* far_gate_ = nullptr;
  std::deque<std::unique_ptr<Peer>> peers_;
};

Task<> check_messages(Stage& stage);
Task<> check_payloads(Stage& stage);
Task<> check_loans(Stage& stage);
Task<> check_bulk(Stage& stage);
Task<> check_keys(Stage& stage);
Task<> check_reclaim(Stage& stage);
Task<> check_many_outstanding(Stage& stage);
Task<> check_connecting(Stage& stage);
Task<> check_closing(Stage& stage);
Task<> check_stopping(Stage& stage);
Task<> check_faults_of_nodes(Stage& stage);
Task<> check_faults_of_links(Stage& stage);

}  // namespace rideau::transport_suite
