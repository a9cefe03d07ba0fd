// SPDX-License-Identifier: Apache-2.0
#include "framework/config/plugin_values.hpp"

#include "framework/config/plugin_choice.hpp"
#include "framework/config/units.hpp"
#include "framework/plugin_host/catalog.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>

namespace rideau {
namespace {

constexpr std::int64_t kMsInNs = 1'000'000;
const std::string kMissing = "is missing: ";

// The number that a raw value means for a key, or what is wrong with it.
struct Number {
  std::int64_t value = 0;
  std::string problem;
};

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const char* wanted_of(KeyType type) noexcept {
  switch (type) {
    case KeyType::text:
      return "text in quotes";
    case KeyType::path:
      return "a path in quotes";
    case KeyType::integer:
      return "a number";
    case KeyType::size:
      return "a size such as \"64 KiB\"";
    case KeyType::duration:
      return "a duration such as \"250 ms\" or \"5 s\"";
    case KeyType::boolean:
      return "true or false";
  }
  return "a value";
}

std::string found_text(const RawValue& raw) {
  switch (raw.kind) {
    case RawValue::Kind::text:
      return "\"" + raw.text + "\"";
    case RawValue::Kind::integer:
      return std::to_string(raw.integer);
    case RawValue::Kind::boolean:
      return raw.integer != 0 ? "true" : "false";
    case RawValue::Kind::other:
      return raw.text;
  }
  return "?";
}

std::string value_text(KeyType type, std::int64_t value) {
  if (type == KeyType::size) return size_text(value);
  if (type == KeyType::duration && value <= INT64_MAX / kMsInNs) return duration_text(value * kMsInNs);
  return std::to_string(value);
}

Number number_of(const ConfigKey& key, const RawValue& raw) {
  const bool is_text = raw.kind == RawValue::Kind::text;
  const bool is_integer = raw.kind == RawValue::Kind::integer;
  std::optional<std::int64_t> value;
  if (key.type == KeyType::integer && is_integer) value = raw.integer;
  if (key.type == KeyType::boolean && raw.kind == RawValue::Kind::boolean) value = raw.integer;
  if (key.type == KeyType::size) {
    if (is_text)
      value = parse_size(raw.text);
    else if (is_integer && raw.integer >= 0)
      value = raw.integer;
  }
  if (key.type == KeyType::duration) {
    if (is_text) {
      value = parse_duration_ns(raw.text);
      if (value.has_value() && *value % kMsInNs != 0) return {0, "wants whole milliseconds, not \"" + raw.text + "\""};
      if (value.has_value()) value = *value / kMsInNs;
    } else if (is_integer && raw.integer >= 0) {
      value = raw.integer;
    }
  }
  if (!value.has_value()) return {0, std::string("wants ") + wanted_of(key.type) + ", not " + found_text(raw)};
  const bool has_range = key.minimum != 0 || key.maximum != 0;
  const bool ranged = key.type != KeyType::boolean && has_range;
  if (ranged && (*value < key.minimum || *value > key.maximum)) {
    return {0, "is " + value_text(key.type, *value) + "; wants " + value_text(key.type, key.minimum) + " to " +
                   value_text(key.type, key.maximum)};
  }
  return {*value, {}};
}

// The default of a key as if it stood in the file.
RawValue default_of(const ConfigKey& key) {
  RawValue raw;
  raw.key = key.name;
  raw.text = key.default_value;
  if (key.type == KeyType::boolean) {
    raw.kind = RawValue::Kind::boolean;
    raw.integer = raw.text == "true" ? 1 : 0;
  } else if (key.type == KeyType::integer || key.type == KeyType::duration) {
    // A duration is written with its unit, but a bare number of milliseconds is understood.
    if (const std::optional<std::int64_t> value = whole(raw.text); value.has_value()) {
      raw.kind = RawValue::Kind::integer;
      raw.integer = *value;
    } else if (raw.text.empty()) {
      raw.kind = RawValue::Kind::integer;
    }
  } else if (key.type == KeyType::size && raw.text.empty()) {
    raw.kind = RawValue::Kind::integer;
  }
  return raw;
}

class Filler {
 public:
  Filler(const PluginChoice& choice, const std::string& file, const std::string& folder, PluginValues* out,
         std::vector<Problem>* problems)
      : choice_(choice), file_(file), folder_(folder), out_(*out), problems_(problems) {}

