// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_line.hpp"

#include <CLI/CLI.hpp>

namespace rideau::tools {

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

}  // namespace rideau::tools
