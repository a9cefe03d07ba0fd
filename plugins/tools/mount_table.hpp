// SPDX-License-Identifier: Apache-2.0
// What the kernel has mounted where, and taking mounts away.
#pragma once

#include <optional>
#include <string>

namespace rideau::tools {

enum class MountState { none, alive, stale };

// Absolute, without "." and ".." and links where the parts exist. Never asks the file system mounted at the path
// itself: it may be dead.
std::string absolute_path(const std::string& path);
// The configuration file of the file system of ours that is mounted exactly there; asks the kernel's table alone.
std::optional<std::string> mounted_from(const std::string& absolute);
inline bool is_mounted(const std::string& absolute) { return mounted_from(absolute).has_value(); }
// The same, and whether somebody serves it.
MountState mount_state(const std::string& absolute);
// True when `inner` is `outer` or lies under it.
bool lies_in(const std::string& inner, const std::string& outer);
// Takes the mount away; lazily when asked. As root directly, else with fusermount3.
bool unmount(const std::string& absolute, bool lazy, std::string* why);

}  // namespace rideau::tools
