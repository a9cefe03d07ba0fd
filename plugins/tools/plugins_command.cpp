// SPDX-License-Identifier: Apache-2.0
// `rideau plugins`, `rideau plugins describe`, `rideau check-config`, `rideau version`: what is there and what is
// wrong.
#include "framework/base/version.hpp"
#include "framework/config/plugin_values.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/setup.hpp"

#include <cstdio>

namespace rideau::tools {
namespace {

const char* plugin_kind_text(PluginKind kind) {
  switch (kind) {
    case PluginKind::transport:
      return "transport";
    case PluginKind::index_store:
      return "index";
    case PluginKind::object_store:
      return "objects";
  }
  return "unknown";
}

std::string capability_text(std::uint64_t capabilities) {
  const struct {
    std::uint64_t bit;
    const char* name;
  } known[] = {{kTransportRemoteAccess, "remote-access"},
               {kTransportCopies, "copies"},
               {kTransportStreams, "streams"},
               {kIndexGetBlocks, "get-blocks"},
               {kObjectLends, "lends"},
               {kObjectPunches, "punches"},
               {kObjectAllocates, "allocates"},
               {kObjectMaps, "maps"},
               {kObjectChecksums, "checksums"},
               {kObjectOutlivesProcess, "outlives its process"}};
  std::string text;
  for (const auto& entry : known) {
    if ((capabilities & entry.bit) != 0) text += (text.empty() ? "" : ",") + std::string(entry.name);
  }
  return text.empty() ? "-" : text;
}

}  // namespace

int list_plugins(const CommonOptions& common) {
  const PluginCatalog catalog = make_catalog(common);
  const std::vector<PluginEntry> all = catalog.all();
  if (all.empty()) {
    std::fprintf(stderr, "no plugins found; looked in:\n");
    for (const std::string& folder : catalog.folders()) std::fprintf(stderr, "  %s\n", folder.c_str());
    return kFailed;
  }
  int result = kDone;
  std::printf("%-14s %-10s %-9s %-16s %s\n", "NAME", "KIND", "VERSION", "CAPABILITIES", "FILE");
  for (const PluginEntry& entry : all) {
    if (entry.descriptor == nullptr) {
      std::fprintf(stderr, "%s: %s\n", entry.path.c_str(), entry.problem.c_str());
      result = kFailed;
      continue;
    }
    const PluginDescriptor& plugin = *entry.descriptor;
    std::printf("%-14s %-10s %-9s %-16s %s\n", plugin.name, plugin_kind_text(plugin.kind), plugin.version,
                capability_text(plugin.capabilities).c_str(), entry.path.empty() ? "linked in" : entry.path.c_str());
  }
  return result;
}

int describe_plugin(const CommonOptions& common, const std::string& name) {
  const PluginCatalog catalog = make_catalog(common);
  bool found = false;
  for (const PluginEntry& entry : catalog.all()) {
    if (entry.descriptor == nullptr || name != entry.descriptor->name) continue;
    const PluginDescriptor& plugin = *entry.descriptor;
    std::printf("%s %s, %s\n%s\nplugin interface: %d.%u\ncapabilities: %s\nfile: %s\n\n%s", plugin.name, plugin.version,
                plugin_kind_text(plugin.kind), plugin.summary, RIDEAU_ABI_MAJOR, plugin.abi_minor,
                capability_text(plugin.capabilities).c_str(), entry.path.empty() ? "linked in" : entry.path.c_str(),
                describe_keys(plugin).c_str());
    found = true;
  }
  if (found) return kDone;
  std::fprintf(stderr, "no plugin is called \"%s\"; `rideau plugins` lists those that are here\n", name.c_str());
  return kUsage;
}

int check_config(const CommonOptions& common, const std::string& config) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(config, &catalog, &cluster)) return kUsage;
  std::printf("%s: cluster %s, %zu nodes, no problems\n", cluster.file.c_str(), cluster.name.c_str(),
              cluster.nodes.size());
  return kDone;
}

std::string version_text() {
  return std::string("rideau ") + kVersion + " (plugin interface " + std::to_string(RIDEAU_ABI_MAJOR) + "." +
         std::to_string(RIDEAU_ABI_MINOR) + ")";
}

int version() {
  std::printf("%s\n", version_text().c_str());
  return kDone;
}

}  // namespace rideau::tools
