// SPDX-License-Identifier: Apache-2.0
// Keys and values of an object target's index; the layout is described in records.hpp.
#include "plugins/oss/records.hpp"

#include "framework/base/checksum.hpp"

#include <cstring>

namespace rideau::oss {

namespace {

constexpr std::uint8_t kRecordVersion = 1;

template <class Number>
void put_key_number(std::string& key, Number number) {
  for (int shift = static_cast<int>(sizeof number) * 8 - 8; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(number >> shift & 0xff));
  }
}

class Writer {
 public:
  Writer() { put(kRecordVersion); }
  template <class Number>
  Writer& put(Number number) {
    auto bits = static_cast<std::uint64_t>(number);
    for (std::size_t i = 0; i < sizeof number; ++i, bits >>= 8) value_.push_back(static_cast<char>(bits & 0xff));
    return *this;
  }
  Writer& put(const Uuid& uuid) {
    value_.append(reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size());
    return *this;
  }
  std::string seal(const std::string& key) {
    put(crc32c(Bytes(std::string_view(value_)), crc32c(Bytes(std::string_view(key)))));
    return std::move(value_);
  }

 private:
  std::string value_;
};

class Reader {
 public:
  Reader(Bytes key, Bytes value) {
    constexpr std::size_t kFrame = 1 + sizeof(std::uint32_t);
    if (value.size < kFrame) return;
    const Bytes covered(value.data, value.size - sizeof(std::uint32_t));
    rest_ = Bytes(value.data + covered.size, sizeof(std::uint32_t));
    if (take<std::uint32_t>() != crc32c(covered, crc32c(key))) return;
    rest_ = Bytes(covered.data + 1, covered.size - 1);
    status_ = covered.data[0] == kRecordVersion ? kOk : Status{Code::unsupported, 0, "record of a newer version"};
  }
  template <class Number>
  Number take() {
    std::uint64_t bits = 0;
    if (rest_.size < sizeof(Number)) {
      status_ = kDamaged;
      return 0;
    }
    for (std::size_t i = 0; i < sizeof(Number); ++i) bits |= static_cast<std::uint64_t>(rest_.data[i]) << (8 * i);
    skip(sizeof(Number));
    return static_cast<Number>(bits);
  }
  Uuid take_uuid() {
    Uuid uuid{};
    if (rest_.size < uuid.bytes.size()) {
      status_ = kDamaged;
      return uuid;
    }
    std::memcpy(uuid.bytes.data(), rest_.data, uuid.bytes.size());
    skip(uuid.bytes.size());
    return uuid;
  }
  Status status() const noexcept { return status_; }

 private:
  static constexpr Status kDamaged{Code::corrupt, 0, "read record of the object index"};
  void skip(std::size_t bytes) { rest_ = Bytes(rest_.data + bytes, rest_.size - bytes); }
  Bytes rest_{};
  Status status_ = kDamaged;
};

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

}  // namespace

std::string superblock_key() { return "S"; }
std::string boot_key() { return "b"; }
std::string mark_key() { return "m"; }
std::string destroyed_key(std::uint64_t sequence) {
  std::string key = "d";
  put_key_number(key, sequence);
  return key;
}
std::string fence_key(const FenceId& id) {
  std::string key = "f";
  key.append(reinterpret_cast<const char*>(id.client.bytes.data()), id.client.bytes.size());
  put_key_number(key, id.target);
  return key;
}
std::string session_key(std::uint64_t session) {
  std::string key = "s";
  put_key_number(key, session);
  return key;
}
std::string slot_key(std::uint64_t session, std::uint32_t slot) {
  std::string key = "l";
  put_key_number(key, session);
  put_key_number(key, slot);
  return key;
}
std::string version_key(ObjectId id) {
  std::string key = "v";
  put_key_number(key, id.high);
  put_key_number(key, id.low);
  return key;
}

