// SPDX-License-Identifier: Apache-2.0
// The plugins that this program can use: those linked into it, and the files rideau-*.so of some folders.
#pragma once

#include "framework/plugin_host/load.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rideau {

struct CatalogOptions {
  std::vector<const PluginDescriptor*> linked;  // found first
  std::vector<std::string> folders;             // in this order; the first match wins. A missing folder is empty.
};

// One plugin, or one file that looks like a plugin and is none.
struct PluginEntry {
  std::string path;                              // empty: linked in
  const PluginDescriptor* descriptor = nullptr;  // null: `problem` says why
  std::string problem;
};

class PluginCatalog {
 public:
  explicit PluginCatalog(CatalogOptions options);

  // The plugin that configurations call `name`. Loads the file of that name (rideau-NAME.so; '_' counts as '-'), and
  // only when there is none the others of the kind. The message of a failure lists what was looked for and found.
  LoadResult find(PluginKind kind, std::string_view name) const;

  // Everything, loaded; for `rideau plugins`. In the order of find().
  std::vector<PluginEntry> all() const;

  const std::vector<std::string>& folders() const noexcept { return options_.folders; }

 private:
  CatalogOptions options_;
  std::vector<std::string> files_;  // full paths
};

// ../lib/rideau/plugins, seen from the folder of the running program (also where the libraries live in lib/<triplet>).
// Folders that do not exist are left out.
std::vector<std::string> default_plugin_folders();

}  // namespace rideau
