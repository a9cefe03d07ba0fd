// SPDX-License-Identifier: Apache-2.0
// cluster.toml: any bytes give a configuration or problems, each with a line of the file.
#include "framework/config/cluster_config.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rideau;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ConfigResult result = parse_cluster_config(text, "/nowhere/cluster.toml");
  for (const Problem& problem : result.problems) {
    fuzz::require(!to_text(problem).empty(), "a problem has words");
    fuzz::require(problem.line <= size + 1, "a problem is on a line of the file");
  }
  if (!result.ok()) return 0;
  for (const NodeConfig& node : result.config.nodes) {
    fuzz::require(result.config.find(node.name) == &node, "a node is found by its name");
    for (const TargetConfig& target : node.targets) {
      fuzz::require(target.id != 0 && !target.data.empty() && target.data.front() == '/',
                    "a target has number and place");
    }
  }
  return 0;
}
