// SPDX-License-Identifier: Apache-2.0
// The entries as the bytes of a file. The only part of this plugin that makes system calls.
#pragma once

#include <rideau/status.hpp>

#include <map>
#include <string>

namespace minimal {

// std::string compares as memcmp does, a shorter prefix first: the order that IndexStore wants.
using Entries = std::map<std::string, std::string>;

std::string encode(const Entries& entries);
// False when the bytes are no whole image: a file is input like any other.
bool decode(const std::string& image, Entries* out);

// Takes the index at `path` for this process: a descriptor to close, or exists when another instance has it.
rideau::Status lock_file(const std::string& path, int* descriptor);
void close_file(int descriptor);

// These block; call them from a Job. A missing file reads as empty. After replace_file() the file holds the old or the
// new bytes, whatever happens, and with ok the new ones survive a power cut.
rideau::Status read_file(const std::string& path, std::string* out);
rideau::Status replace_file(const std::string& path, const std::string& temporary, const std::string& bytes);

}  // namespace minimal
