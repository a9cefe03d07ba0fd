// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_line.hpp"

#include <CLI/CLI.hpp>

namespace rideau::tools {

namespace {

void add_fsck_command(CLI::App& app, Parsed& parsed, int& result) {
  FsckOptions& options = parsed.fsck;
  CLI::App* command = app.add_subcommand("fsck", "Check a whole file system: names, counts, layouts, objects");
  command->add_option("--config", options.config, "cluster.toml")->required();
  command->add_flag("--repair", options.repair, "Mend what can be mended; the servers are stopped");
  command->add_flag("--json", options.json, "For programs");
  command->footer(
      "While the servers run, it reads through them, from any machine, and they go on serving; what looks wrong is\n"
      "looked at again, so that changes meanwhile are no problems. When they are stopped, it reads their stores, "
      "where\n"
      "they are. --repair wants them stopped: what lost its name comes back in /lost+found as #NUMBER, objects of no\n"
      "file are destroyed.\n"
      "Exit status 0: clean; 1: problems (each on a line), mended or not; 2: wrong usage or configuration.\n"
      "Examples:\n"
      "  rideau fsck --config ~/cluster/cluster.toml\n"
      "  rideau down --dir ~/cluster && rideau fsck --config ~/cluster/cluster.toml --repair");
  command->callback([&] { result = fsck(parsed.common, options); });
}

void add_scrub_command(CLI::App& app, Parsed& parsed, int& result) {
  ScrubOptions& options = parsed.scrub;
  CLI::App* command =
      app.add_subcommand("scrub", "Read everything that running servers store, to find what has rotted");
  command->add_option("--config", options.config, "cluster.toml")->required();
  command
      ->add_option("--rate", options.rate, "Bytes a second that each object target reads; unlimited: as fast as it can")
      ->capture_default_str();
  command->add_flag("--json", options.json, "For programs");
  command->footer(
      "Object servers read their own objects, side by side, and check them where their store keeps checksums\n"
      "(block-device, lmdb); of the others it finds what cannot be read at all. Then names, layouts and records are\n"
      "checked as `rideau fsck` does. Everybody goes on working meanwhile. Nothing is mended: overwriting damaged "
      "bytes\n"
      "heals them, or the file comes back from a backup.\n"
      "Exit status 0: all is well; 1: something is damaged (each on a line); 2: wrong usage or configuration.\n"
      "Examples:\n"
      "  rideau scrub --config ~/cluster/cluster.toml\n"
      "  rideau scrub --config /etc/rideau/cluster.toml --rate '20 MiB'");
  command->callback([&] { result = scrub(parsed.common, options); });
}

void add_drain_command(CLI::App& app, Parsed& parsed, int& result) {
  DrainOptions& options = parsed.drain;
  CLI::App* command = app.add_subcommand("drain", "Move all files away from an object server, to take it out");
  command->add_option("--config", options.config, "cluster.toml")->required();
  command->add_option("node", options.node, "The object server")->required();
  command->add_option("--rate", options.rate, "Bytes a second that move; unlimited: as fast as it goes")
      ->capture_default_str();
  CLI::Option* cancel = command->add_flag("--cancel", options.cancel, "It takes files again; what has moved stays");
  command->add_flag("--remove", options.remove, "Take it out of the cluster when it is drained, and stop it")
      ->excludes(cancel);
  command->footer(
      "The metadata server moves the files, while everybody works on them, and remembers it: whatever is started\n"
      "again, this command too, goes on where it was. New files lie elsewhere from now on. Run it on the machine of\n"
      "the metadata server; `rideau status` shows the same from anywhere.\n"
      "Exit status 0: nothing is on it any more; 1: not done; 2: wrong usage or configuration.\n"
      "Examples:\n"
      "  rideau drain --config ~/cluster/cluster.toml oss1 --rate '50 MiB'\n"
      "  rideau drain --config ~/cluster/cluster.toml oss1 --remove");
  command->callback([&] { result = drain(parsed.common, options); });
}

void add_format_command(CLI::App& app, Parsed& parsed, int& result) {
  FormatOptions& options = parsed.format;
  CLI::App* command = app.add_subcommand("format", "Make a block device or an image fit for the block-device store");
  command->add_option("--device", options.device, "The device or image; what is on it is lost")->required();
  command->add_flag("--force", options.force, "Also when something is on it");
  command->footer(
      "Refuses a device in use, and one with a known file system, a table of partitions or anything in its first MiB.\n"
      "Examples:\n"
      "  rideau format --device /dev/sdb\n"
      "  truncate -s 100G /srv/oss0.img && rideau format --device /srv/oss0.img\n"
      "  rideau up --dir ~/cluster --oss 1 --objects block-device --device oss0=/srv/oss0.img");
  command->callback([&] { result = format_device(options); });
}

}  // namespace

void add_store_commands(CLI::App& app, Parsed& parsed, int& result) {
  add_fsck_command(app, parsed, result);
  add_scrub_command(app, parsed, result);
  add_drain_command(app, parsed, result);
  add_format_command(app, parsed, result);
}

}  // namespace rideau::tools
