// SPDX-License-Identifier: Apache-2.0
// From a file to a descriptor: checks the note, loads the library for good, and checks what it exports.
#pragma once

#include "framework/plugin_host/note.hpp"

#include <optional>
#include <string>

namespace rideau {

struct LoadResult {
  Status status{};      // not_found, io_error, invalid (no plugin), refused (another ABI, build or kind)
  std::string message;  // which file, what was found, what was wanted; empty with ok
  const PluginDescriptor* descriptor = nullptr;  // lives as long as the process
  bool ok() const noexcept { return status.ok(); }
};

// A library is never unloaded: pointers into it may be anywhere. Loading one file twice gives the same descriptor.
LoadResult load_plugin(const std::string& path, std::optional<PluginKind> wanted = std::nullopt);

// Whether this host accepts the note; otherwise `message` says what was found and what was wanted.
LoadResult check_note(const std::string& path, const PluginNote& note, std::optional<PluginKind> wanted);

// What is wrong with a descriptor, or an empty text. For linked plugins too.
std::string descriptor_problem(const PluginDescriptor& descriptor);

}  // namespace rideau
