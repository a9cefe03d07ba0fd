// SPDX-License-Identifier: Apache-2.0
// The program: parses the command line and calls the command.
#include "plugins/tools/commands.hpp"

#include <CLI/CLI.hpp>

namespace {

using namespace rideau::tools;

struct Parsed {
  CommonOptions common;
  UpOptions up;
  std::string down_folder;
  ServeOptions serve;
  MountOptions mount;
  LayoutOptions layout;
  FsckOptions fsck;
  std::string path;
  std::string config;
  std::string plugin_name;
  bool json = false;
};

void add_up(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* command = app.add_subcommand("up", "Start a whole cluster on this machine and mount it");
  UpOptions& options = parsed.up;
  command
      ->add_option("--dir", options.folder, "Folder of the cluster; cluster.toml in it is written when there is none")
      ->required();
  command->add_option("--mount", options.mount_point, "Mount point (default: DIR/mnt)");
  command->add_flag("--no-mount", options.no_mount, "Start the servers only");
  command->add_option("--mds", options.mds_count, "Metadata servers")->capture_default_str();
  command->add_option("--oss", options.oss_count, "Object servers")->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--transport", options.transport, "Transport plugin")->capture_default_str();
  command->add_option("--index", options.index, "Index plugin")->capture_default_str();
  command->add_option("--objects", options.objects, "Object store plugin")->capture_default_str();
  command->add_option("--device", options.devices, "OSS=PATH: the device of one object server");
  command->add_flag("--single-process", options.single_process, "All roles in one process");
  command->footer(
      "Examples:\n"
      "  rideau up --dir ~/cluster                      two object servers, mounted at ~/cluster/mnt\n"
      "  rideau up --dir ~/cluster --mount /mnt/shared --oss 4");
  command->callback([&] { result = up(parsed.common, options); });
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
  serve_command->footer("Example:\n  rideau serve --config /etc/rideau/cluster.toml --node oss0");
  serve_command->callback([&] { result = serve(parsed.common, parsed.serve); });
}

void add_client_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* mount_command = app.add_subcommand("mount", "Mount the cluster; in the background once mounted");
  mount_command->add_option("--config", parsed.mount.config, "cluster.toml")->required();
  mount_command->add_option("mount_point", parsed.mount.mount_point, "An empty folder")->required();
  mount_command->add_option("--node", parsed.mount.node,
                            "Name of the client node in the file (default: the first that is free)");
  mount_command->add_flag("--foreground", parsed.mount.foreground, "Stay in the foreground, log to the terminal");
  mount_command->add_flag("--default-permissions", parsed.mount.default_permissions,
                          "Let the kernel decide by mode bits who may do what (slower)");
  mount_command->footer("Example:\n  rideau mount --config ~/cluster/cluster.toml /mnt/shared");
  mount_command->callback([&] { result = mount(parsed.common, parsed.mount); });

  CLI::App* umount_command = app.add_subcommand("umount", "End a mount; everything is written first");
  umount_command->add_option("mount_point", parsed.path, "Where it is mounted")->required();
  umount_command->footer("Example:\n  rideau umount /mnt/shared");
  umount_command->callback([&] { result = umount(parsed.path); });

  CLI::App* sync_command = app.add_subcommand("sync", "Wait until what this machine's client wrote is durable");
  sync_command->add_option("path", parsed.path, "Any file or folder on the mount")->required();
  sync_command->footer("Example:\n  rideau sync /mnt/shared");
  sync_command->callback([&] { result = sync(parsed.path); });
}

