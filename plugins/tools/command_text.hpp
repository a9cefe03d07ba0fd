// SPDX-License-Identifier: Apache-2.0
// Texts made from the commands themselves, so that they cannot say anything else than --help: completion for shells,
// the man page.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace rideau::tools {

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);
// rideau(1) in roff.
std::string man_page(const CLI::App& app);

}  // namespace rideau::tools
