// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_line.hpp"

#include <CLI/CLI.hpp>

namespace rideau::tools {

namespace {

void add_mount_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* mount_command = app.add_subcommand("mount", "Mount the cluster; in the background once mounted");
  mount_command->add_option("--config", parsed.mount.config, "cluster.toml")->required();
  mount_command->add_option("mount_point", parsed.mount.mount_point, "An empty folder")->required();
  mount_command->add_option("--node", parsed.mount.node,
                            "Name of the client node in the file (default: the first that is free)");
  mount_command->add_option("-o,--options", parsed.mount.options,
                            "As of mount(8), with commas: ro, nosuid, nodev, noexec, noatime and their opposites");
  mount_command->add_flag("--foreground", parsed.mount.foreground, "Stay in the foreground, log to the terminal");
  mount_command->add_flag("--default-permissions", parsed.mount.default_permissions,
                          "Let the kernel decide by mode bits who may do what (slower)");
  mount_command->footer(
      "Examples:\n"
      "  rideau mount --config ~/cluster/cluster.toml /mnt/shared\n"
      "  rideau mount --config /etc/rideau/cluster.toml -o ro,noexec /mnt/shared");
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
  set_command->add_option("--inline", options.inline_max,
                          "Up to so many bytes, at most 64K, a file lies at the metadata server; 0: never; default");
  set_command->add_option("--pool", options.pool, "A pool of object targets, named in cluster.toml; none");
  set_command->footer(
      "What is not said stays as it is. Directories made later inherit; files and directories that are there stay.\n"
      "Examples:\n"
      "  rideau layout set --count 2 --size 1M /mnt/shared/new-file\n"
      "  rideau layout set --count all /mnt/shared/results\n"
      "  rideau layout set --inline 16K /mnt/shared/mail\n"
      "  rideau layout set --pool fast /mnt/shared/scratch\n"
      "The same through attributes:\n"
      "  getfattr -n rideau.layout /mnt/shared/file\n"
      "  setfattr -n rideau.layout -v 'stripe_count=2' /mnt/shared/results");
  set_command->callback([&] { result = layout_set(options); });
}

}  // namespace

void add_client_commands(CLI::App& app, Parsed& parsed, int& result) {
  add_mount_commands(app, parsed, result);
  add_layout_commands(app, parsed, result);
}

}  // namespace rideau::tools
