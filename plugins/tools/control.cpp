// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/control.hpp"

#include "framework/base/version.hpp"
#include "framework/node/node.hpp"
#include "plugins/tools/allocation_count.hpp"
#include "plugins/tools/file_sink.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/signals.hpp"

#include <cstdio>
#include <fstream>

#include <dirent.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

using Json = nlohmann::ordered_json;

HttpAnswer json_answer(const Json& document) {
  return {200, "application/json", document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

HttpAnswer text_answer(unsigned status, const std::string& text) {
  return {status, "text/plain; charset=utf-8", text + "\n"};
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t open_descriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(folder);
  return count - 1;  // the folder itself is open
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

// What the process as a whole, and its runtime, tell. Allocations are those of the node's thread.
class Control::ProcessFigures final : public MetricSource {
 public:
  explicit ProcessFigures(RealRuntime& runtime)
      : runtime_(runtime), started_seconds_(1e-9 * static_cast<double>(runtime.wall_ns())) {}

  void collect(MetricList& to) const override {
    to.gauge("rideau_build_info", "Always 1; its label is the version.", {{"version", kVersion}}, 1);
    to.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", {},
             static_cast<double>(resident_bytes()));
    to.gauge("process_open_fds", "Number of open file descriptors.", {}, static_cast<double>(open_descriptors()));
    to.counter_seconds("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", {},
                       cpu_seconds());
    to.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", {},
             started_seconds_);
    to.counter("rideau_sleeps_total", "How often the node's thread slept in the kernel.", {}, runtime_.sleeps());
    to.counter("rideau_resumes_total", "Completions that the node's thread resumed.", {}, runtime_.resumes());
    to.counter("rideau_system_calls_total", "System calls by the part that made them.", {{"part", "runtime"}},
               runtime_.system_calls());
    const FrameCounts frames = frame_counts();
    to.counter("rideau_frames_total", "Coroutine frames that were used.", {}, frames.taken);
    to.counter("rideau_frames_allocated_total", "Those among them that were not recycled.", {}, frames.allocated);
    if (kAllocationsCounted) {
      to.counter("rideau_allocations_total", "Allocations of the node's thread.", {}, allocations_of_this_thread());
    }
  }

 private:
  RealRuntime& runtime_;
  double started_seconds_;
};

Control::Control(RealRuntime& runtime, Logger& log, const ClusterConfig& cluster, const NodeConfig& config)
    : runtime_(runtime),
      log_(log),
      cluster_(cluster),
      config_(config),
      events_(runtime),
      process_(std::make_unique<ProcessFigures>(runtime)),
      process_registration_(std::make_unique<MetricRegistration>(metrics_, *process_)),
      socket_(runtime, log, [this](HttpRequest request) { return answer(std::move(request)); }),
      tcp_(runtime, log, [this](HttpRequest request) { return answer_metrics(std::move(request)); }) {
  if (config.events) log_.set_events(&events_);
  add("GET /node", [this](std::string) -> Task<HttpAnswer> { co_return node_answer(); });
  add("GET /stats", [this](std::string) -> Task<HttpAnswer> { co_return stats_answer(); });
  add("GET /events", [this](std::string) -> Task<HttpAnswer> {
    co_return HttpAnswer{200, "application/octet-stream", events_.dump(config_.name)};
  });
  add("PUT /log-level", [this](std::string body) -> Task<HttpAnswer> { co_return set_log_level(body); });
  add("POST /reopen-log", [this](std::string) -> Task<HttpAnswer> { co_return reopen_log(); });
}

Control::~Control() { log_.set_events(nullptr); }

void Control::serve_node(Node& node) {
  node_ = &node;
  add("POST /backup", [this](std::string body) { return backup(std::move(body)); });
  add("POST /drain", [this](std::string body) { return drain(std::move(body)); });
  add("POST /evict", [this](std::string body) -> Task<HttpAnswer> { co_return evict(body); });
}

bool Control::start(std::string* problem) {
  const std::string path = socket_path(cluster_.folder, config_.name);
  std::string why;
  if (!socket_.listen_local(path, &why))
    log_.warning("no control socket, so no stats, log-level, evict: %s", why.c_str());
  if (config_.metrics.empty()) return true;
  if (!tcp_.listen_tcp(config_.metrics, &metrics_address_, &why)) {
    *problem = "node " + config_.name + " cannot tell its metrics: " + why + "; choose another `metrics` in " +
               cluster_.file + ", or \"off\"";
    return false;
  }
  log_.info("metrics of node %s at http://%s/metrics", config_.name.c_str(), metrics_address_.c_str());
  return true;
}

Task<> Control::stop() {
  co_await socket_.stop();
  co_await tcp_.stop();
}

Task<HttpAnswer> Control::answer(HttpRequest request) {
  if (request.path == "/metrics") {
    HttpAnswer told = co_await answer_metrics(std::move(request));
    co_return told;
  }
  const auto found = actions_.find(request.method + " " + request.path);
  if (found == actions_.end()) {
    co_return text_answer(404, "node " + config_.name + " does not know " + request.method + " " + request.path);
  }
  HttpAnswer done = co_await found->second(std::move(request.body));
  co_return done;
}

Task<HttpAnswer> Control::answer_metrics(HttpRequest request) {
  if (request.path != "/metrics") co_return text_answer(404, "there is only /metrics here");
  if (request.method != "GET") co_return text_answer(405, "GET is all that /metrics understands");
  HttpAnswer told;
  told.type = "text/plain; version=0.0.4; charset=utf-8";
  told.body = prometheus_text(metrics_.collect());
  co_return told;
}

HttpAnswer Control::node_answer() const {
  Json document;
  document["node"] = config_.name;
  document["version"] = kVersion;
  document["process"] = ::getpid();
  document["metrics"] = metrics_address_;
  document["log_level"] = level_name(log_.level());
  document["sessions"] = Json::array();
  if (node_ != nullptr) {
    for (const rpc::Server::SessionInfo& session : node_->sessions()) {
      Json one;
      one["client"] = to_text(session.client);
      one["name"] = session.client_name;
      one["target"] = session.target;
      one["session"] = session.id;
      one["connected"] = session.connected;
      document["sessions"].push_back(one);
    }
    document["evictions"] = node_->evictions();
    document["recovery"] = node_->recovery();
  }
  return json_answer(document);
}

HttpAnswer Control::stats_answer() const {
  Json document;
  document["node"] = config_.name;
  Json& figures = document["metrics"] = Json::object();
  const MetricList metrics = metrics_.collect();
  for (const Metric& metric : metrics.all()) {
    if (metric.kind == MetricKind::histogram) {
      figures[metric_key(metric)] = {{"count", metric.histogram->count()},
                                     {"seconds", 1e-9 * static_cast<double>(metric.histogram->sum_ns())}};
    } else {
      figures[metric_key(metric)] = metric.value;
    }
  }
  return json_answer(document);
}

HttpAnswer Control::set_log_level(const std::string& level) {
  Level parsed{};
  if (!parse_level(level, &parsed)) return text_answer(400, "a level is debug, info, warning or error");
  const std::string before = level_name(log_.level());
  log_.set_level(Level::info);  // the change itself is in the log, whatever the levels
  log_.info("log level %s, was %s", level.c_str(), before.c_str());
  log_.set_level(parsed);
  return text_answer(200, before);
}

HttpAnswer Control::reopen_log() {
  std::string why;
  if (log_file_.empty()) return text_answer(200, "standard error");
  if (!open_log_file(log_file_, &why)) return text_answer(500, why);
  return text_answer(200, log_file_);
}

Task<HttpAnswer> Control::backup(std::string path) {
  FileSink sink(runtime_);
  std::string why;
  if (!sink.open(path, &why)) co_return text_answer(409, why);
  Status done = co_await node_->backup(sink);
  if (done.ok()) done = co_await sink.finish();
  if (!done.ok()) co_return text_answer(500, path + ": no backup: " + status_text(done));
  log_.info("backup of %llu bytes written to %s", static_cast<unsigned long long>(sink.bytes()), path.c_str());
  co_return text_answer(200, std::to_string(sink.bytes()));
}

Task<HttpAnswer> Control::drain(std::string body) {
  const Json wish = Json::parse(body, nullptr, false);
  const bool whole = wish.is_object() && wish.contains("action") && wish["action"].is_string() &&
                     wish.contains("target") && wish["target"].is_number_unsigned() && wish.contains("rate") &&
                     wish["rate"].is_number_unsigned();
  if (!whole) co_return text_answer(400, "wants action, target and rate");
  const std::string action = wish["action"];
  auto what = RoleInstance::Drain::begin;
  if (action == "cancel") what = RoleInstance::Drain::cancel;
  if (action == "remove") what = RoleInstance::Drain::remove;
  if (what == RoleInstance::Drain::begin && action != "begin") {
    co_return text_answer(400, "an action is begin, cancel or remove");
  }
  const std::string problem = co_await node_->drain(what, wish["target"], wish["rate"]);
  co_return problem.empty() ? text_answer(200, "done") : text_answer(409, problem);
}

HttpAnswer Control::evict(const std::string& client) {
  const std::optional<Uuid> id = parse_uuid(client);
  if (!id.has_value()) return text_answer(400, "wants the id of a client");
  if (!node_->evict(*id, "asked for by the operator")) return text_answer(404, "no session of that client here");
  return text_answer(200, "evicted");
}

}  // namespace rideau::tools
