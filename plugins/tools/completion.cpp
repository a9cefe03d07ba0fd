// SPDX-License-Identifier: Apache-2.0
// Completion for bash, zsh and fish. Where neither a command nor an option fits, the shell offers files.
#include "plugins/tools/command_text.hpp"
#include "plugins/tools/command_walk.hpp"

#include <algorithm>
#include <map>

namespace rideau::tools {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> option_names(const CommandText& command) {
  std::vector<std::string> names;
  for (const OptionText& option : command.options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

std::vector<std::string> positional_choices(const CommandText& command) {
  for (const OptionText& option : command.options) {
    if (option.names.empty() && !option.choices.empty()) return option.choices;
  }
  return {};
}

// In single quotes, for any of the three shells.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The names of options that take a value, and what they may be, over all commands.
std::map<std::string, std::vector<std::string>> valued_options(const std::vector<CommandText>& commands) {
  std::map<std::string, std::vector<std::string>> all;
  for (const CommandText& command : commands) {
    for (const OptionText& option : command.options) {
      if (!option.takes_value) continue;
      for (const std::string& name : option.names) all[name] = option.choices;
    }
  }
  return all;
}

// bash and zsh alike: which command the words before the cursor name. Leaves it in $path.
std::string find_path(const std::vector<CommandText>& commands, const std::string& words, const std::string& first,
                      const std::string& end) {
  std::string text =
      "  for ((i = " + first + "; i < " + end + "; ++i)); do\n    case \"$path ${" + words + "[i]}\" in\n";
  for (const CommandText& command : commands) {
    if (command.name.empty()) continue;
    text += "      \" " + command.name + "\") path=\"$path ${" + words + "[i]}\" ;;\n";
  }
  return text + "    esac\n  done\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  const std::vector<CommandText> commands = walk_commands(app);
  std::string text =
      "# bash completion of rideau; made by `rideau completion bash`.\n"
      "_rideau() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} path='' options='' words='' i\n";
  text += find_path(commands, "COMP_WORDS", "1", "COMP_CWORD");
  text += "  COMPREPLY=()\n  case $before in\n";
  for (const auto& [name, choices] : valued_options(commands)) {
    text += "    " + name + ")";
    if (!choices.empty()) text += " mapfile -t COMPREPLY < <(compgen -W " + quoted(joined(choices)) + " -- \"$word\");";
    text += " return ;;\n";
  }
  text += "  esac\n  case $path in\n";
  for (const CommandText& command : commands) {
    std::vector<std::string> words = command.subcommands;
    if (words.empty()) words = positional_choices(command);
    text += "    " + quoted(command.name.empty() ? "" : " " + command.name) +
            ")\n      options=" + quoted(joined(option_names(command))) + "\n      words=" + quoted(joined(words)) +
            "\n      ;;\n";
  }
  text +=
      "  esac\n"
      "  [[ $word == -* ]] && words=$options\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
      "}\n"
      "complete -o default -F _rideau rideau\n";
  return text;
}

std::string zsh_completion(const CLI::App& app) {
  const std::vector<CommandText> commands = walk_commands(app);
  std::map<std::string, std::string> helps;
  for (const CommandText& command : commands) helps[command.name] = command.help;
  std::string text =
      "#compdef rideau\n"
      "# zsh completion of rideau; made by `rideau completion zsh`.\n"
      "_rideau() {\n"
      "  local path_of='' path='' i\n"
      "  local -a found\n";
  text += find_path(commands, "words", "2", "CURRENT");
  text += "  case ${words[CURRENT - 1]} in\n";
  for (const auto& [name, choices] : valued_options(commands)) {
    text += "    " + name + ") " + (choices.empty() ? "_files" : "compadd -- " + joined(choices)) + "; return ;;\n";
  }
  text += "  esac\n  case $path in\n";
  const auto described = [](const std::string& word, const std::string& help) {
    std::string plain = help;
    std::replace(plain.begin(), plain.end(), ':', ',');
    return "        " + quoted(word + ":" + plain) + "\n";
  };
  for (const CommandText& command : commands) {
    text += "    " + quoted(command.name.empty() ? "" : " " + command.name) + ")\n      if [[ $PREFIX == -* ]]; then\n";
    text += "      found=(\n";
    for (const OptionText& option : command.options) {
      for (const std::string& name : option.names) text += described(name, option.help);
    }
    text += "      )\n      else\n      found=(\n";
    for (const std::string& word : command.subcommands) {
      text += described(word, helps[(command.name.empty() ? "" : command.name + " ") + word]);
    }
    for (const std::string& word : positional_choices(command)) text += described(word, "");
    text += "      )\n      fi\n      ;;\n";
  }
  text +=
      "  esac\n"
      "  if (( ${#found} )); then\n"
      "    _describe -t words word found\n"
      "  else\n"
      "    _files\n"
      "  fi\n"
      "}\n"
      "_rideau \"$@\"\n";
  return text;
}

std::string fish_completion(const CLI::App& app) {
  const std::vector<CommandText> commands = walk_commands(app);
  std::map<std::string, std::string> helps;
  for (const CommandText& command : commands) helps[command.name] = command.help;
  std::string text = "# fish completion of rideau; made by `rideau completion fish`.\n";
  for (const CommandText& command : commands) {
    const std::string here = command.name.substr(0, command.name.find(' '));
    std::string when = command.name.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + here;
    if (here != command.name) when += "; and __fish_seen_subcommand_from " + command.name.substr(here.size() + 1);
    for (const std::string& word : command.subcommands) {
      text += "complete -c rideau -f -n " + quoted(when) + " -a " + word + " -d " +
              quoted(helps[(command.name.empty() ? "" : command.name + " ") + word]) + "\n";
    }
    for (const OptionText& option : command.options) {
      std::string names;
      for (const std::string& name : option.names) {
        names += name.substr(0, 2) == "--" ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (names.empty() && option.choices.empty()) continue;
      text += "complete -c rideau" + (command.name.empty() ? "" : " -n " + quoted(when)) + names;
      if (!option.choices.empty()) text += " -x -a " + quoted(joined(option.choices));
      if (option.choices.empty() && option.takes_value) text += " -r";
      text += " -d " + quoted(option.help) + "\n";
    }
  }
  return text;
}

}  // namespace rideau::tools
