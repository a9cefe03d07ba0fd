// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_line.hpp"

#include <CLI/CLI.hpp>

namespace rideau::tools {

namespace {

void add_up(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* command = app.add_subcommand("up", "Start a whole cluster on this machine and mount it");
  UpOptions& options = parsed.up;
  command
      ->add_option("--dir", options.folder, "Folder of the cluster; cluster.toml in it is written when there is none")
      ->required();
  command->add_option("--mount", options.mount_point, "Mount point (default: DIR/mnt)");
  command->add_flag("--no-mount", options.no_mount, "Start the servers only");
  command->add_option("--mds", options.mds_count, "Metadata servers")->capture_default_str();
  command->add_option("--oss", options.oss_count, "Object servers; more than the cluster has: it grows")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--transport", options.transport, "Transport plugin (default: tcp; inproc in a single process)");
  command->add_option("--index", options.index, "Index plugin")->capture_default_str();
  command->add_option("--objects", options.objects, "Object store plugin")->capture_default_str();
  command->add_option("--device", options.devices,
                      "OSS=PATH: the formatted device or image of one object server, with --objects block-device");
  command->add_flag("--single-process", options.single_process,
                    "All roles in one process, which ends when it is unmounted");
  command->add_flag("--encrypt", options.encrypt,
                    "A new cluster gets keys and encrypts everything: tcp with TLS 1.3, zmq with CURVE");
  command->footer(
      "Examples:\n"
      "  rideau up --dir ~/cluster                      two object servers, mounted at ~/cluster/mnt\n"
      "  rideau up --dir ~/small --single-process       one process, no network\n"
      "  rideau up --dir ~/cluster --mount /mnt/shared --oss 4\n"
      "  rideau up --dir ~/cluster --oss 5              one more object server, while everybody works");
  command->callback([&, command] {
    for (const CLI::Option* option : command->parse_order()) options.given.insert(option->get_name());
    result = up(parsed.common, options);
  });
}

void add_server_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* down_command = app.add_subcommand("down", "Unmount and stop what `up` started");
  down_command->add_option("--dir", parsed.down_folder, "Folder of the cluster")->required();
  down_command->footer("Example:\n  rideau down --dir ~/cluster");
  down_command->callback([&] { result = down(parsed.common, parsed.down_folder); });

  CLI::App* serve_command = app.add_subcommand("serve", "Run one node in the foreground");
  serve_command->add_option("--config", parsed.serve.config, "cluster.toml")->required();
  serve_command->add_option("--node", parsed.serve.node, "Name of the node in the file")->required();
  serve_command->add_option("--role", parsed.serve.roles, "mds, oss: must be what the file says")->delimiter(',');
  serve_command->add_option("--log-file", parsed.serve.log_file,
                            "Append the log to this file, and open it anew on SIGHUP (default: standard error)");
  serve_command->add_option("--mount", parsed.serve.mount_point,
                            "Mount point, of a node that is a client too; it ends when that is unmounted");
  serve_command->footer("Example:\n  rideau serve --config /etc/rideau/cluster.toml --node oss0");
  serve_command->callback([&] { result = serve(parsed.common, parsed.serve); });
}

void add_reload(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* command = app.add_subcommand("reload", "Have running nodes meet object servers that are new in the file");
  command->add_option("--config", parsed.config, "cluster.toml")->required();
  command->footer(
      "Tells the nodes of this machine; run it on each, the machine of the metadata server last. Clients that are not\n"
      "told find out when they meet a file on a new server. Everything else of the file is read when a node starts.\n"
      "Example:\n  rideau reload --config /etc/rideau/cluster.toml");
  command->callback([&] { result = reload(parsed.common, parsed.config); });
}

}  // namespace

void add_cluster_commands(CLI::App& app, Parsed& parsed, int& result) {
  add_up(app, parsed, result);
  add_server_commands(app, parsed, result);
  add_reload(app, parsed, result);
}

}  // namespace rideau::tools
