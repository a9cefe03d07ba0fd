// SPDX-License-Identifier: Apache-2.0
// The two ways into a running node: its control socket, DIR/run/NODE.sock, for the commands of this program, and its
// metrics over TCP. Both speak HTTP (framework/observe/node_http.hpp). Whoever may open the socket may do everything:
// it belongs to the user of the node and to nobody else.
//
//   GET /node        what it is: process, address of its metrics, log level, sessions
//   GET /stats       every figure, as JSON
//   GET /events      the ring of events, as EventRing::dump() writes it
//   GET /metrics     the same in the text format of Prometheus; also over TCP
//   PUT /log-level   "debug", "info", "warning" or "error", until the process ends
//   POST /backup     a path: a backup of the metadata target is written there
//   POST /reopen-log the log file is opened anew, after somebody renamed it
//   POST /evict      the id of a client: its sessions end at once
#pragma once

#include "framework/base/uuid.hpp"
#include "framework/config/cluster_config.hpp"
#include "framework/observe/event_ring.hpp"
#include "framework/observe/metrics.hpp"
#include "framework/observe/node_http.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace rideau {
class Node;
}

namespace rideau::tools {

class Control {
 public:
  using Action = std::function<Task<HttpAnswer>(std::string body)>;

  Control(RealRuntime& runtime, Logger& log, const ClusterConfig& cluster, const NodeConfig& config);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  MetricsRegistry& metrics() noexcept { return metrics_; }
  // Empty: the log goes to standard error, which is nobody's to open anew.
  void set_log_file(const std::string& path) { log_file_ = path; }
  // Before start(): one more thing that can be asked over the socket, "GET /thing".
  void add(const std::string& method_and_path, Action action) { actions_[method_and_path] = std::move(action); }
  // What only servers can do; `node` is lent until stop().
  void serve_node(Node& node);
  // False when the address for metrics cannot be had; then *problem says why. Without a control socket (its path may be
  // too long) the node runs all the same, with a warning in its log.
  bool start(std::string* problem);
  Task<> stop();

 private:
  class ProcessFigures;
  Task<HttpAnswer> answer(HttpRequest request);
  Task<HttpAnswer> answer_metrics(HttpRequest request);
  HttpAnswer node_answer() const;
  HttpAnswer stats_answer() const;
  HttpAnswer set_log_level(const std::string& level);
  Task<HttpAnswer> backup(std::string path);
  HttpAnswer reopen_log();
  Task<HttpAnswer> drain(std::string body);
  HttpAnswer evict(const std::string& client);

  RealRuntime& runtime_;
  Logger& log_;
  const ClusterConfig& cluster_;
  const NodeConfig& config_;
  Node* node_ = nullptr;
  EventRing events_;
  MetricsRegistry metrics_;
  std::unique_ptr<ProcessFigures> process_;
  std::unique_ptr<MetricRegistration> process_registration_;
  std::map<std::string, Action> actions_;
  HttpListener socket_;
  HttpListener tcp_;
  std::string metrics_address_;
  std::string log_file_;
};

}  // namespace rideau::tools
