// SPDX-License-Identifier: Apache-2.0
// rideau-conformance PLUGIN.so: loads a plugin, runs the suite of its interface with guards around every instance, and
// prints a report card. Exit status: 0 it conforms, 1 a rule failed, 2 usage, configuration, or no plugin.
#include "framework/config/document.hpp"
#include "framework/plugin_host/load.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/plugin_factory.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace rideau {
namespace {

struct Arguments {
  std::string plugin;
  std::string config;
  std::string folder;
  std::string address = "127.0.0.1:0";
  std::string index;
  std::uint64_t seed = 1;
  bool sealed = false;
  bool verbose = false;
};

// A folder of our own for the storage of the plugin; it goes away with the object.
class Workspace {
 public:
  explicit Workspace(const std::string& parent) {
    std::error_code failed;
    std::filesystem::path base = parent;
    if (parent.empty()) base = std::filesystem::temp_directory_path(failed);
    std::string name = (base / "rideau-conformance-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

RawValue raw_value(const ConfigEntry& entry) {
  RawValue raw;
  raw.key = entry.key;
  raw.line = entry.value.line;
  raw.text = entry.value.text;
  raw.integer = entry.value.integer;
  switch (entry.value.kind) {
    case ConfigNode::Kind::text:
      raw.kind = RawValue::Kind::text;
      break;
    case ConfigNode::Kind::integer:
      raw.kind = RawValue::Kind::integer;
      break;
    case ConfigNode::Kind::boolean:
      raw.kind = RawValue::Kind::boolean;
      break;
    default:
      raw.kind = RawValue::Kind::other;
      raw.text = kind_name(entry.value.kind);
  }
  return raw;
}

bool read_settings(const Arguments& arguments, PluginChoice* choice, std::vector<Problem>* problems) {
  if (arguments.config.empty()) return true;
  ConfigNode document;
  if (!read_document(arguments.config, &document, problems)) return false;
  for (const ConfigEntry& entry : document.entries) {
    choice->values.push_back(raw_value(entry));
    if (entry.key != "path") continue;
    Problem taken;
    taken.file = arguments.config;
    taken.line = entry.value.line;
    taken.key = entry.key;
    taken.message = "the suite erases what it tests, so it chooses the path itself: remove the key, or pass --dir";
    problems->push_back(taken);
  }
  return problems->empty();
}

int run_suite(const Arguments& arguments, const PluginUnderTest& plugin) {
  RealRuntime runtime;
  const std::unique_ptr<Logger> stderr_logger = make_stderr_logger("conformance", Level::debug);
  NullLogger quiet;
  Logger& logger = arguments.verbose ? *stderr_logger : quiet;
  Report report(arguments.verbose ? stdout : nullptr);
  switch (plugin.descriptor->kind) {
    case PluginKind::transport: {
      TransportPluginFactory factory(runtime, logger, plugin);
      runtime.run(run_transport_suite(runtime, factory, arguments.seed, report));
      runtime.run(run_transport_faults(runtime, factory, arguments.seed, report));
      break;
    }
    case PluginKind::index_store: {
      IndexPluginFactory factory(runtime, logger, plugin);
      runtime.run(run_index_suite(runtime, factory, arguments.seed, report));
      break;
    }
    case PluginKind::object_store: {
      ObjectPluginFactory factory(runtime, logger, plugin);
      runtime.run(run_object_suite(runtime, factory, arguments.seed, report));
      break;
    }
  }
  report.finish();
  report.print(stdout);
  std::printf("%s %s, seed %llu\n", plugin.descriptor->name, plugin.descriptor->version,
              static_cast<unsigned long long>(arguments.seed));
  return report.exit_status();
}

// An index plugin with its defaults, for a store that keeps its map in one.
bool open_index(const std::string& path, const std::string& storage, PluginUnderTest* out, PluginValues* values) {
  const LoadResult loaded = load_plugin(path, PluginKind::index_store);
  if (!loaded.ok()) {
    std::fprintf(stderr, "rideau-conformance: %s\n", loaded.message.c_str());
    return false;
  }
  out->descriptor = loaded.descriptor;
  out->storage = storage;
  out->values = values;
  PluginChoice choice;
  choice.kind = loaded.descriptor->kind;
  choice.plugin = loaded.descriptor->name;
  choice.key = loaded.descriptor->name;
  choice.default_path = storage;
  std::vector<Problem> problems;
  if (check_plugin_values(*loaded.descriptor, choice, path, storage, values, &problems)) return true;
  std::fprintf(stderr, "%s\n", to_text(problems).c_str());
  return false;
}

int run(const Arguments& arguments) {
  const LoadResult loaded = load_plugin(arguments.plugin);
  if (!loaded.ok()) {
    std::fprintf(stderr, "rideau-conformance: %s\n", loaded.message.c_str());
    return 2;
  }
  const Workspace workspace(arguments.folder);
  if (workspace.path().empty()) {
    std::fprintf(stderr, "rideau-conformance: cannot make a folder in %s\n",
                 arguments.folder.empty() ? "the folder for temporary files" : arguments.folder.c_str());
    return 2;
  }
  PluginUnderTest plugin;
  plugin.descriptor = loaded.descriptor;
  plugin.listen_address = arguments.address;
  plugin.seals = arguments.sealed;
  if (loaded.descriptor->kind != PluginKind::transport) plugin.storage = workspace.path() + "/store";
  PluginChoice choice;
  choice.kind = loaded.descriptor->kind;
  choice.plugin = loaded.descriptor->name;
  choice.key = loaded.descriptor->name;
  choice.default_path = plugin.storage;
  std::vector<Problem> problems;
  PluginValues values;
  std::error_code unknown;
  const std::filesystem::path file = std::filesystem::absolute(arguments.config, unknown);
  const std::string folder = unknown ? workspace.path() : file.parent_path().string();
  if (!read_settings(arguments, &choice, &problems) ||
      !check_plugin_values(*loaded.descriptor, choice, arguments.config, folder, &values, &problems)) {
    std::fprintf(stderr, "%s\n", to_text(problems).c_str());
    return 2;
  }
  plugin.values = &values;
  PluginUnderTest index;
  PluginValues index_values;
  if (!arguments.index.empty()) {
    if (!open_index(arguments.index, workspace.path() + "/index", &index, &index_values)) return 2;
    plugin.index = &index;
  }
  return run_suite(arguments, plugin);
}

}  // namespace
}  // namespace rideau

int main(int argc, char** argv) {
  rideau::Arguments arguments;
  CLI::App app("Checks that a plugin keeps the contract of its interface.", "rideau-conformance");
  app.add_option("plugin", arguments.plugin, "the plugin, a file rideau-NAME.so")->required();
  app.add_option("--config", arguments.config, "TOML file with the keys of the plugin at its top");
  app.add_option("--seed", arguments.seed, "what the random choices of the suite start from");
  app.add_option("--dir", arguments.folder, "where the storage of the plugin is made, and removed in the end");
  app.add_option("--address", arguments.address, "where a transport listens");
  app.add_option("--index", arguments.index, "index plugin that an object store keeps its map in, with its defaults");
  app.add_flag("--sealed", arguments.sealed, "with these settings, damage to bytes on their way must be noticed");
  app.add_flag("--verbose", arguments.verbose, "print failures at once, and what the plugin logs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return rideau::run(arguments);
}
