// SPDX-License-Identifier: Apache-2.0
// The program: parses the command line and calls the command.
#include "plugins/tools/command_line.hpp"
#include "plugins/tools/command_text.hpp"
#include "plugins/tools/command_walk.hpp"

#include <CLI/CLI.hpp>

namespace {

using namespace rideau::tools;

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
  add_cluster_commands(app, parsed, result);
  add_client_commands(app, parsed, result);
  add_information_commands(app, parsed, result);
  add_store_commands(app, parsed, result);
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
