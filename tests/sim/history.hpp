// SPDX-License-Identifier: Apache-2.0
// What a workload did and saw. Ticks number the begins and ends of calls in the order in which they happened, so that
// "had returned before the other was called" is a comparison of two numbers.
#pragma once

#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rideau::sim {

using Tick = std::uint64_t;

enum class NameCall : std::uint8_t {
  lookup,
  create,
  create_or_open,
  make_directory,
  make_symlink,
  link,
  unlink,
  remove_directory,
  rename,
  list,
  attributes,
  read_link,
};
const char* call_name(NameCall call) noexcept;

// One call on names. Which fields mean something follows from the call.
struct NameOp {
  NameCall call = NameCall::lookup;
  std::uint32_t group = 0;  // of directories that are checked together
  std::string who;
  Tick invoked = 0;
  Tick returned = 0;  // 0: has not returned
  fs::InodeId directory = fs::kNoInode;
  std::string name;
  fs::InodeId other_directory = fs::kNoInode;
  std::string other_name;            // of rename; what a symbolic link says
  fs::InodeId inode = fs::kNoInode;  // argument of link, attributes, read_link
  std::uint32_t flags = 0;           // of rename
  // What came back.
  int error = 0;
  fs::InodeId result = fs::kNoInode;
  std::uint32_t type = 0;                                    // S_IFMT bits of the result
  std::uint32_t link_count = 0;                              // of attributes and link
  std::vector<std::pair<std::string, fs::InodeId>> entries;  // of list, sorted by name
  bool in_steps = false;  // of list: came in several steps, so it shows no single state
  // Whether it was carried out nobody knows: its client lost the session, or died. If it was, then at any time.
  bool unknown = false;
  // It was answered, and may be lost since: nobody but its client has seen it.
  bool may_be_lost = false;
  std::uint64_t returned_ns = 0;
};

// store and load: through a map; they end where the file does, and say nothing of its size.
enum class DataCall : std::uint8_t { write, truncate, read, size, sync, close, store, load };
constexpr bool has_bytes(DataCall call) noexcept { return call == DataCall::write || call == DataCall::store; }
constexpr bool is_look(DataCall call) noexcept {
  return call == DataCall::read || call == DataCall::load || call == DataCall::size;
}

// One call on the bytes of a file that has a single writer.
struct DataOp {
  DataCall call = DataCall::read;
  std::uint32_t file = 0;
  std::string who;
  Tick invoked = 0;
  Tick returned = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;   // asked for; of truncate and size: the size; of a store that ended: what was stored
  std::uint64_t stamp = 0;  // of write and store: which bytes (stamp_byte)
  std::string bytes;        // of read and load: what came
  int error = 0;
};

// From here on bytes that were acknowledged and not made durable may be gone.
struct Loss {
  Tick tick = 0;
  std::string mount;    // whose writes; empty: everybody's
  bool before = false;  // others may have found them gone before: the mount was told late
  Tick until = 0;       // also of writes that were called before this; 0: of those before `tick` alone
};

// The byte at `offset` of what the write with that stamp wrote; never 0, which is what holes are.
constexpr std::uint8_t stamp_byte(std::uint64_t stamp, std::uint64_t offset) noexcept {
  const std::uint64_t mixed = (stamp * 0x9e37'79b9'7f4a'7c15ull) ^ (offset * 0xbf58'476d'1ce4'e5b9ull);
  return static_cast<std::uint8_t>(1 + (mixed >> 32) % 255);
}

struct History {
  Tick now = 0;
  std::vector<NameOp> names;
  std::vector<DataOp> data;
  std::vector<Loss> losses;
  std::vector<std::string> failures;  // errors that no model allows
};

std::string to_text(const NameOp& op);
std::string to_text(const DataOp& op);

}  // namespace rideau::sim
