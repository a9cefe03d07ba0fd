// SPDX-License-Identifier: Apache-2.0
// Which plugins a table of cluster.toml chooses, what it tells them, and where a node is found over its transports.
// Private to this folder.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/config/table_reader.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rideau {

// A name that is safe as part of paths, logs and addresses.
bool is_plain_name(std::string_view name) noexcept;

PluginChoice choice_of(PluginKind kind, const std::string& plugin);

// key = "plugin", or a table with plugin = "…" and the keys of that plugin. What *choice holds is what was said before:
// it stands where the table says nothing.
void read_choice(TableReader& table, const char* key, PluginChoice* choice);

// transport = one choice, or a list of them with the preferred one first. It replaces the transports that were said
// before; keys of theirs hold for a plugin that is named again.
void read_transports(TableReader& table, std::vector<Way>* ways);

// `listen` or `address`: one text, or a list with a text for each transport.
void read_addresses(TableReader& table, const char* key, std::string Way::*into, std::vector<Way>* ways);

}  // namespace rideau