  void fill(const ConfigKey& key) {
    const auto found = std::find_if(choice_.values.begin(), choice_.values.end(),
                                    [&key](const RawValue& raw) { return raw.key == key.name; });
    if (found != choice_.values.end()) {
      put(key, *found);
      return;
    }
    if (key.type == KeyType::path && std::string_view(key.name) == "path" && !choice_.default_path.empty()) {
      out_.add_text(choice_.default_path);
      return;
    }
    if (key.required) {
      problem(choice_.line, key.name, kMissing + key.help);
      out_.add_integer(0);
      return;
    }
    RawValue standard = default_of(key);
    standard.line = choice_.line;
    // A range is for what people write: a default may stand outside it, as a "0: off" does.
    ConfigKey unranged = key;
    unranged.minimum = unranged.maximum = 0;
    put(unranged, standard);
  }

  void problem(std::uint32_t line, const std::string& key, const std::string& message, const std::string& near = {}) {
    problems_->push_back({file_, line, choice_.key + "." + key, message, near});
  }

 private:
  void put(const ConfigKey& key, const RawValue& raw) {
    if (key.type != KeyType::text && key.type != KeyType::path) {
      const Number number = number_of(key, raw);
      if (!number.problem.empty()) problem(raw.line, key.name, number.problem);
      out_.add_integer(number.value);
      return;
    }
    if (raw.kind != RawValue::Kind::text) {
      problem(raw.line, key.name, std::string("wants ") + wanted_of(key.type) + ", not " + found_text(raw));
    }
    const bool relative = key.type == KeyType::path && !raw.text.empty() && raw.text.front() != '/';
    out_.add_text(relative ? folder_ + "/" + raw.text : raw.text);
  }

  const PluginChoice& choice_;
  const std::string& file_;
  const std::string& folder_;
  PluginValues& out_;
  std::vector<Problem>* problems_;
};

std::string range_text(const ConfigKey& key) {
  if (key.type == KeyType::boolean || (key.minimum == 0 && key.maximum == 0)) return {};
  return ", " + value_text(key.type, key.minimum) + " to " + value_text(key.type, key.maximum);
}

}  // namespace

void PluginValues::add_text(std::string text) {
  texts_.push_back(std::move(text));
  values_.push_back({Text(std::string_view(texts_.back())), 0});
}

void PluginValues::add_integer(std::int64_t integer) { values_.push_back({Text(), integer}); }

bool check_plugin_values(const PluginDescriptor& descriptor, const PluginChoice& choice, const std::string& file,
                         const std::string& folder, PluginValues* out, std::vector<Problem>* problems) {
  const std::size_t before = problems->size();
  *out = PluginValues();
  Filler filler(choice, file, folder, out, problems);
  std::vector<std::string> known;
  for (std::uint32_t i = 0; i < descriptor.key_count; ++i) {
    known.emplace_back(descriptor.keys[i].name);
    filler.fill(descriptor.keys[i]);
  }
  for (const RawValue& raw : choice.values) {
    if (std::find(known.begin(), known.end(), raw.key) != known.end()) continue;
    filler.problem(raw.line, raw.key, "is unknown to the plugin " + std::string(descriptor.name),
                   nearest(raw.key, known));
  }
  return problems->size() == before;
}

void check_cluster_plugins(const ClusterConfig& config, const PluginCatalog& catalog, std::vector<Problem>* problems) {
  const std::ptrdiff_t before = std::ssize(*problems);
  std::set<std::string> reported;  // a plugin that is missing is one problem, however often it is chosen
  const auto check = [&](const PluginChoice& choice) {
    if (!is_plain_name(choice.plugin)) return;  // a problem already
    const LoadResult loaded = catalog.find(choice.kind, choice.plugin);
    if (!loaded.ok()) {
      if (reported.insert(choice.plugin).second) {
        problems->push_back({config.file, choice.line, choice.key, loaded.message, ""});
      }
      return;
    }
    PluginValues values;
    check_plugin_values(*loaded.descriptor, choice, config.file, config.folder, &values, problems);
  };
  for (const NodeConfig& node : config.nodes) {
    for (const Way& way : node.ways) check(way.transport);
    for (const TargetConfig& target : node.targets) {
      check(target.index);
      if (target.role == Role::oss) check(target.objects);
    }
  }
  if (before == 0) return;
  problems->erase(std::remove_if(problems->begin() + before, problems->end(),
                                 [](const Problem& one) { return one.message.starts_with(kMissing); }),
                  problems->end());
}

std::string describe_keys(const PluginDescriptor& descriptor) {
  static constexpr const char* kTypes[] = {"text", "path", "number", "size", "duration", "true or false"};
  std::string text;
  for (std::uint32_t i = 0; i < descriptor.key_count; ++i) {
    const ConfigKey& key = descriptor.keys[i];
    text += std::string("  ") + key.name + " (" + kTypes[static_cast<std::uint32_t>(key.type)] + range_text(key);
    text += key.required ? ", required)"
                         : std::string(", default ") + (*key.default_value != '\0' ? key.default_value : "none") + ")";
    text += std::string("\n      ") + key.help + "\n";
  }
  return text;
}

}  // namespace rideau
