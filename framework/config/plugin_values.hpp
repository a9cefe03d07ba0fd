// SPDX-License-Identifier: Apache-2.0
// From the raw values of a plugin's table to the typed values in the order of its keys.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "rideau/abi.hpp"

#include <deque>
#include <string>
#include <vector>

namespace rideau {

class PluginCatalog;

// Owns the texts that its values show. Pass data() to create().
class PluginValues {
 public:
  PluginValues() = default;
  PluginValues(PluginValues&&) = default;
  PluginValues& operator=(PluginValues&&) = default;
  PluginValues(const PluginValues&) = delete;
  PluginValues& operator=(const PluginValues&) = delete;

  const ConfigValue* data() const noexcept { return values_.data(); }
  std::size_t size() const noexcept { return values_.size(); }
  const ConfigValue& operator[](std::size_t index) const { return values_.at(index); }
  void add_text(std::string text);
  void add_integer(std::int64_t integer);

 private:
  std::vector<ConfigValue> values_;
  std::deque<std::string> texts_;  // their addresses stay
};

// One value for each key of the descriptor, in its order. False when there was a problem; all of them are added.
// Relative paths start at `folder`; `file` names problems.
bool check_plugin_values(const PluginDescriptor& descriptor, const PluginChoice& choice, const std::string& file,
                         const std::string& folder, PluginValues* out, std::vector<Problem>* problems);

// Everything in a configuration that names a plugin: that it can be loaded, and that its values fit. Of a file that has
// problems already, what is missing is not told: it may be there behind another problem.
void check_cluster_plugins(const ClusterConfig& config, const PluginCatalog& catalog, std::vector<Problem>* problems);

// The table of keys as text, for `rideau plugins describe`.
std::string describe_keys(const PluginDescriptor& descriptor);

}  // namespace rideau
