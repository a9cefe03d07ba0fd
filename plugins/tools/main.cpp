// SPDX-License-Identifier: Apache-2.0
// The program: parses the command line and calls the command.
#include "plugins/tools/command_text.hpp"
#include "plugins/tools/command_walk.hpp"
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

void add_client_commands(CLI::App& app, Parsed& parsed, int& result) {
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

void add_text_commands(CLI::App& app, Parsed& parsed, int& result) {
  CLI::App* completion_command = app.add_subcommand("completion", "Completion for a shell, on standard output");
  completion_command->add_option("shell", parsed.shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion_command->footer(
      "`cmake --install` puts these where the shells look. For a build that is not installed:\n"
      "Examples:\n"
      "  source <(rideau completion bash)\n"
      "  rideau completion zsh > ~/.zfunc/_rideau\n"
      "  rideau completion fish > ~/.config/fish/completions/rideau.fish");
  completion_command->callback([&] {
    const std::string text = parsed.shell == "bash"  ? bash_completion(app)
                             : parsed.shell == "zsh" ? zsh_completion(app)
                                                     : fish_completion(app);
    result = std::fputs(text.c_str(), stdout) < 0 ? kFailed : kDone;
  });

  CLI::App* man_command = app.add_subcommand("man", "The man page, on standard output");
  man_command->footer("Example:\n  rideau man | man -l -");
  man_command->callback([&] { result = std::fputs(man_page(app).c_str(), stdout) < 0 ? kFailed : kDone; });
}

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

void add_keys_commands(CLI::App& app, Parsed& parsed, int& result) {
  KeysOptions& options = parsed.keys;
  CLI::App* command = app.add_subcommand("keys", "Make the keys that encrypt a cluster, and show them");
  command->require_subcommand(1);
  command->footer(
      "A cluster has one authority, and each machine a key of its own that the authority made. A link over tcp with\n"
      "these keys is encrypted with TLS 1.3, and both sides show theirs. zmq has one CURVE key for all nodes instead.\n"
      "Example: the keys of a cluster of two servers and its mounts\n"
      "  rideau keys authority --dir keys --name 'Rideau at home'\n"
      "  rideau keys node server1 --dir keys --address 10.0.0.1 --address server1.lan\n"
      "  rideau keys node server2 --dir keys --address 10.0.0.2 --address server2.lan\n"
      "  rideau keys node laptop --dir keys --client");

  CLI::App* authority_command = command->add_subcommand("authority", "Make the authority of a cluster");
  authority_command->add_option("--dir", options.folder, "Folder of the keys; made when it is not there")->required();
  authority_command->add_option("--name", options.name, "What people call it (default: Rideau cluster)");
  authority_command->add_option("--days", options.days, "How long it is good (default: 3650)")
      ->check(CLI::Range(1, 36500));
  authority_command->footer(
      "Makes authority.pem, which every node has, and authority.key, which makes keys and belongs on no node.\n"
      "Nothing is replaced.\nExample:\n  rideau keys authority --dir keys");
  authority_command->callback([&] { result = make_authority_keys(options); });

  CLI::App* node_command = command->add_subcommand("node", "Make the key of a machine, or of one node");
  node_command->add_option("name", options.name, "What the logs of others call it")->required();
  node_command->add_option("--dir", options.folder, "Folder with the authority")->required();
  node_command
      ->add_option("--address", options.addresses, "A name or number by which others reach it; may be said again")
      ->allow_extra_args(false);
  node_command->add_flag("--client", options.client, "It only mounts: no server may show this key");
  node_command
      ->add_option("--days", options.days, "How long it is good (default: 730, at most as long as the authority)")
      ->check(CLI::Range(1, 36500));
  node_command->footer(
      "Makes NAME.pem and NAME.key. Servers need each address that stands for them in cluster.toml: who connects to "
      "an\n"
      "address wants it in the certificate. Nothing is replaced.\n"
      "Examples:\n"
      "  rideau keys node server1 --dir keys --address 10.0.0.1 --address server1.lan\n"
      "  rideau keys node laptop --dir keys --client --days 90");
  node_command->callback([&] { result = make_node_keys(options); });

  CLI::App* curve_command = command->add_subcommand("curve", "Make a CURVE key for zmq");
  curve_command->add_option("file", parsed.path, "A file that is not there yet, for the secret key")->required();
  curve_command->footer(
      "Prints the public key. One key can serve all nodes of a cluster.\n"
      "Example:\n  rideau keys curve /etc/rideau/cluster.curve");
  curve_command->callback([&] { result = make_curve_key(parsed.path); });

  CLI::App* show_command = command->add_subcommand("show", "Whose keys these are, until when, and their fingerprints");
  show_command->add_option("path", parsed.paths, "Folders and files with keys")->required();
  show_command->footer(
      "Two people who read the same fingerprint to each other have the same certificate; secret keys are not shown.\n"
      "Exit status 1 when one has expired, ends within 30 days or is of another authority than the one beside it.\n"
      "Example:\n  rideau keys show /etc/rideau/keys");
  show_command->callback([&] { result = show_keys(parsed.paths); });
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
  app.set_version_flag("--version", version_text());
  app.footer("Start here:\n  rideau up --dir ~/cluster\n  rideau COMMAND --help");
  add_up(app, parsed, result);
  add_server_commands(app, parsed, result);
  add_reload(app, parsed, result);
  add_client_commands(app, parsed, result);
  add_layout_commands(app, parsed, result);
  add_information_commands(app, parsed, result);
  add_fsck_command(app, parsed, result);
  add_scrub_command(app, parsed, result);
  add_drain_command(app, parsed, result);
  add_format_command(app, parsed, result);
  add_keys_commands(app, parsed, result);
  add_operator_commands(app, parsed, result);
  add_text_commands(app, parsed, result);
  if (const std::string unknown = unknown_command(app, count, arguments); !unknown.empty()) {
    std::fprintf(stderr, "%s\n", unknown.c_str());
    return kUsage;
  }
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return result;
}
