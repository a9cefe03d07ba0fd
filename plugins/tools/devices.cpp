// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/devices.hpp"

#include "plugins/tools/mount_table.hpp"

#include <algorithm>

namespace rideau::tools {

bool parse_devices(const std::vector<std::string>& words, std::uint32_t oss_count,
                   std::map<std::string, std::string>* out, std::string* why) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string server = word.substr(0, equals);
    std::vector<std::string> servers;
    for (std::uint32_t i = 0; i < oss_count; ++i) servers.push_back("oss" + std::to_string(i));
    if (equals == std::string::npos || equals + 1 == word.size()) {
      *why = "--device " + word + ": wants OSS=PATH, for example oss0=/dev/sdb";
    } else if (std::find(servers.begin(), servers.end(), server) == servers.end()) {
      *why = "--device " + word + ": there is no object server " + server + "; they are oss0 to " + servers.back();
    }
    if (!why->empty()) return false;
    const std::string path = absolute_path(word.substr(equals + 1));
    const auto has_path = [&path](const auto& entry) { return entry.second == path; };
    if (out->contains(server) || std::any_of(out->begin(), out->end(), has_path)) {
      *why = "--device " + word + ": an object server has one device, and a device one object server";
      return false;
    }
    out->emplace(server, path);
  }
  return true;
}

}  // namespace rideau::tools
