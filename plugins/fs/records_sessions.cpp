// SPDX-License-Identifier: Apache-2.0
// Records of the target itself: superblock, counters, sessions, slots, objects to destroy.
#include "plugins/fs/record_packing.hpp"
#include "plugins/fs/records.hpp"

namespace rideau::fs {

namespace {
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSlotVersion = 2;
constexpr std::uint8_t kTargetVersion = 2;  // of superblock and counters: 2 tells creates that a crash lost
constexpr char kMagic[8] = {'R', 'I', 'D', 'E', 'A', 'U', 'M', 'D'};
}  // namespace

void encode(const Superblock& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kTargetVersion);
  out.raw(kMagic, sizeof kMagic).put(from.format_version);
  out.raw(from.cluster.bytes.data(), from.cluster.bytes.size()).put(from.target).put(from.hash_seed);
  out.put(from.inode_sequence).put(from.counter_reserved).put(from.boot_epoch).put(from.made_ns).put(from.sweep_from);
  out.finish(key);
}

Status decode(Bytes key, Bytes record, Superblock* to) {
  RecordReader in(key, record, kTargetVersion);
  char magic[sizeof kMagic] = {};
  in.raw(magic, sizeof magic);
  in.get(&to->format_version);
  if (!in.status().ok()) return in.status();
  if (std::memcmp(magic, kMagic, sizeof magic) != 0) return {Code::corrupt, 0, "superblock of something else"};
  // What follows may have another shape in another format; nobody reads it then.
  if (to->format_version == 0 || to->format_version > kFormatVersion) {
    return {Code::refused, 0, "format of a newer version of Rideau"};
  }
  in.raw(to->cluster.bytes.data(), to->cluster.bytes.size());
  in.get(&to->target);
  in.get(&to->hash_seed);
  in.get(&to->inode_sequence);
  in.get(&to->counter_reserved);
  in.get(&to->boot_epoch);
  in.get(&to->made_ns);
  if (in.version() >= 2) in.get(&to->sweep_from);
  return in.end();
}

void encode(const Counters& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kTargetVersion);
  out.put(from.transaction).put(from.inodes).put(from.entries).put(from.next_counter);
  out.finish(key);
}

Status decode(Bytes key, Bytes record, Counters* to) {
  RecordReader in(key, record, kTargetVersion);
  in.get(&to->transaction);
  in.get(&to->inodes);
  in.get(&to->entries);
  if (in.version() >= 2) in.get(&to->next_counter);
  return in.end();
}

void encode(const SessionRecord& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kVersion);
  out.raw(from.client.bytes.data(), from.client.bytes.size()).put(from.begun_ns);
  out.put(static_cast<std::uint16_t>(from.client_name.size())).raw(from.client_name.data(), from.client_name.size());
  out.finish(key);
}

Status decode(Bytes key, Bytes record, SessionRecord* to) {
  RecordReader in(key, record, kVersion);
  in.raw(to->client.bytes.data(), to->client.bytes.size());
  in.get(&to->begun_ns);
  to->client_name = in.bytes(in.get<std::uint16_t>()).view();
  return in.end();
}

void encode(const SlotRecord& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kSlotVersion);
  out.put(from.sequence).put(from.transaction).put(from.method);
  out.put(static_cast<std::int32_t>(from.status.code)).put(from.status.os_error);
  out.put(from.opened_handle).put(from.opened_inode).put(from.opened_flags);
  out.put(static_cast<std::uint8_t>(from.body_kept)).raw(from.body.data, from.body.size);
  out.finish(key);
}

Status decode(Bytes key, Bytes record, SlotRecord* to) {
  RecordReader in(key, record, kSlotVersion);
  in.get(&to->sequence);
  in.get(&to->transaction);
  in.get(&to->method);
  to->status = {static_cast<Code>(in.get<std::int32_t>()), 0, nullptr};
  in.get(&to->status.os_error);
  if (in.version() >= 2) {
    in.get(&to->opened_handle);
    in.get(&to->opened_inode);
    in.get(&to->opened_flags);
  }
  to->body_kept = in.get<std::uint8_t>() != 0;
  to->body = in.bytes(in.left());
  return in.end();
}

void encode(const DestroyRecord& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kVersion);
  out.raw(from.targets.data(), from.targets.size() * sizeof(TargetId));
  out.finish(key);
}

Status decode(Bytes key, Bytes record, DestroyRecord* to) {
  RecordReader in(key, record, kVersion);
  to->targets.resize(in.left() / sizeof(TargetId));
  in.raw(to->targets.data(), to->targets.size() * sizeof(TargetId));
  return in.end();
}

void encode(const DrainRecord& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kVersion);
  out.put(static_cast<std::uint8_t>(from.state)).put(from.bytes_per_second).put(from.begun_ns);
  out.put(from.files).put(from.bytes);
  out.finish(key);
}

Status decode(Bytes key, Bytes record, DrainRecord* to) {
  RecordReader in(key, record, kVersion);
  const auto state = in.get<std::uint8_t>();
  in.get(&to->bytes_per_second);
  in.get(&to->begun_ns);
  in.get(&to->files);
  in.get(&to->bytes);
  if (const Status status = in.end(); !status.ok()) return status;
  return parse_drain_state(state, &to->state) ? kOk : Status{Code::corrupt, 0, "state of a drain"};
}

}  // namespace rideau::fs
