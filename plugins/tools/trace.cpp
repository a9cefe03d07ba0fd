// SPDX-License-Identifier: Apache-2.0
// `rideau trace`: the rings of events of all nodes, as a list of the slowest requests or as the story of one.
#include "framework/observe/story.hpp"
#include "plugins/client/request_names.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/fs/method_names.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/setup.hpp"

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

namespace rideau::tools {
namespace {

constexpr std::size_t kDumpBytesMax = 2ull << 30;

const char* or_unknown(const char* name) { return name != nullptr ? name : "unknown"; }

class Words {
 public:
  explicit Words(const ClusterConfig& cluster) : cluster_(cluster) {}

  std::string operator()(const TraceEvent& event) const {
    const std::string session = " of session " + std::to_string(event.subject);
    switch (event.kind) {
      case EventKind::request:
        return "the kernel asks: " + std::string(or_unknown(client::request_name(event.method))) + " of inode " +
               std::to_string(event.subject);
      case EventKind::request_end:
        return "the kernel has its answer: " + (event.status == 0 ? "ok" : error(event.status));
      case EventKind::call:
        return method(event) + to_target(event) + " sent";
      case EventKind::call_again:
        return method(event) + to_target(event) + " sent again over a new link";
      case EventKind::call_end:
        return method(event) + to_target(event) + ended(event);
      case EventKind::served:
        return method(event) + session + " arrived";
      case EventKind::served_end:
        return method(event) + session + ended(event);
      case EventKind::callback:
        return callback(event) + " asked" + session;
      case EventKind::callback_end:
        return callback(event) + session + ended(event);
      case EventKind::asked:
        return callback(event) + " arrived, from target " + std::to_string(event.target);
      case EventKind::asked_end:
        return callback(event) + ended(event);
      case EventKind::commit:
        return "a commit up to transaction " + std::to_string(event.subject) + " begins";
      case EventKind::commit_end:
        return "everything up to transaction " + std::to_string(event.subject) + " is durable";
      case EventKind::link:
        return "the link to target " + std::to_string(event.target) + " is up";
      case EventKind::link_end:
        return "the link to target " + std::to_string(event.target) + " is lost";
      case EventKind::session_end:
        return "session " + std::to_string(event.subject) + " ends";
    }
    return "an event that this version does not know (" + std::to_string(static_cast<int>(event.kind)) + ")";
  }

 private:
  static std::string error(std::uint32_t number) { return std::strerror(static_cast<int>(number)); }
  static std::string to_target(const TraceEvent& event) { return " to target " + std::to_string(event.target); }
  static std::string ended(const TraceEvent& event) {
    const auto code = static_cast<Code>(event.status);
    return code == Code::ok ? " answered" : std::string(" ended: ") + code_name(code);
  }
  static std::string callback(const TraceEvent& event) {
    switch (static_cast<fs::MetaCallback>(event.method)) {
      case fs::MetaCallback::revoke:
        return "revocation of a lock";
      case fs::MetaCallback::advisory_locks_granted:
        return "grant of flock or fcntl locks";
      case fs::MetaCallback::glimpse:
        return "question about the size of a file that it writes";
    }
    return "callback " + std::to_string(event.method);
  }
  std::string method(const TraceEvent& event) const {
    for (const NodeConfig& node : cluster_.nodes) {
      for (const TargetConfig& target : node.targets) {
        if (target.id != event.target) continue;
        return or_unknown(target.role == Role::mds ? fs::meta_method_name(event.method)
                                                   : fs::object_method_name(event.method));
      }
    }
    return "call " + std::to_string(event.method);
  }

