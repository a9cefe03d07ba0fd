// SPDX-License-Identifier: Apache-2.0
#include "framework/config/cluster_config_check.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace rideau {
namespace {

// Where something was said first, to name it when it comes again.
struct Said {
  std::string key;
  std::uint32_t line = 0;
};

class Checker {
 public:
  Checker(const ClusterConfig& config, std::vector<Problem>* problems) : config_(config), problems_(problems) {}

  void run() {
    const NodeConfig* first_mds = nullptr;
    bool any_oss = false;
    for (const NodeConfig& node : config_.nodes) {
      if (node.has(Role::mds) && first_mds != nullptr) {
        add(node.line, "node." + node.name + ".roles",
            "mds: " + first_mds->name + " in line " + std::to_string(first_mds->line) +
                " is the metadata server; more than one: not in this version");
      }
      if (node.has(Role::mds) && first_mds == nullptr) first_mds = &node;
      any_oss = any_oss || node.has(Role::oss);
      check_addresses(node);
      for (const TargetConfig& target : node.targets) check_target(node, target);
    }
    if (config_.nodes.empty() || !problems_->empty()) return;  // these would only repeat other problems
    for (const NodeConfig& from : config_.nodes) check_ways(from);
    if (first_mds == nullptr) add(0, "node", "no node has the role mds");
    if (!any_oss) add(0, "node", "no node has the role oss");
  }

 private:
  void add(std::uint32_t line, const std::string& key, const std::string& message) {
    problems_->push_back({config_.file, line, key, message, ""});
  }

  void once(std::map<std::string, Said>& said, const std::string& what, std::uint32_t line, const std::string& key,
            const std::string& named) {
    const auto [first, is_new] = said.emplace(what, Said{key, line});
    if (is_new) return;
    add(line, key, named + " is taken by " + first->second.key + " in line " + std::to_string(first->second.line));
  }

  // The port of "host:port"; nothing when it is none.
  static std::optional<unsigned> port_of(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0) return std::nullopt;
    unsigned port = 0;
    const char* begin = address.data() + colon + 1;
    const char* end = address.data() + address.size();
    const auto [at, error] = std::from_chars(begin, end, port);
    if (begin == end || error != std::errc{} || at != end || port > 65535) return std::nullopt;
    return port;
  }

  // Clients reach every server, the metadata server every object server.
  void check_ways(const NodeConfig& from) {
    for (const NodeConfig& to : config_.nodes) {
      const bool needed = from.has(Role::client) ? !to.targets.empty() : from.has(Role::mds) && to.has(Role::oss);
      if (!needed || !ways_between(from, to).empty()) continue;
      add(from.ways.front().transport.line, "node." + from.name + ".transport",
          "names no transport on which node." + to.name + " listens (" + names_of_transports(to) + ")");
    }
  }

  static std::string names_of_transports(const NodeConfig& server) {
    std::string names;
    for (const Way& way : server.ways) {
      if (!way.address.empty()) names += (names.empty() ? "" : ", ") + way.transport.plugin;
    }
    return names;
  }

  void check_addresses(const NodeConfig& node) {
    const std::string key = "node." + node.name + ".listen";
    bool listens = false;
    for (const Way& way : node.ways) {
      listens = listens || !way.listen.empty();
      if (!way.listen.empty()) {
        check_address(node, way.listen, way.address);
      } else if (!way.address.empty()) {
        add(node.line, key, "is empty for " + way.transport.plugin + ", and peers would connect to " + way.address);
      }
    }
    bool reported = false;
    for (const Problem& problem : *problems_) reported = reported || problem.key == key;
    if (!node.targets.empty() && !listens && !reported) add(node.line, key, "is empty");
  }

  void check_address(const NodeConfig& node, const std::string& listen, const std::string& peers_use) {
    for (const bool peers : {false, true}) {
      const std::string& address = peers ? peers_use : listen;
      if (peers && (address == listen || address.empty())) continue;
      const std::string key = "node." + node.name + (peers ? ".address" : ".listen");
      if (address.starts_with("ipc://") && address.size() <= 255) continue;  // a socket of this machine: no port
      const std::optional<unsigned> port = port_of(address);
      if (address.size() > 255 || !port.has_value())
        add(node.line, key, "wants host:port, such as \"127.0.0.1:7400\"");
      else if (*port == 0)
        add(node.line, key, "wants a fixed port: peers could not find port 0");
    }
    if (peers_use.starts_with("0.0.0.0:") || peers_use.starts_with("[::]:")) {
      add(node.line, "node." + node.name + ".address", "is missing: peers cannot connect to " + listen);
    }
    if (!peers_use.empty())
      once(addresses_, peers_use, node.line, "node." + node.name + ".listen", "the address " + peers_use);
  }

  void check_target(const NodeConfig& node, const TargetConfig& target) {
    const std::string key = "node." + node.name;
    if (target.id != 0) {
      once(ids_, std::to_string(target.id), target.line, key + ".id", "target id " + std::to_string(target.id));
    }
    if (std::find(config_.removed.begin(), config_.removed.end(), target.id) != config_.removed.end()) {
      add(target.line, key + ".id",
          std::to_string(target.id) +
              " was the id of a target that was removed (cluster.removed), and is never used again");
    }
    if (!target.data.empty()) once(folders_, target.data, target.line, key + ".data", "the folder " + target.data);
  }

  const ClusterConfig& config_;
  std::vector<Problem>* problems_;
  std::map<std::string, Said> addresses_;
  std::map<std::string, Said> ids_;
  std::map<std::string, Said> folders_;
};

}  // namespace

void check_between_nodes(const ClusterConfig& config, std::vector<Problem>* problems) {
  Checker(config, problems).run();
}

}  // namespace rideau
