// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/catalog.hpp"

#include <algorithm>
#include <climits>
#include <set>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau {
namespace {

constexpr std::string_view kPrefix = "rideau-";
constexpr std::string_view kSuffix = ".so";
constexpr std::size_t kFilesMax = 1024;

bool is_plugin_file_name(std::string_view name) noexcept {
  return name.size() > kPrefix.size() + kSuffix.size() && name.starts_with(kPrefix) && name.ends_with(kSuffix);
}

// The name of the plugin in a path ".../rideau-NAME.so".
std::string name_in_path(const std::string& path) {
  const std::size_t at = path.rfind('/') + 1;
  std::string name = path.substr(at + kPrefix.size(), path.size() - at - kPrefix.size() - kSuffix.size());
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// Sorted, so that what is found does not hang on the order of a directory.
std::vector<std::string> plugin_files(const std::string& folder) {
  std::vector<std::string> files;
  DIR* open = ::opendir(folder.c_str());
  if (open == nullptr) return files;
  while (const dirent* entry = ::readdir(open)) {
    if (is_plugin_file_name(entry->d_name) && files.size() < kFilesMax) files.push_back(folder + "/" + entry->d_name);
  }
  ::closedir(open);
  std::sort(files.begin(), files.end());
  return files;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace

PluginCatalog::PluginCatalog(CatalogOptions options) : options_(std::move(options)) {
  for (const std::string& folder : options_.folders) {
    std::vector<std::string> found = plugin_files(folder);
    files_.insert(files_.end(), found.begin(), found.end());
  }
}

LoadResult PluginCatalog::find(PluginKind kind, std::string_view name) const {
  LoadResult result;
  for (const PluginDescriptor* linked : options_.linked) {
    if (linked->kind != kind || linked->name != name) continue;
    result.message = descriptor_problem(*linked);
    if (result.message.empty())
      result.descriptor = linked;
    else
      result.status = {Code::invalid, 0, "use a linked plugin"};
    return result;
  }
  // A file of that name must be the plugin: its fault is the answer, not a silent search elsewhere.
  for (const std::string& path : files_) {
    if (name_in_path(path) != name) continue;
    result = load_plugin(path, kind);
    if (!result.ok() || result.descriptor->name == name) return result;
  }
  std::vector<std::string> others;
  for (const std::string& path : files_) {
    const NoteResult note = read_plugin_note(path);
    if (!note.ok() || note.note.kind != static_cast<std::uint32_t>(kind)) continue;
    const LoadResult loaded = load_plugin(path, kind);
    if (loaded.ok() && loaded.descriptor->name == name) return loaded;
    others.push_back(loaded.ok() ? loaded.descriptor->name : path + " (unusable)");
  }
  for (const PluginDescriptor* linked : options_.linked) {
    if (linked->kind == kind) others.push_back(linked->name);
  }
  result = {};
  result.status = {Code::not_found, 0, "find a plugin"};
  result.message = std::string("no ") + kind_name(kind) + " plugin \"" + std::string(name) + "\": no file rideau-" +
                   std::string(name) + ".so in " +
                   (options_.folders.empty() ? "any folder (none was given)" : joined(options_.folders)) +
                   (others.empty() ? "; no other plugin of this kind was found" : "; found: " + joined(others));
  return result;
}

std::vector<PluginEntry> PluginCatalog::all() const {
  std::vector<PluginEntry> entries;
  std::set<std::pair<PluginKind, std::string>> seen;
  for (const PluginDescriptor* linked : options_.linked) {
    PluginEntry entry;
    entry.problem = descriptor_problem(*linked);
    if (entry.problem.empty()) entry.descriptor = linked;
    if (entry.descriptor == nullptr || seen.emplace(linked->kind, linked->name).second) entries.push_back(entry);
  }
  for (const std::string& path : files_) {
    PluginEntry entry;
    entry.path = path;
    const LoadResult loaded = load_plugin(path);
    entry.descriptor = loaded.descriptor;
    entry.problem = loaded.message;
    if (loaded.ok() && !seen.emplace(loaded.descriptor->kind, loaded.descriptor->name).second) {
      entry.descriptor = nullptr;
      entry.problem = path + ": hidden by an earlier plugin of the same kind and name";
    }
    entries.push_back(entry);
  }
  return entries;
}

std::vector<std::string> default_plugin_folders() {
  std::vector<std::string> folders;
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  if (size <= 0 || static_cast<std::size_t>(size) >= sizeof self) return folders;
  const std::string program(self, static_cast<std::size_t>(size));
  const std::string prefix = program.substr(0, program.rfind('/')) + "/../";
  for (const char* libraries : {"lib", RIDEAU_LIBRARY_FOLDER}) {
    const std::string folder = prefix + libraries + "/rideau/plugins";
    char real[PATH_MAX];
    if (::realpath(folder.c_str(), real) == nullptr) continue;
    if (std::find(folders.begin(), folders.end(), real) == folders.end()) folders.emplace_back(real);
  }
  return folders;
}

}  // namespace rideau
