// SPDX-License-Identifier: Apache-2.0
// What an object target keeps in its index, byte for byte. A key starts with a letter; its numbers are big-endian, so
// that keys order as numbers do. A value is
//
//   u8 version of the record | fields, little-endian | u32 crc32c of the key and all that precedes
//
//   'S'                        superblock: format, cluster, target, boot epoch
//   'b'                        boot: how what was answered may have been lost
//   'd' sequence:u64           a destroyed object: writes to it are refused
//   'f' client:uuid target:u32  a fence: the client's last session at that metadata target which is void
//   'l' session:u64 slot:u32   the last modifying call of a slot, and how it ended
//   'm'                        a mark, written to make everything before it durable
//   's' session:u64            a session: whose it is
//   'v' high:u64 low:u64       version of an object: the last truncate or punch
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "rideau/object_store.hpp"

#include <cstdint>
#include <string>

namespace rideau::oss {

// Raised by a change that older programs must not meet: they refuse the target.
constexpr std::uint32_t kFormat = 1;

struct Superblock {
  std::uint32_t format = kFormat;
  Uuid cluster{};
  std::uint32_t target = 0;
  std::uint64_t boot_epoch = 0;
};

struct BootRecord {
  std::uint64_t boot_epoch = 0;  // that wrote it
  std::uint64_t kept_from = 0;   // nothing that was answered since that epoch was lost
  Uuid machine_boot{};           // of the machine at that time; nil: what was answered does not outlive the process
  bool stopped = false;          // in order: everything is durable
};

struct SessionRecord {
  Uuid client{};
};

struct SlotRecord {
  std::uint64_t sequence = 0;
  std::uint16_t method = 0;
  std::int32_t status = 0;  // rideau::Code
  std::int32_t os_error = 0;
  std::uint64_t version = 0;  // body of the reply
};

// A client, as a metadata target fences it.
struct FenceId {
  Uuid client{};
  std::uint32_t target = 0;
  auto operator<=>(const FenceId&) const = default;
};

std::string superblock_key();
std::string boot_key();
std::string mark_key();
std::string destroyed_key(std::uint64_t sequence);
std::string fence_key(const FenceId& id);
std::string session_key(std::uint64_t session);
std::string slot_key(std::uint64_t session, std::uint32_t slot);
std::string version_key(ObjectId id);
// False when it is no key of a destroyed object.
bool parse_destroyed_key(Bytes key, std::uint64_t* sequence);
// False when it is no key of a fence.
bool parse_fence_key(Bytes key, FenceId* id);

std::string boot_value(const BootRecord& from);
std::string superblock_value(const Superblock& from);
std::string mark_value(std::uint64_t count);
std::string destroyed_value(std::uint64_t sequence, ObjectId id);
std::string fence_value(const FenceId& id, std::uint64_t session);
std::string session_value(std::uint64_t session, const SessionRecord& from);
std::string slot_value(std::uint64_t session, std::uint32_t slot, const SlotRecord& from);
std::string version_value(ObjectId id, std::uint64_t version);

// corrupt: the checksum fails; unsupported: a newer version of the record.
Status read_boot(Bytes value, BootRecord* to);
Status read_superblock(Bytes value, Superblock* to);
Status read_destroyed(Bytes key, Bytes value, ObjectId* to);
Status read_fence(Bytes key, Bytes value, std::uint64_t* session);
Status read_session(std::uint64_t session, Bytes value, SessionRecord* to);
Status read_slot(std::uint64_t session, std::uint32_t slot, Bytes value, SlotRecord* to);
Status read_version(ObjectId id, Bytes value, std::uint64_t* to);

}  // namespace rideau::oss
