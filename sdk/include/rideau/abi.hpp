// SPDX-License-Identifier: Apache-2.0
// What a plugin library exports: an ELF note that the host reads from the file before it loads anything, and one
// descriptor. RIDEAU_PLUGIN at the bottom writes both.
//
// The promise of 1.x. A plugin loads in every host of its major version whose minor version is not older than its own.
// What grows, grows at the end, with a new minor version:
//   - Host, LinkEvents and SharedMemory, which hosts implement: a plugin calls every function that it was built with.
//   - Link, Transport, Snapshot, IndexStore and ObjectStore, which plugins implement: a host calls a function that came
//     later only after a look at PluginDescriptor::abi_minor. Instance never grows, since those begin with it.
//   - PluginDescriptor, which says its size, and what a host makes for a plugin to fill (ObjectStat, ObjectSpace,
//     IndexSpace, ObjectLoan, Reach): the host's defaults stay in what the plugin does not know.
//   - Enumerations and the bits of Capability: values are never used again for something else.
// Every other struct stays as it is: it lies in arrays, is passed by value, or lives in the plugin's own memory.
#pragma once

#include "rideau/config.hpp"
#include "rideau/host.hpp"

#include <cstdint>

#define RIDEAU_ABI_MAJOR 1
#define RIDEAU_ABI_MINOR 0

// Distinguishes builds whose ABI differs although the version does not (sanitizers, other standard libraries).
#ifndef RIDEAU_BUILD_TAG
#define RIDEAU_BUILD_TAG "itanium-64-le"
#endif

namespace rideau {

// Capabilities of a plugin, declared here and never probed. Each bit is explained at the interface it belongs to.
enum Capability : std::uint64_t {
  kTransportRemoteAccess = 1ull << 0,  // pull and push reach lent memory without the peer's processor
  kTransportCopies = 1ull << 1,        // bulk is copied once inside the transport
  // All bytes of a link to "host:port" pass over TCP connections to that place, so that others may stand between and
  // pass them on. The conformance kit does, and damages them.
  kTransportStreams = 1ull << 2,
  kIndexGetBlocks = 1ull << 16,   // Snapshot::get may wait for a device
  kObjectLends = 1ull << 32,      // ObjectStore::lend works
  kObjectPunches = 1ull << 33,    // ObjectStore::punch works
  kObjectAllocates = 1ull << 34,  // ObjectStore::allocate works
  kObjectMaps = 1ull << 35,       // ObjectStore::find_data works
  kObjectChecksums = 1ull << 36,  // a read of bytes that are not what was written answers corrupt
  // What was acknowledged outlives the process as long as the machine runs, and the flush of a later process covers it.
  kObjectOutlivesProcess = 1ull << 37,
};

struct PluginDescriptor {
  std::uint32_t descriptor_size = sizeof(PluginDescriptor);
  PluginKind kind = PluginKind::transport;
  const char* name = nullptr;     // kebab-case, what configurations say: "tcp", "lmdb", "raw-file"
  const char* version = nullptr;  // of the plugin, for people
  const char* summary = nullptr;  // one line
  std::uint64_t capabilities = 0;
  const ConfigKey* keys = nullptr;
  std::uint32_t key_count = 0;
  std::uint32_t abi_minor = RIDEAU_ABI_MINOR;  // what it was built with
  // Makes an instance; `values` has key_count entries. On success *out points to the Instance base of the interface
  // that `kind` names. On failure: a status whose `where` says what was wrong, after Host::log with the details.
  Status (*create)(Host& host, const ConfigValue* values, Instance** out) noexcept = nullptr;
};

// The contents of the ELF note ".note.rideau": owner "Rideau", type 1.
struct PluginNote {
  std::uint32_t kind;
  std::uint32_t abi_major;
  std::uint32_t abi_minor;
  char build_tag[36];
};

}  // namespace rideau

#define RIDEAU_DESCRIPTOR_SYMBOL "rideau_plugin_descriptor"

// Use once, in the plugin.cpp of a shared library: RIDEAU_PLUGIN(rideau::PluginKind::transport, kDescriptor);
// With RIDEAU_STATIC_PLUGIN defined the same file is linked into a program, which then names the descriptor itself.
#ifdef RIDEAU_STATIC_PLUGIN
#define RIDEAU_PLUGIN(plugin_kind, descriptor) static_assert(true)
#else
#define RIDEAU_PLUGIN(plugin_kind, descriptor)                                                                    \
  extern "C" {                                                                                                    \
  struct RideauNoteRecord {                                                                                       \
    std::uint32_t name_size, content_size, type;                                                                  \
    char name[8];                                                                                                 \
    ::rideau::PluginNote content;                                                                                 \
  };                                                                                                              \
  extern const RideauNoteRecord rideau_plugin_note __attribute__((visibility("default")));                        \
  __attribute__((used, section(".note.rideau"), aligned(4))) const RideauNoteRecord rideau_plugin_note = {        \
      7,                                                                                                          \
      sizeof(::rideau::PluginNote),                                                                               \
      1,                                                                                                          \
      "Rideau",                                                                                                   \
      {static_cast<std::uint32_t>(plugin_kind), RIDEAU_ABI_MAJOR, RIDEAU_ABI_MINOR, RIDEAU_BUILD_TAG}};           \
  extern const ::rideau::PluginDescriptor* const rideau_plugin_descriptor __attribute__((visibility("default"))); \
  __attribute__((used)) const ::rideau::PluginDescriptor* const rideau_plugin_descriptor = &(descriptor);         \
  }                                                                                                               \
  static_assert(true)
#endif
