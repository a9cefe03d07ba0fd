// SPDX-License-Identifier: Apache-2.0
// The commands and options of the program as plain values, in the order in which --help shows them.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace rideau::tools {

struct OptionText {
  std::vector<std::string> names;  // "--config"; empty: positional
  std::string positional;          // "mount_point"
  std::string help;
  std::string default_value;         // as shown; empty: none
  std::vector<std::string> choices;  // the only values it takes; empty: any
  bool takes_value = true;
  bool required = false;
};

struct CommandText {
  std::string name;  // "plugins describe"; of the program itself: empty
  std::string help;
  std::string footer;  // examples and more
  std::vector<OptionText> options;
  std::vector<std::string> subcommands;
};

// The program itself first, then every command that --help lists.
std::vector<CommandText> walk_commands(const CLI::App& app);

// What to say of a command line whose first words name no command; empty when they do, or when an option comes first.
std::string unknown_command(const CLI::App& app, int count, const char* const* words);

}  // namespace rideau::tools
