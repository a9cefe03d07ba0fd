// SPDX-License-Identifier: Apache-2.0
// The key files of a cluster: what they are called, who may read them, and that none is ever replaced.
#pragma once

#include "plugins/tools/key_maker.hpp"

#include <string>

namespace rideau {
class Runtime;
}

namespace rideau::tools {

constexpr const char* kAuthorityCertificate = "authority.pem";
constexpr const char* kAuthorityKey = "authority.key";
constexpr std::int64_t kAuthorityDays = 3650;
constexpr std::int64_t kNodeDays = 730;

// Since 1970.
std::int64_t now_seconds(Runtime& runtime);

// False: *why says what failed. What is there stays as it is; secret files are for their owner alone.
bool make_authority_files(const std::string& folder, const std::string& name, const Lifetime& lifetime,
                          std::string* why);
// NAME.pem and NAME.key, made by the authority in the same folder.
bool make_node_files(const std::string& folder, const NodeKeyWish& wish, std::string* why);
bool make_curve_file(const std::string& file, std::string* why);
bool read_key_file(const std::string& file, std::string* out, std::string* why);

}  // namespace rideau::tools
