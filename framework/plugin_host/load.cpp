// SPDX-License-Identifier: Apache-2.0
// The only user of Boost.DLL.
#include "framework/plugin_host/load.hpp"

#include <boost/dll/shared_library.hpp>

#include <cstdio>
#include <cstring>
#include <exception>

#include <dlfcn.h>

namespace rideau {
namespace {

constexpr std::uint32_t kKeysMax = 256;
constexpr std::uint32_t kDescriptorBytesLeast = 64;  // of interface 1.0
static_assert(sizeof(PluginDescriptor) >= kDescriptorBytesLeast);
// The handle may be closed, the library stays. Boost.DLL has no name for that, and hands the flags on to dlopen.
constexpr auto kLoadForGood = static_cast<boost::dll::load_mode::type>(RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

LoadResult refuse(const std::string& path, Code code, const std::string& why) {
  LoadResult result;
  result.status = {code, 0, "load a plugin"};
  result.message = path + ": " + why;
  return result;
}

std::string version_text(std::uint32_t major, std::uint32_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

bool is_kebab_case(const char* name) noexcept {
  if (name == nullptr || *name < 'a' || *name > 'z') return false;
  for (const char* at = name; *at != '\0'; ++at) {
    const bool allowed = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-';
    if (!allowed || at - name > 63) return false;
  }
  return true;
}

std::string key_problem(const ConfigKey& key, std::uint32_t index) {
  const std::string which = "configuration key " + std::to_string(index);
  if (key.name == nullptr || *key.name == '\0') return which + " has no name";
  const std::string named = which + " (" + key.name + ")";
  if (static_cast<std::uint32_t>(key.type) > static_cast<std::uint32_t>(KeyType::boolean)) {
    return named + " has an unknown type";
  }
  if (key.unit == nullptr || key.default_value == nullptr || key.help == nullptr) return named + " has a null text";
  if (key.minimum > key.maximum) return named + " has a minimum above its maximum";
  return {};
}

}  // namespace

std::string descriptor_problem(const PluginDescriptor& descriptor) {
  if (descriptor.descriptor_size < kDescriptorBytesLeast || descriptor.descriptor_size > sizeof(PluginDescriptor)) {
    return "its descriptor has " + std::to_string(descriptor.descriptor_size) + " bytes; wanted " +
           std::to_string(kDescriptorBytesLeast) + " to " + std::to_string(sizeof(PluginDescriptor));
  }
  if (!is_kebab_case(descriptor.name)) return "its descriptor has no name in kebab-case of at most 63 characters";
  if (descriptor.version == nullptr || descriptor.summary == nullptr) {
    return "its descriptor lacks the version or the summary";
  }
  if (descriptor.create == nullptr) return "its descriptor has no create function";
  if (descriptor.key_count > kKeysMax || (descriptor.key_count > 0 && descriptor.keys == nullptr)) {
    return "its descriptor has an unusable table of configuration keys";
  }
  for (std::uint32_t i = 0; i < descriptor.key_count; ++i) {
    if (std::string problem = key_problem(descriptor.keys[i], i); !problem.empty()) return problem;
  }
  return {};
}

LoadResult check_note(const std::string& path, const PluginNote& note, std::optional<PluginKind> wanted) {
  if (note.abi_major != RIDEAU_ABI_MAJOR || note.abi_minor > RIDEAU_ABI_MINOR) {
    const bool newer = note.abi_major >= RIDEAU_ABI_MAJOR;
    return refuse(path, Code::refused,
                  "built for plugin interface " + version_text(note.abi_major, note.abi_minor) + "; this rideau has " +
                      version_text(RIDEAU_ABI_MAJOR, RIDEAU_ABI_MINOR) +
                      (newer ? " (it needs a newer rideau, or has to be built with the SDK of this one)"
                             : " (it has to be built again with the SDK of this one)"));
  }
  if (std::strncmp(note.build_tag, RIDEAU_BUILD_TAG, sizeof note.build_tag) != 0) {
    return refuse(path, Code::refused,
                  "build tag \"" + std::string(note.build_tag) + "\"; this rideau wants \"" RIDEAU_BUILD_TAG "\"");
  }
  const auto kind = static_cast<PluginKind>(note.kind);
  if (wanted.has_value() && kind != *wanted) {
    return refuse(path, Code::refused,
                  std::string("a plugin of kind ") + kind_name(kind) + "; wanted " + kind_name(*wanted));
  }
  if (std::strcmp(kind_name(kind), "unknown kind") == 0) {
    return refuse(path, Code::refused, "a plugin of kind " + std::to_string(note.kind) + ", which is unknown here");
  }
  return {};
}

LoadResult load_plugin(const std::string& path, std::optional<PluginKind> wanted) {
  const NoteResult note = read_plugin_note(path);
  if (!note.ok()) {
    LoadResult result;
    result.status = note.status;
    result.message = note.message;
    return result;
  }
  if (LoadResult checked = check_note(path, note.note, wanted); !checked.ok()) return checked;

  using DescriptorPointer = const PluginDescriptor* const;
  const PluginDescriptor* descriptor = nullptr;
  try {
    const boost::dll::shared_library library(boost::dll::fs::path(path), kLoadForGood);
    if (!library.has(RIDEAU_DESCRIPTOR_SYMBOL)) {
      return refuse(path, Code::invalid,
                    "its note says Rideau plugin, but it does not export " RIDEAU_DESCRIPTOR_SYMBOL
                    " (use RIDEAU_PLUGIN in exactly one file)");
    }
    descriptor = library.get<DescriptorPointer>(RIDEAU_DESCRIPTOR_SYMBOL);
  } catch (const std::exception& failure) {
    return refuse(path, Code::io_error, std::string("cannot be loaded: ") + failure.what());
  }
  if (descriptor == nullptr) return refuse(path, Code::invalid, "its descriptor is null");
  if (std::string problem = descriptor_problem(*descriptor); !problem.empty()) {
    return refuse(path, Code::invalid, problem);
  }
  if (static_cast<std::uint32_t>(descriptor->kind) != note.note.kind) {
    return refuse(path, Code::invalid,
                  std::string("its descriptor says ") + kind_name(descriptor->kind) + ", its note says " +
                      kind_name(static_cast<PluginKind>(note.note.kind)));
  }
  if (descriptor->abi_minor != note.note.abi_minor) {
    return refuse(path, Code::invalid,
                  "its descriptor was built for plugin interface " +
                      version_text(note.note.abi_major, descriptor->abi_minor) + ", its note says " +
                      version_text(note.note.abi_major, note.note.abi_minor));
  }
  LoadResult result;
  result.descriptor = descriptor;
  return result;
}

}  // namespace rideau