bool parse_destroyed_key(Bytes key, std::uint64_t* sequence) {
  if (key.size != 1 + sizeof *sequence || key.data[0] != 'd') return false;
  *sequence = 0;
  for (std::size_t i = 1; i < key.size; ++i) *sequence = *sequence << 8 | key.data[i];
  return true;
}

bool parse_fence_key(Bytes key, FenceId* id) {
  if (key.size != 1 + id->client.bytes.size() + sizeof id->target || key.data[0] != 'f') return false;
  std::memcpy(id->client.bytes.data(), key.data + 1, id->client.bytes.size());
  id->target = 0;
  for (std::size_t i = 1 + id->client.bytes.size(); i < key.size; ++i) id->target = id->target << 8 | key.data[i];
  return true;
}

std::string superblock_value(const Superblock& from) {
  Writer to;
  return to.put(from.format).put(from.cluster).put(from.target).put(from.boot_epoch).seal(superblock_key());
}
std::string boot_value(const BootRecord& from) {
  Writer to;
  return to.put(from.boot_epoch)
      .put(from.kept_from)
      .put(from.machine_boot)
      .put(static_cast<std::uint8_t>(from.stopped))
      .seal(boot_key());
}
std::string mark_value(std::uint64_t count) {
  Writer to;
  return to.put(count).seal(mark_key());
}
std::string destroyed_value(std::uint64_t sequence, ObjectId id) {
  Writer to;
  return to.put(id.high).put(id.low).seal(destroyed_key(sequence));
}
std::string fence_value(const FenceId& id, std::uint64_t session) {
  Writer to;
  return to.put(session).seal(fence_key(id));
}
std::string session_value(std::uint64_t session, const SessionRecord& from) {
  Writer to;
  return to.put(from.client).seal(session_key(session));
}
std::string slot_value(std::uint64_t session, std::uint32_t slot, const SlotRecord& from) {
  Writer to;
  return to.put(from.sequence)
      .put(from.method)
      .put(from.status)
      .put(from.os_error)
      .put(from.version)
      .seal(slot_key(session, slot));
}
std::string version_value(ObjectId id, std::uint64_t version) {
  Writer to;
  return to.put(version).seal(version_key(id));
}

Status read_superblock(Bytes value, Superblock* to) {
  Reader from(view(superblock_key()), value);
  to->format = from.take<std::uint32_t>();
  to->cluster = from.take_uuid();
  to->target = from.take<std::uint32_t>();
  to->boot_epoch = from.take<std::uint64_t>();
  return from.status();
}
Status read_boot(Bytes value, BootRecord* to) {
  Reader from(view(boot_key()), value);
  to->boot_epoch = from.take<std::uint64_t>();
  to->kept_from = from.take<std::uint64_t>();
  to->machine_boot = from.take_uuid();
  to->stopped = from.take<std::uint8_t>() != 0;
  return from.status();
}
Status read_destroyed(Bytes key, Bytes value, ObjectId* to) {
  Reader from(key, value);
  to->high = from.take<std::uint64_t>();
  to->low = from.take<std::uint64_t>();
  return from.status();
}
Status read_fence(Bytes key, Bytes value, std::uint64_t* session) {
  Reader from(key, value);
  *session = from.take<std::uint64_t>();
  return from.status();
}
Status read_session(std::uint64_t session, Bytes value, SessionRecord* to) {
  Reader from(view(session_key(session)), value);
  to->client = from.take_uuid();
  return from.status();
}
Status read_slot(std::uint64_t session, std::uint32_t slot, Bytes value, SlotRecord* to) {
  Reader from(view(slot_key(session, slot)), value);
  to->sequence = from.take<std::uint64_t>();
  to->method = from.take<std::uint16_t>();
  to->status = from.take<std::int32_t>();
  to->os_error = from.take<std::int32_t>();
  to->version = from.take<std::uint64_t>();
  return from.status();
}
Status read_version(ObjectId id, Bytes value, std::uint64_t* to) {
  Reader from(view(version_key(id)), value);
  *to = from.take<std::uint64_t>();
  return from.status();
}

}  // namespace rideau::oss
