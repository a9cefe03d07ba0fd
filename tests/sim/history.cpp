// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/history.hpp"

#include <cstring>

namespace rideau::sim {

const char* call_name(NameCall call) noexcept {
  switch (call) {
    case NameCall::lookup:
      return "lookup";
    case NameCall::create:
      return "create";
    case NameCall::create_or_open:
      return "create_or_open";
    case NameCall::make_directory:
      return "mkdir";
    case NameCall::make_symlink:
      return "symlink";
    case NameCall::link:
      return "link";
    case NameCall::unlink:
      return "unlink";
    case NameCall::remove_directory:
      return "rmdir";
    case NameCall::rename:
      return "rename";
    case NameCall::list:
      return "list";
    case NameCall::attributes:
      return "attributes";
    case NameCall::read_link:
      return "readlink";
  }
  return "?";
}

namespace {

std::string begin(const std::string& who, Tick invoked, Tick returned) {
  return "[" + std::to_string(invoked) + " to " + (returned != 0 ? std::to_string(returned) : "never") + "] " + who +
         " ";
}

}  // namespace

std::string to_text(const NameOp& op) {
  std::string text = begin(op.who, op.invoked, op.returned) + call_name(op.call);
  if (op.inode != fs::kNoInode) text += " inode " + std::to_string(op.inode);
  if (op.directory != fs::kNoInode) text += " " + std::to_string(op.directory) + "/" + op.name;
  if (op.other_directory != fs::kNoInode) text += " to " + std::to_string(op.other_directory) + "/" + op.other_name;
  if (op.flags != 0) text += " flags " + std::to_string(op.flags);
  if (op.returned == 0) return text;
  text += " = ";
  if (op.error != 0) return text + std::strerror(op.error);
  if (op.call == NameCall::read_link) return text + "\"" + op.other_name + "\"";
  if (op.call == NameCall::list) {
    text += "{";
    for (const auto& [name, inode] : op.entries) text += " " + name + ":" + std::to_string(inode);
    return text + " }";
  }
  text += op.result != fs::kNoInode ? "inode " + std::to_string(op.result) : std::string("ok");
  if (op.link_count != 0 || op.call == NameCall::attributes)
    text += " with " + std::to_string(op.link_count) + " links";
  return text;
}

std::string to_text(const DataOp& op) {
  static const char* const kNames[] = {"write", "truncate", "read", "size", "fsync", "close", "store", "load"};
  std::string text =
      begin(op.who, op.invoked, op.returned) + kNames[static_cast<int>(op.call)] + " file " + std::to_string(op.file);
  const bool reads = op.call == DataCall::read || op.call == DataCall::load;
  if (has_bytes(op.call) || reads) text += " at " + std::to_string(op.offset);
  if (op.call != DataCall::sync && op.call != DataCall::close) text += " size " + std::to_string(op.size);
  if (has_bytes(op.call)) text += " stamp " + std::to_string(op.stamp);
  if (op.error != 0) return text + " = " + std::strerror(op.error);
  if (reads) text += " = " + std::to_string(op.bytes.size()) + " bytes";
  return text;
}

}  // namespace rideau::sim
