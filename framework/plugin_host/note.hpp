// SPDX-License-Identifier: Apache-2.0
// Reads what a plugin file claims to be, from the file, before anything of it is loaded: static constructors of a
// library run inside the load, so a file that does not belong here must be refused earlier. The file is hostile input.
#pragma once

#include "rideau/abi.hpp"
#include "rideau/status.hpp"

#include <string>

namespace rideau {

struct NoteResult {
  Status status{};      // ok; not_found: no such file; io_error; invalid: not a plugin
  std::string message;  // names the file and what was wrong; empty with ok
  PluginNote note{};    // build_tag is terminated
  bool ok() const noexcept { return status.ok(); }
};

NoteResult read_plugin_note(const std::string& path);

const char* kind_name(PluginKind kind) noexcept;  // "transport", "index store", "object store", "unknown kind"

}  // namespace rideau