  const ClusterConfig& cluster_;
};

std::string time_of_day(std::int64_t wall_ns) {
  const std::time_t seconds = wall_ns / 1'000'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  char all[48];
  std::snprintf(all, sizeof all, "%s.%06d", text, static_cast<int>(wall_ns / 1000 % 1'000'000));
  return all;
}

// Events of other machines, as --save wrote them. A pipe serves as well, so its end is not known before.
bool read_file(const std::string& path, std::string* out, std::string* why) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> piece(1 << 20);
  while (file && out->size() <= kDumpBytesMax) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    out->append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file) {
    *why = "has more than 2 GiB: no file of `rideau trace --save`";
  } else if (!file.eof()) {
    *why = std::strerror(errno);
  } else if (out->empty()) {
    *why = "is empty: no file of `rideau trace --save`";
  }
  return file.eof() && !out->empty();
}

// What all nodes here tell, one behind the other; false when one that runs does not.
bool collect_dumps(const ClusterConfig& cluster, const std::vector<std::string>& nodes, std::string* out) {
  bool whole = true;
  for (const std::string& node : nodes) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "GET", "/events");
    if (answer.ok()) {
      *out += answer.body;
    } else {
      std::fprintf(stderr, "%s: %s\n", node.c_str(), answer.body.c_str());
      whole = false;
    }
  }
  return whole;
}

bool save(const std::string& path, const std::string& dumps) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << dumps;
  file.close();
  if (file) return true;
  std::fprintf(stderr, "%s: %s\n", path.c_str(), std::strerror(errno));
  return false;
}

void print_list(const std::vector<NodeEvents>& nodes, std::size_t count, const Words& words) {
  std::printf("%-16s  %-15s  %12s  %-10s  %s\n", "trace", "began (UTC)", "took", "node", "what");
  for (const TraceSummary& trace : slowest_traces(nodes, count)) {
    std::printf("%016" PRIx64 "  %-15s  %9.3f ms  %-10s  %s%s\n", trace.trace_id, time_of_day(trace.wall_ns).c_str(),
                1e-6 * static_cast<double>(trace.took_ns), trace.node.c_str(), words(trace.first).c_str(),
                trace.ended ? "" : " (not answered yet)");
  }
}

}  // namespace

int trace(const CommonOptions&, const NodeCommandOptions& options, const TraceOptions& wanted) {
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  std::uint64_t id = 0;
  if (!wanted.trace.empty()) {
    const char* end = wanted.trace.data() + wanted.trace.size();
    const auto [stopped, error] = std::from_chars(wanted.trace.data(), end, id, 16);
    if (error != std::errc() || stopped != end || id == 0) {
      std::fprintf(stderr, "\"%s\" is no trace: it is a number of 16 hex digits, as in the list\n",
                   wanted.trace.c_str());
      return kUsage;
    }
  }
  std::string dumps;
  const bool whole = collect_dumps(cluster, local_nodes(cluster, options.node), &dumps);
  if (!wanted.save.empty()) return save(wanted.save, dumps) && whole ? kDone : kFailed;

  std::vector<NodeEvents> nodes;
  std::string why;
  bool read = decode_events(dumps, &nodes, &why);
  for (const std::string& path : wanted.files) {
    std::string saved;
    if (read && (!read_file(path, &saved, &why) || !decode_events(saved, &nodes, &why))) {
      why = path + ": " + why;
      read = false;
    }
  }
  if (!read) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  if (nodes.empty()) {
    std::fprintf(stderr, "no node of %s runs on this machine; events of others come with --with FILE\n",
                 cluster.file.c_str());
    return kFailed;
  }
  const Words words(cluster);
  if (id == 0) {
    print_list(nodes, wanted.count, words);
    return whole ? kDone : kFailed;
  }
  const std::string story = tell_story(nodes, id, words);
  if (story.empty()) {
    std::fprintf(stderr, "no node has an event of %s (any more): each keeps its newest %zu\n", wanted.trace.c_str(),
                 EventRing::kEvents);
    return kFailed;
  }
  std::printf("%s", story.c_str());
  return whole ? kDone : kFailed;
}

}  // namespace rideau::tools
