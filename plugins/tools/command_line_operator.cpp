// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_line.hpp"

#include <CLI/CLI.hpp>

namespace rideau::tools {

void add_information_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* status_command = app.add_subcommand("status", "Every node: role, up or not, capacity, version");
  status_command->add_option("--config", parsed.config, "cluster.toml")->required();
  status_command->add_flag("--json", parsed.json, "For programs");
  status_command->footer(
      "Exit status 1 when a server is missing.\nExample:\n  rideau status --config ~/cluster/cluster.toml");
  status_command->callback([&] { result = status(parsed.common, parsed.config, parsed.json); });

  CLI::App* check_command = app.add_subcommand("check-config", "Tell everything that is wrong with a configuration");
  check_command->add_option("file", parsed.config, "cluster.toml")->required();
  check_command->footer(
      "Exit status 2 when there are problems, each on a line: file:line: key: problem.\n"
      "Example:\n  rideau check-config /etc/rideau/cluster.toml");
  check_command->callback([&] { result = check_config(parsed.common, parsed.config); });

  CLI::App* plugins_command = app.add_subcommand("plugins", "What plugins are found where");
  CLI::App* describe_command = plugins_command->add_subcommand("describe", "The configuration keys of one plugin");
  describe_command->add_option("name", parsed.plugin_name, "As in the configuration: tcp, lmdb, raw-file")->required();
  plugins_command->footer("Examples:\n  rideau plugins\n  rideau plugins describe tcp");
  plugins_command->callback([&, describe_command] {
    result =
        describe_command->parsed() ? describe_plugin(parsed.common, parsed.plugin_name) : list_plugins(parsed.common);
  });

  describe_command->footer("Example:\n  rideau plugins describe raw-file");

  CLI::App* version_command = app.add_subcommand("version", "The version of this program");
  version_command->footer("Example:\n  rideau version");
  version_command->callback([&] { result = version(); });
}

