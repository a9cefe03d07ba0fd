// SPDX-License-Identifier: Apache-2.0
// rideau(1), from the same words as --help.
#include "framework/base/version.hpp"
#include "plugins/tools/command_text.hpp"
#include "plugins/tools/command_walk.hpp"

#include <sstream>

namespace rideau::tools {
namespace {

// Text of a paragraph: backslashes and hyphens stand for themselves, a line never begins with a control character.
std::string escaped(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string heading_of(const OptionText& option) {
  if (option.names.empty()) return italic(option.positional);
  std::string text;
  for (const std::string& name : option.names) text += (text.empty() ? "" : ", ") + bold(name);
  if (!option.takes_value) return text;
  std::string values;
  for (const std::string& choice : option.choices) values += (values.empty() ? "" : "|") + choice;
  return text + " " + italic(values.empty() ? "VALUE" : values);
}

std::string options_text(const CommandText& command) {
  std::string text;
  for (const OptionText& option : command.options) {
    text += ".TP\n" + heading_of(option) + "\n" + escaped(option.help);
    if (option.required) text += " (required)";
    if (!option.default_value.empty()) text += " (default: " + escaped(option.default_value) + ")";
    text += "\n";
  }
  return text;
}

// Examples keep their lines.
std::string footer_text(const CommandText& command) {
  if (command.footer.empty()) return {};
  std::string text = ".PP\n.nf\n";
  std::istringstream lines(command.footer);
  for (std::string line; std::getline(lines, line);) text += escaped(line) + "\n";
  return text + ".fi\n";
}

std::string synopsis_of(const CommandText& command) {
  std::string text = bold("rideau " + command.name);
  for (const OptionText& option : command.options) {
    if (option.required || option.names.empty()) text += " " + heading_of(option);
  }
  return text;
}

}  // namespace

std::string man_page(const CLI::App& app) {
  const std::vector<CommandText> commands = walk_commands(app);
  const CommandText& program = commands.front();
  std::string text = ".\\\" Made by `rideau man`.\n.TH RIDEAU 1 \"\" \"rideau " + std::string(kVersion) +
                     "\" \"User Commands\"\n.SH NAME\nrideau \\- a parallel file system assembled from plugins\n"
                     ".SH SYNOPSIS\n" +
                     bold("rideau") + " [" + italic("options") + "] " + italic("command") + " [" + italic("arguments") +
                     "]\n.SH DESCRIPTION\n" + escaped(program.help) +
                     ".\nOne program takes every role: metadata server, object server, client.\n.SH OPTIONS\n" +
                     options_text(program) + footer_text(program) + ".SH COMMANDS\n";
  for (const CommandText& command : commands) {
    if (command.name.empty()) continue;
    text += ".SS " + synopsis_of(command) + "\n" + escaped(command.help) + ".\n" + options_text(command) +
            footer_text(command);
  }
  text +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nDone.\n"
      ".TP\n1\nFailed; standard error says what, on which object, and what to do.\n"
      ".TP\n2\nWrong usage or configuration.\n"
      ".SH FILES\n"
      ".TP\n" +
      italic("cluster.toml") +
      "\nThe configuration of a cluster; its comments describe the keys.\n"
      ".TP\n" +
      italic("run/NODE.pid") + ", " + italic("run/NODE.sock") +
      "\nBeside the configuration: process and control socket of each node that runs on this machine.\n"
      ".TP\n" +
      italic("log/NODE.log") + "\nThe log of each node that " + bold("rideau up") + " or " + bold("rideau mount") +
      " has started.\n";
  return text;
}

}  // namespace rideau::tools
