// SPDX-License-Identifier: Apache-2.0
// What can be said on the command line, and what --help, completion and the man page say of it. Each function here adds
// commands; when one of them was typed, it fills its part of `parsed`, runs, and leaves its exit status in `result`.
// Both outlive the parsing.
#pragma once

#include "plugins/tools/commands.hpp"

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace rideau::tools {

struct Parsed {
  CommonOptions common;
  UpOptions up;
  std::string down_folder;
  ServeOptions serve;
  MountOptions mount;
  LayoutOptions layout;
  FsckOptions fsck;
  ScrubOptions scrub;
  DrainOptions drain;
  FormatOptions format;
  KeysOptions keys;
  std::vector<std::string> paths;
  std::string path;
  std::string config;
  std::string plugin_name;
  bool json = false;
  NodeCommandOptions node_command;
  TraceOptions trace;
  std::string log_level;
  std::string client;
  std::string shell;
};

void add_cluster_commands(CLI::App& app, Parsed& parsed, int& result);      // up, down, serve, reload
void add_client_commands(CLI::App& app, Parsed& parsed, int& result);       // mount, umount, sync, layout
void add_information_commands(CLI::App& app, Parsed& parsed, int& result);  // status, check-config, plugins, version
void add_store_commands(CLI::App& app, Parsed& parsed, int& result);        // fsck, scrub, drain, format
void add_keys_commands(CLI::App& app, Parsed& parsed, int& result);
void add_operator_commands(CLI::App& app, Parsed& parsed, int& result);  // stats, trace, logs, backup, compact, evict

}  // namespace rideau::tools
