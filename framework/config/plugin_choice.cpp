// SPDX-License-Identifier: Apache-2.0
#include "framework/config/plugin_choice.hpp"

#include <algorithm>

namespace rideau {
namespace {

constexpr std::size_t kTransportsMax = 8;  // of a node

// By a text or a table; empty when that names none.
std::string plugin_named(const ConfigNode& choice) {
  const ConfigNode* named = choice.kind == ConfigNode::Kind::table ? choice.find("plugin") : &choice;
  return named != nullptr && named->kind == ConfigNode::Kind::text ? named->text : "";
}

RawValue raw_value(const ConfigEntry& entry) {
  RawValue value;
  value.key = entry.key;
  value.line = entry.value.line;
  value.integer = entry.value.integer;
  value.text = entry.value.text;
  switch (entry.value.kind) {
    case ConfigNode::Kind::text:
      value.kind = RawValue::Kind::text;
      break;
    case ConfigNode::Kind::integer:
      value.kind = RawValue::Kind::integer;
      break;
    case ConfigNode::Kind::boolean:
      value.kind = RawValue::Kind::boolean;
      break;
    default:
      value.kind = RawValue::Kind::other;
      value.text = kind_name(entry.value.kind);
      break;
  }
  return value;
}

void take_plugin(const std::string& plugin, PluginChoice* choice) {
  if (plugin != choice->plugin) choice->values.clear();  // they belong to another plugin
  choice->plugin = plugin;
}

// `found` stands under `key` of the table, or in the list there.
void read_choice_at(TableReader& table, const char* key, const ConfigNode& found, PluginChoice* choice) {
  choice->key = table.path_of(key);
  choice->line = found.line;
  if (found.kind == ConfigNode::Kind::text) {
    take_plugin(found.text, choice);
  } else if (found.kind == ConfigNode::Kind::table) {
    const ConfigNode* plugin = found.find("plugin");
    if (plugin != nullptr && plugin->kind == ConfigNode::Kind::text) {
      take_plugin(plugin->text, choice);
    } else if (plugin != nullptr) {
      table.problem(plugin->line, (std::string(key) + ".plugin").c_str(), "wants the name of a plugin");
    }
    for (const ConfigEntry& entry : found.entries) {
      if (entry.key == "plugin") continue;
      std::erase_if(choice->values, [&entry](const RawValue& old) { return old.key == entry.key; });
      choice->values.push_back(raw_value(entry));
    }
  } else {
    table.problem(found.line, key, std::string("wants the name of a plugin or a table, not ") + kind_name(found.kind));
  }
  if (!is_plain_name(choice->plugin)) table.problem(found.line, key, "wants the name of a plugin");
}

}  // namespace

bool is_plain_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 63 || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

PluginChoice choice_of(PluginKind kind, const std::string& plugin) {
  PluginChoice choice;
  choice.kind = kind;
  choice.plugin = plugin;
  return choice;
}

void read_choice(TableReader& table, const char* key, PluginChoice* choice) {
  const ConfigNode* found = table.any(key);
  if (found != nullptr) read_choice_at(table, key, *found, choice);
}

void read_transports(TableReader& table, std::vector<Way>* ways) {
  const ConfigNode* found = table.any("transport");
  if (found == nullptr) return;
  const bool listed = found->kind == ConfigNode::Kind::array;
  if (listed && (found->items.empty() || found->items.size() > kTransportsMax)) {
    table.problem(found->line, "transport", "wants one to " + std::to_string(kTransportsMax) + " transports");
    return;
  }
  const std::vector<ConfigNode> single = listed ? std::vector<ConfigNode>{} : std::vector<ConfigNode>{*found};
  std::vector<Way> chosen;
  for (const ConfigNode& item : listed ? found->items : single) {
    const std::string name = plugin_named(item);
    const auto same = [&name](const Way& way) { return way.transport.plugin == name; };
    // One table without a name says more about the transport that was preferred before.
    PluginChoice choice = listed ? choice_of(PluginKind::transport, name) : ways->front().transport;
    if (const auto before = std::find_if(ways->begin(), ways->end(), same); before != ways->end()) {
      choice = before->transport;
    }
    read_choice_at(table, "transport", item, &choice);
    if (std::any_of(chosen.begin(), chosen.end(), same)) {
      table.problem(item.line, "transport", "names " + name + " twice");
    }
    chosen.push_back({std::move(choice), {}, {}});
  }
  *ways = std::move(chosen);
}

void read_addresses(TableReader& table, const char* key, std::string Way::*into, std::vector<Way>* ways) {
  const ConfigNode* found = table.node().find(key);
  const std::string count = std::to_string(ways->size());
  if (found == nullptr || found->kind != ConfigNode::Kind::array) {
    table.text(key, &(ways->front().*into));
    if (found != nullptr && ways->size() > 1) {
      table.problem(found->line, key, "wants a list of " + count + " addresses, one for each transport (\"\": none)");
    }
    return;
  }
  static_cast<void>(table.any(key));
  if (found->items.size() != ways->size()) {
    table.problem(found->line, key, "wants " + count + " addresses, one for each transport");
    return;
  }
  for (std::size_t i = 0; i < ways->size(); ++i) {
    const ConfigNode& item = found->items[i];
    if (item.kind == ConfigNode::Kind::text) {
      ways->at(i).*into = item.text;
    } else {
      table.problem(item.line, key, std::string("wants texts, not ") + kind_name(item.kind));
    }
  }
}

}  // namespace rideau
