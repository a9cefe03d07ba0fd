// SPDX-License-Identifier: Apache-2.0
#include "plugins/library/folder.hpp"

#include "framework/runtime/real_runtime.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace rideau {
namespace {

Client::Status failure(const std::string& path) {
  const int error = errno;
  return {error, path + ": " + std::strerror(error)};
}

NewCluster new_cluster() {
  NewCluster cluster;
  RealRuntime runtime;
  std::array<std::uint8_t, 16> random{};
  runtime.random(MutableBytes(random.data(), random.size()));
  cluster.uuid = make_uuid(random);
  cluster.name = "folder";
  cluster.transport = "inproc";
  cluster.single_process = true;
  // The UUID makes it a place of its own: a program may have several folders open.
  const std::string listen = to_text(cluster.uuid) + ":1";
  cluster.servers = {{"mds0", Role::mds, 1, {listen}, ""}, {"oss0", Role::oss, 2, {listen}, ""}};
  return cluster;
}

bool make_folder(const std::string& path) { return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST; }

}  // namespace

Client::Status folder_config(const std::string& folder, ClusterConfig* out) {
  if (folder.empty()) return {EINVAL, "open_folder() wants the path of a folder"};
  if (!make_folder(folder)) return failure(folder);
  const std::string file = folder + "/cluster.toml";
  std::string why;
  // Of two programs that come first, one writes it.
  if (::access(file.c_str(), F_OK) != 0 && !write_cluster_config(file, new_cluster(), &why) &&
      ::access(file.c_str(), F_OK) != 0) {
    return {EIO, why};
  }
  ConfigResult config = load_cluster_config(file);
  if (!config.ok()) return {EINVAL, to_text(config.problems)};
  for (const NodeConfig& node : config.config.nodes) {
    for (const TargetConfig& target : node.targets) {
      if (!make_folder(target.data)) return failure(target.data);
    }
  }
  *out = std::move(config.config);
  return {};
}

}  // namespace rideau
