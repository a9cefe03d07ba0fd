// SPDX-License-Identifier: Apache-2.0
// The inside of Client, shared by its source files: client.cpp (life), client_begin.cpp (operations with `done`),
// client_wait.cpp (those that wait).
#pragma once

#include "framework/base/limits.hpp"
#include "framework/config/cluster_config.hpp"
#include "framework/node/node.hpp"
#include "framework/node/transports.hpp"
#include "framework/observe/log.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/real_memory_gauge.hpp"
#include "framework/runtime/real_shared_memory.hpp"
#include "framework/runtime/real_thread.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/file_system.hpp"
#include "rideau/client.hpp"

#include <atomic>
#include <cerrno>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace rideau {

// Operations that run at the same time. A session has no more slots, so more would only spread over more memory.
constexpr std::uint32_t kStartedMax = 2 * limits::kSlotsPerSession;

// Passes lines on, and remembers the last error: what connect() failed with.
class LibraryLogger final : public Logger {
 public:
  explicit LibraryLogger(std::function<void(int, const std::string&)> sink)
      : Logger(sink ? Level::debug : Level::error), sink_(std::move(sink)) {}
  std::string last_error();

 private:
  void put(Level level, std::string_view line) noexcept override;
  const std::function<void(int, const std::string&)> sink_;
  std::mutex mutex_;
  std::string last_error_;
};

Client::Status to_client(Status status);
inline Client::Status client_error(int error, std::string text) { return {error, std::move(text)}; }

// What an operation answers where there is no file system to ask.
inline void set_failure(Client::Status& answer, Client::Status status) { answer = std::move(status); }
template <class T>
void set_failure(Client::Result<T>& answer, Client::Status status) {
  answer.status = std::move(status);
}

struct Client::Impl {
  Impl(ClusterConfig cluster_config, PluginCatalog plugins, const Options& options, bool its_servers_too)
      : serves(its_servers_too),
        config(std::move(cluster_config)),
        catalog(std::move(plugins)),
        log(options.log),
        operations_max(options.operations_max) {}

  // Everything below it lives on the thread; made and destroyed there.
  struct Running {
    explicit Running(Runtime& runtime) : operations(runtime), life(runtime) {}
    std::unique_ptr<Node> node;  // of a file system in a folder; null: its servers are elsewhere
    RealSharedMemory memory;
    RealMemoryGauge gauge;
    std::unique_ptr<NodeTransports> transports;
    std::unique_ptr<client::FileSystem> files;
    TaskGroup operations;
    TaskGroup life;  // connecting, disconnecting
  };

  static Result<std::unique_ptr<Client>> begin_life(ClusterConfig config, const Options& options, bool serves);
  Task<Client::Status> serve_all();
  Task<> start(std::string place, std::promise<Client::Status>& done);
  Task<Client::Status> open_all(const std::string& place);
  Task<> stop(std::promise<Client::Status>& done);
  Task<Client::Status> close_all();
  Client::Status disconnect();

  // Begins an operation: `make` is a callable that gives its Task<Answer> once it is called on the thread, with the
  // file system.
  template <class Answer, class Make>
  void begin(Make make, std::function<void(Answer)> done) {
    const bool full = in_flight.fetch_add(1, std::memory_order_relaxed) >= operations_max;
    submit([this, full, make = std::move(make), done = std::move(done)](bool taken) mutable {
      if (full || !taken) {
        in_flight.fetch_sub(1, std::memory_order_relaxed);
        Answer answer;
        set_failure(answer, !taken ? client_error(ESHUTDOWN, "the client was disconnected")
                                   : client_error(EAGAIN, "too many operations are in flight"));
        done(std::move(answer));
        return;
      }
      running->operations.spawn(run<Answer, Make>(*this, std::move(make), std::move(done)));
    });
  }

  template <class Answer, class Make>
  static Task<> run(Impl& impl, Make make, std::function<void(Answer)> done) {
    ++impl.started;
    Answer answer = co_await make(*impl.running->files);
    --impl.started;
    impl.in_flight.fetch_sub(1, std::memory_order_relaxed);
    done(std::move(answer));
    impl.start_waiting();
  }

  // Starts an operation; `taken` is false when the client was disconnected before.
  using Start = std::function<void(bool taken)>;
  void submit(Start start);  // any thread
  void take_submitted();
  void start_waiting();

  // Waits for the answer of an operation that `start` begins with the callback that it is given.
  template <class Answer, class Start>
  Answer wait(Start start) {
    if (thread.is_current()) {
      Answer answer;
      set_failure(answer, client_error(EDEADLK, "a call that waits, on the thread that would answer it"));
      return answer;
    }
    auto promise = std::make_shared<std::promise<Answer>>();
    std::future<Answer> future = promise->get_future();
    start([promise](Answer answer) { promise->set_value(std::move(answer)); });
    return future.get();
  }

  const bool serves;
  const ClusterConfig config;
  const PluginCatalog catalog;
  LibraryLogger log;
  const std::uint32_t operations_max;
  std::atomic<std::uint32_t> in_flight{0};
  std::mutex submitting;
  std::vector<Start> submitted;  // under it
  // On the thread.
  std::deque<Start> waiting;  // for their turn
  bool starting = false;      // what ends while another is started leaves the next to that loop
  std::uint32_t started = 0;  // operations that run
  bool closed = false;
  std::mutex closing;         // one disconnect() at a time
  bool disconnected = false;  // under it
  std::optional<Running> running;
  RealThread thread;  // ends first
};

}  // namespace rideau
