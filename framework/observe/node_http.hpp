// SPDX-License-Identifier: Apache-2.0
// A small HTTP responder on the node's own thread: the metrics of a node over TCP, its control socket over a Unix
// socket. One request a connection, answered whole, closed. Boost.Beast reads and writes the protocol; the waiting is
// the runtime's.
//
// Bounded: kConnectionsMax at a time (more wait in the kernel's queue), kRequestBytesMax a request, kRequestMs for it
// to arrive and for its answer to be taken.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"

#include <functional>
#include <string>

namespace rideau {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/metrics"
  std::string body;
};

struct HttpAnswer {
  unsigned status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpListener {
 public:
  static constexpr std::size_t kConnectionsMax = 16;
  static constexpr std::size_t kRequestBytesMax = 64 << 10;
  static constexpr std::uint64_t kRequestMs = 5'000;

  using Handler = std::function<Task<HttpAnswer>(HttpRequest)>;
  HttpListener(Runtime& runtime, Logger& log, Handler handler);
  ~HttpListener();  // after stop(), or without having listened
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // "127.0.0.1:9180" or "[::1]:9180", numeric; port 0: the system chooses. `bound` receives the address in use.
  bool listen_tcp(const std::string& address, std::string* bound, std::string* why);
  // A socket that the owner of this process alone may use. What is left of an earlier process at `path` is replaced:
  // the caller holds the lock that says that there is none. stop() removes it.
  bool listen_local(const std::string& path, std::string* why);
  // Takes no new requests and waits for the ones that run.
  Task<> stop();

 private:
  struct Connection;
  bool begin(int descriptor, std::string* why);
  Task<> accept_all();
  Task<> serve(int descriptor);

  Runtime& runtime_;
  Logger& log_;
  Handler handler_;
  int descriptor_ = -1;
  std::string path_;
  bool stopping_ = false;
  std::size_t connections_ = 0;
  WaitQueue changed_;
  TaskGroup tasks_;
};

}  // namespace rideau
