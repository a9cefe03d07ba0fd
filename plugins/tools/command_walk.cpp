// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/command_walk.hpp"

#include "framework/config/problem.hpp"

#include <sstream>

#include <CLI/CLI.hpp>

namespace rideau::tools {
namespace {

// CLI11 shows what a value may be as "{a,b,c}" in the name of its type.
std::vector<std::string> choices_in(const std::string& type_name) {
  std::vector<std::string> choices;
  const std::size_t begin = type_name.find('{');
  const std::size_t end = type_name.find('}', begin == std::string::npos ? 0 : begin);
  if (begin == std::string::npos || end == std::string::npos) return choices;
  std::istringstream words(type_name.substr(begin + 1, end - begin - 1));
  for (std::string word; std::getline(words, word, ',');) choices.push_back(word);
  return choices;
}

OptionText option_text(const CLI::Option& option) {
  OptionText text;
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  if (text.names.empty()) text.positional = option.get_name(true);
  text.help = option.get_description();
  text.default_value = option.get_default_str();
  text.choices = choices_in(option.get_type_name());
  text.takes_value = option.get_items_expected_max() != 0;
  text.required = option.get_required();
  return text;
}

bool is_shown(const CLI::App& command) { return !command.get_group().empty(); }

void walk(const CLI::App& command, const std::string& name, std::vector<CommandText>& all) {
  CommandText text;
  text.name = name;
  text.help = command.get_description();
  text.footer = command.get_footer();
  for (const CLI::Option* option : command.get_options()) text.options.push_back(option_text(*option));
  const std::vector<const CLI::App*> below =
      command.get_subcommands([](const CLI::App* app) { return is_shown(*app); });
  for (const CLI::App* app : below) text.subcommands.push_back(app->get_name());
  all.push_back(std::move(text));
  for (const CLI::App* app : below) walk(*app, (name.empty() ? "" : name + " ") + app->get_name(), all);
}

}  // namespace

std::vector<CommandText> walk_commands(const CLI::App& app) {
  std::vector<CommandText> all;
  walk(app, "", all);
  return all;
}

std::string unknown_command(const CLI::App& app, int count, const char* const* words) {
  const CLI::App* at = &app;
  std::string known = app.get_name();
  for (int i = 1; i < count && words[i][0] != '-'; ++i) {
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* below : at->get_subcommands([](const CLI::App*) { return true; })) {
      if (is_shown(*below)) names.push_back(below->get_name());
      if (below->check_name(words[i])) next = below;
    }
    if (names.empty() || (next == nullptr && at->get_require_subcommand_min() == 0))
      return {};  // no command belongs here
    if (next == nullptr) {
      const std::string near = nearest(words[i], names);
      return known + " has no command \"" + words[i] + "\"" +
             (near.empty() ? "" : " (did you mean \"" + near + "\"?)") + "; `" + known + " --help` lists them";
    }
    at = next;
    known += " " + next->get_name();
  }
  return {};
}

}  // namespace rideau::tools