void add_layout_commands(CLI::App& app, Parsed& parsed, int& result) {
  LayoutOptions& options = parsed.layout;
  CLI::App* command = app.add_subcommand("layout", "How files are striped over object targets");
  command->require_subcommand(1);
  CLI::App* get_command = command->add_subcommand("get", "Stripes of files, defaults of directories");
  get_command->add_option("path", options.paths, "Files and directories on a mount")->required();
  get_command->add_flag("--json", options.json, "For programs");
  get_command->footer("Example:\n  rideau layout get /mnt/shared /mnt/shared/file");
  get_command->callback([&] { result = layout_get(options); });

  CLI::App* set_command = command->add_subcommand(
      "set", "Stripes a file that is empty or not there yet, or says how files made in a directory are striped");
  set_command->add_option("path", options.paths, "Files and directories on a mount; what is not there is made, a file")
      ->required();
  set_command->add_option("--count", options.count, "Object targets of a file: a number, all, default");
  set_command->add_option("--size", options.size, "Bytes of a stripe, a multiple of 64K; default");
  set_command->add_option("--offset", options.offset, "Which object target is the first, counted from 0; any");
  set_command->footer(
      "What is not said stays as it is. Directories made later inherit; files and directories that are there stay.\n"
      "Examples:\n"
      "  rideau layout set --count 2 --size 1M /mnt/shared/new-file\n"
      "  rideau layout set --count all /mnt/shared/results\n"
      "The same through attributes:\n"
      "  getfattr -n rideau.layout /mnt/shared/file\n"
      "  setfattr -n rideau.layout -v 'stripe_count=2' /mnt/shared/results");
  set_command->callback([&] { result = layout_set(options); });
}

void add_information_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* status_command = app.add_subcommand("status", "Every node: role, up or not, capacity, version");
  status_command->add_option("--config", parsed.config, "cluster.toml")->required();
  status_command->add_flag("--json", parsed.json, "For programs");
  status_command->footer(
      "Exit status 1 when a server is missing.\nExample:\n  rideau status --config ~/cluster/cluster.toml");
  status_command->callback([&] { result = status(parsed.common, parsed.config, parsed.json); });

  CLI::App* check_command = app.add_subcommand("check-config", "Tell everything that is wrong with a configuration");
  check_command->add_option("file", parsed.config, "cluster.toml")->required();
  check_command->footer("Exit status 2 when there are problems, each on a line: file:line: key: problem.");
  check_command->callback([&] { result = check_config(parsed.common, parsed.config); });

  CLI::App* plugins_command = app.add_subcommand("plugins", "What plugins are found where");
  CLI::App* describe_command = plugins_command->add_subcommand("describe", "The configuration keys of one plugin");
  describe_command->add_option("name", parsed.plugin_name, "As in the configuration: tcp, lmdb, raw-file")->required();
  plugins_command->footer("Examples:\n  rideau plugins\n  rideau plugins describe tcp");
  plugins_command->callback([&, describe_command] {
    result =
        describe_command->parsed() ? describe_plugin(parsed.common, parsed.plugin_name) : list_plugins(parsed.common);
  });

  app.add_subcommand("version", "The version of this program")->callback([&] { result = version(); });
}

void add_fsck_command(CLI::App& app, Parsed& parsed, int& result) {
  FsckOptions& options = parsed.fsck;
  CLI::App* command = app.add_subcommand("fsck", "Check a whole file system: names, counts, layouts, objects");
  command->add_option("--config", options.config, "cluster.toml")->required();
  command->add_flag("--repair", options.repair, "Mend what can be mended");
  command->add_flag("--json", options.json, "For programs");
  command->footer(
      "Exit status 0: clean; 1: problems (each on a line), mended or not; 2: wrong usage or configuration.\n"
      "What lost its name comes back in /lost+found as #NUMBER; objects of no file are destroyed.\n"
      "Examples:\n"
      "  rideau down --dir ~/cluster && rideau fsck --config ~/cluster/cluster.toml\n"
      "  rideau fsck --config ~/cluster/cluster.toml --repair");
  command->callback([&] { result = fsck(parsed.common, options); });
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app{"Rideau: a parallel file system assembled from plugins"};
  app.name("rideau");
  Parsed parsed;
  int result = kDone;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--plugin-path", parsed.common.plugin_paths, "More folders with plugins");
  app.add_option("--log-level", parsed.common.log_level, "debug, info, warning, error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.footer("Start here:\n  rideau up --dir ~/cluster\n  rideau COMMAND --help");
  add_up(app, parsed, result);
  add_server_commands(app, parsed, result);
  add_client_commands(app, parsed, result);
  add_layout_commands(app, parsed, result);
  add_information_commands(app, parsed, result);
  add_fsck_command(app, parsed, result);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return result;
}
