// SPDX-License-Identifier: Apache-2.0
// Devices for object servers, as `rideau up --device OSS=PATH` names them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rideau::tools {

// By name of the object server; paths are absolute. False, and *why says what is wrong, when a word is not OSS=PATH,
// names no object server of oss0 to oss<count - 1>, or names one or a path again.
bool parse_devices(const std::vector<std::string>& words, std::uint32_t oss_count,
                   std::map<std::string, std::string>* out, std::string* why);

}  // namespace rideau::tools
