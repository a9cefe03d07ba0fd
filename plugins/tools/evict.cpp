// SPDX-License-Identifier: Apache-2.0
// `rideau evict`: ends the sessions of one client at the servers of this machine.
#include "framework/base/uuid.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

namespace rideau::tools {
namespace {

struct Server {
  std::string node;
  bool metadata = false;
};

// Metadata servers last: they fence the client at the object servers, and whether those had ended its session by then
// or found it gone would be chance.
std::vector<Server> servers_here(const ClusterConfig& cluster) {
  std::vector<Server> servers;
  for (const std::string& node : local_nodes(cluster, "")) {
    const NodeConfig* config = cluster.find(node);
    if (config != nullptr && !config->targets.empty()) servers.push_back({node, config->has(Role::mds)});
  }
  std::stable_partition(servers.begin(), servers.end(), [](const Server& server) { return !server.metadata; });
  return servers;
}

// Whether a session of that name is meant: HOST:PLACE, as `status` shows it, or the place alone, where it is mounted.
bool is_called(const std::string& name, const std::string& wanted) {
  return name == wanted || (wanted.starts_with("/") && name.ends_with(":" + wanted));
}

// Ids of the clients that are meant, with their names.
std::map<std::string, std::string> clients_called(const ClusterConfig& cluster, const std::vector<Server>& servers,
                                                  const std::string& wanted) {
  std::map<std::string, std::string> found;
  for (const Server& server : servers) {
    const ControlAnswer answer = ask_node(cluster.folder, server.node, "GET", "/node", {}, 1000);
    const nlohmann::json told = answer.ok() ? nlohmann::json::parse(answer.body, nullptr, false) : nlohmann::json();
    if (!told.is_object()) continue;
    for (const nlohmann::json& session : told.value("sessions", nlohmann::json::array())) {
      const std::string name = session.value("name", "");
      if (is_called(name, wanted)) found[session.value("client", "")] = name;
    }
  }
  return found;
}

}  // namespace

int evict(const CommonOptions&, const std::string& config, const std::string& client) {
  ClusterConfig cluster;
  if (!load_config(config, nullptr, &cluster)) return kUsage;
  const std::vector<Server> servers = servers_here(cluster);
  std::string id = client;
  if (!parse_uuid(client).has_value()) {
    const std::map<std::string, std::string> meant = clients_called(cluster, servers, client);
    if (meant.empty()) {
      std::fprintf(stderr,
                   "no server on this machine has a session of \"%s\"; `rideau status --config %s` lists them\n",
                   client.c_str(), cluster.file.c_str());
      return kFailed;
    }
    if (meant.size() > 1) {
      std::fprintf(stderr, "\"%s\" may be any of these; name one by its id:\n", client.c_str());
      for (const auto& [one, name] : meant) std::fprintf(stderr, "  %s  %s\n", one.c_str(), name.c_str());
      return kUsage;
    }
    id = meant.begin()->first;
  }
  bool found = false;
  for (const Server& server : servers) {
    const ControlAnswer answer = ask_node(cluster.folder, server.node, "POST", "/evict", id);
    if (answer.ok()) {
      std::printf("%s: client %s evicted\n", server.node.c_str(), id.c_str());
      found = true;
    } else if (answer.status != 404) {
      std::fprintf(stderr, "%s\n", answer.body.c_str());
    }
  }
  if (found) return kDone;
  std::fprintf(stderr, "no server on this machine has a session of client %s\n", client.c_str());
  return kFailed;
}

}  // namespace rideau::tools