void add_operator_commands(CLI::App& app, Parsed& parsed, int& result) {
  NodeCommandOptions& options = parsed.node_command;
  CLI::App* stats_command = app.add_subcommand("stats", "What running nodes of this machine have counted");
  stats_command->add_option("--config", options.config, "cluster.toml")->required();
  stats_command->add_option("--node", options.node, "One node (default: all that run here)");
  stats_command->add_flag("--json", parsed.json, "For programs");
  stats_command->footer(
      "Calls by method, messages, system calls, copies, allocations, caches: the figures of the Prometheus endpoint.\n"
      "Examples:\n"
      "  rideau stats --config ~/cluster/cluster.toml\n"
      "  rideau stats --config ~/cluster/cluster.toml --node mds0 --json");
  stats_command->callback([&] { result = stats(parsed.common, options, parsed.json); });

  CLI::App* trace_command = app.add_subcommand("trace", "What the newest requests went through, on all nodes");
  trace_command->add_option("--config", options.config, "cluster.toml")->required();
  trace_command->add_option("--node", options.node, "One node (default: all that run here)");
  trace_command->add_option("--count", parsed.trace.count, "How many requests the list has")->capture_default_str();
  trace_command->add_option("--save", parsed.trace.save, "Write the events into a file, to be told elsewhere");
  trace_command->add_option("--with", parsed.trace.files, "A file of --save from another machine; may be said again")
      ->allow_extra_args(false);
  trace_command->add_option("trace", parsed.trace.trace, "A request of the list (default: the list, slowest first)");
  trace_command->footer(
      "Every node keeps its newest 32,768 events: requests of the kernel, calls, callbacks, commits, links.\n"
      "Examples:\n"
      "  rideau trace --config ~/cluster/cluster.toml                      the slowest requests\n"
      "  rideau trace --config ~/cluster/cluster.toml 5c1e8a0042d1b7f3     one of them, step by step\n"
      "  rideau trace --config /etc/rideau/cluster.toml --save mds0.events here, then with it on another machine:\n"
      "  rideau trace --config /etc/rideau/cluster.toml --with mds0.events");
  trace_command->callback([&] { result = trace(parsed.common, options, parsed.trace); });

  CLI::App* level_command = app.add_subcommand("log-level", "Change the log level of running nodes of this machine");
  level_command->add_option("--config", options.config, "cluster.toml")->required();
  level_command->add_option("--node", options.node, "One node (default: all that run here)");
  level_command->add_option("level", parsed.log_level, "debug, info, warning, error")
      ->required()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  level_command->footer(
      "It holds until the process ends; the file decides at its next start.\n"
      "Example:\n  rideau log-level --config ~/cluster/cluster.toml --node oss0 debug");
  level_command->callback([&] { result = set_log_level(parsed.common, options, parsed.log_level); });

  CLI::App* reopen_command = app.add_subcommand("reopen-logs", "Open log files anew after they were renamed");
  reopen_command->add_option("--config", options.config, "cluster.toml")->required();
  reopen_command->add_option("--node", options.node, "One node (default: all that run here)");
  reopen_command->footer(
      "For logrotate. SIGHUP to a node does the same.\n"
      "Example:\n  rideau reopen-logs --config /etc/rideau/cluster.toml");
  reopen_command->callback([&] { result = reopen_logs(parsed.common, options); });

  CLI::App* backup_command = app.add_subcommand("backup", "Back up a metadata target while it serves");
  backup_command->add_option("--config", options.config, "cluster.toml")->required();
  backup_command->add_option("--node", options.node, "The node of the metadata target, on this machine")->required();
  backup_command->add_option("file", parsed.path, "A file that is not there yet; the node writes it")->required();
  backup_command->footer(
      "The names and attributes of one moment, durable at that moment. The bytes of files are not in it.\n"
      "Example:\n  rideau backup --config ~/cluster/cluster.toml --node mds0 /backup/mds0-monday");
  backup_command->callback([&] { result = backup(parsed.common, options, parsed.path); });

  CLI::App* restore_command = app.add_subcommand("restore", "Restore a metadata target from a backup");
  restore_command->add_option("--config", options.config, "cluster.toml")->required();
  restore_command->add_option("--node", options.node, "The node of the metadata target, which must not run")
      ->required();
  restore_command->add_option("file", parsed.path, "The backup")->required();
  restore_command->footer(
      "Its folder must be empty or absent; nothing is replaced. What was changed after the backup is lost: newer "
      "files\n"
      "have no names, files removed since have names without bytes.\n"
      "Example:\n  rideau restore --config ~/cluster/cluster.toml --node mds0 /backup/mds0-monday");
  restore_command->callback([&] { result = restore(parsed.common, options, parsed.path); });

  CLI::App* compact_command =
      app.add_subcommand("compact", "Give the disk back what the indexes of stopped nodes freed");
  compact_command->add_option("--config", options.config, "cluster.toml")->required();
  compact_command->add_option("--node", options.node, "One node (default: all whose data is on this machine)");
  compact_command->footer(
      "An index uses the pages again that it freed, but its file never shrinks by itself: worth it after very many "
      "files "
      "were\n"
      "removed. Each index is written anew beside the old one, which stays until the new one is durable.\n"
      "Example:\n  rideau down --dir ~/cluster && rideau compact --config ~/cluster/cluster.toml");
  compact_command->callback([&] { result = compact(parsed.common, options); });

  CLI::App* evict_command = app.add_subcommand("evict", "End the sessions of a client at the servers of this machine");
  evict_command->add_option("--config", parsed.config, "cluster.toml")->required();
  evict_command->add_option("client", parsed.client, "Its id or name as `rideau status` shows them, or its mount point")
      ->required();
  evict_command->footer(
      "Its locks go to others at once, and what it had not written is lost: its programs get EIO. A client that is "
      "alive\n"
      "begins a new session. On a cluster of several machines, run it on the machine of the metadata server.\n"
      "Examples:\n"
      "  rideau evict --config ~/cluster/cluster.toml /mnt/shared\n"
      "  rideau evict --config /etc/rideau/cluster.toml host7:/mnt/shared\n"
      "  rideau evict --config ~/cluster/cluster.toml 0b9d2c1e-6a52-4c1f-9d55-5a1f0c3f6f10");
  evict_command->callback([&] { result = evict(parsed.common, parsed.config, parsed.client); });
}

}  // namespace rideau::tools
