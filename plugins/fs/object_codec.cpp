// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls of an object target: structs of object_calls.hpp to bytes and back.
#include "plugins/fs/codec.hpp"
#include "plugins/fs/codec_support.hpp"

#include "plugins/fs/object.capnp.h"

#include <algorithm>

namespace rideau::fs {

namespace {

void put(schema::ObjectId::Builder to, ObjectId from) {
  to.setHigh(from.high);
  to.setLow(from.low);
}
void take(schema::ObjectId::Reader from, ObjectId* to) { *to = {from.getHigh(), from.getLow()}; }

// No byte of an object lies beyond what a signed 64-bit offset can name.
bool in_bounds(std::uint64_t offset, std::uint64_t size) {
  return offset <= limits::kFileBytesMax && size <= limits::kFileBytesMax - offset;
}

template <class Root>
void put_list(const std::vector<ObjectId>& from, wire::Encoded& to) {
  encode_root<Root>(to, [&](auto root) {
    auto list = root.initObjects(static_cast<unsigned>(from.size()));
    for (unsigned i = 0; i < from.size(); ++i) put(list[i], from[i]);
  });
}

template <class Root>
Status take_list(Bytes body, std::vector<ObjectId>* to) {
  return decode_root<Root>(body, [&](auto root) {
    auto list = root.getObjects();
    if (list.size() > kObjectsPerCallMax) return false;
    to->clear();
    to->reserve(list.size());
    for (auto item : list) take(item, &to->emplace_back());
    return true;
  });
}

}  // namespace

void encode(const ObjectReadRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectReadRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setSize(from.size);
  });
}
Status decode(Bytes body, ObjectReadRequest* to) {
  return decode_root<schema::ObjectReadRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->size = root.getSize();
    return in_bounds(to->offset, to->size);
  });
}

void encode(const ObjectReadReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectReadReply>(to, [&](auto root) { root.setObjectSize(from.object_size); });
}
Status decode(Bytes body, ObjectReadReply* to) {
  return decode_root<schema::ObjectReadReply>(body, [&](auto root) {
    to->object_size = root.getObjectSize();
    return true;
  });
}

void encode(const ObjectWriteRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectWriteRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setGrantWanted(from.grant_wanted);
    root.setGrantUsed(from.grant_used);
  });
}
Status decode(Bytes body, ObjectWriteRequest* to) {
  return decode_root<schema::ObjectWriteRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->grant_wanted = root.getGrantWanted();
    to->grant_used = root.getGrantUsed();
    return in_bounds(to->offset, 0);
  });
}

void encode(const ObjectWriteReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectWriteReply>(to, [&](auto root) {
    root.setGrant(from.grant);
    root.setBytesUsed(from.bytes_used);
  });
}
Status decode(Bytes body, ObjectWriteReply* to) {
  return decode_root<schema::ObjectWriteReply>(body, [&](auto root) {
    to->grant = root.getGrant();
    to->bytes_used = root.getBytesUsed();
    return true;
  });
}

void encode(const ObjectTruncateRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectTruncateRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setSize(from.size);
    root.setVersion(from.version);
  });
}
Status decode(Bytes body, ObjectTruncateRequest* to) {
  return decode_root<schema::ObjectTruncateRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->size = root.getSize();
    to->version = root.getVersion();
    return in_bounds(to->size, 0);
  });
}

void encode(const ObjectPunchRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectPunchRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setSize(from.size);
    root.setVersion(from.version);
  });
}
Status decode(Bytes body, ObjectPunchRequest* to) {
  return decode_root<schema::ObjectPunchRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->size = root.getSize();
    to->version = root.getVersion();
    return in_bounds(to->offset, to->size);
  });
}

void encode(const ObjectAllocateRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectAllocateRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setSize(from.size);
    root.setVersion(from.version);
    root.setZero(from.zero);
  });
}
Status decode(Bytes body, ObjectAllocateRequest* to) {
  return decode_root<schema::ObjectAllocateRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->size = root.getSize();
    to->version = root.getVersion();
    to->zero = root.getZero();
    return in_bounds(to->offset, to->size);
  });
}

void encode(const ObjectVersionReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectVersionReply>(to, [&](auto root) { root.setVersion(from.version); });
}
Status decode(Bytes body, ObjectVersionReply* to) {
  return decode_root<schema::ObjectVersionReply>(body, [&](auto root) {
    to->version = root.getVersion();
    return true;
  });
}

void encode(const ObjectStatRequest& from, wire::Encoded& to) { put_list<schema::ObjectStatRequest>(from.objects, to); }
Status decode(Bytes body, ObjectStatRequest* to) { return take_list<schema::ObjectStatRequest>(body, &to->objects); }

void encode(const ObjectStatReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectStatReply>(to, [&](auto root) {
    auto list = root.initItems(static_cast<unsigned>(from.items.size()));
    for (unsigned i = 0; i < from.items.size(); ++i) {
      list[i].setSize(from.items[i].size);
      list[i].setBytesUsed(from.items[i].bytes_used);
    }
  });
}
Status decode(Bytes body, ObjectStatReply* to) {
  return decode_root<schema::ObjectStatReply>(body, [&](auto root) {
    auto list = root.getItems();
    if (list.size() > kObjectsPerCallMax) return false;
    to->items.clear();
    to->items.reserve(list.size());
    for (auto item : list) {
      if (!in_bounds(item.getSize(), 0)) return false;
      to->items.push_back({item.getSize(), item.getBytesUsed()});
    }
    return true;
  });
}

void encode(const ObjectFindDataRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectFindDataRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
  });
}
Status decode(Bytes body, ObjectFindDataRequest* to) {
  return decode_root<schema::ObjectFindDataRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    return in_bounds(to->offset, 0);
  });
}

void encode(const ObjectFindDataReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectFindDataReply>(to, [&](auto root) {
    root.setBegin(from.begin);
    root.setEnd(from.end);
  });
}
Status decode(Bytes body, ObjectFindDataReply* to) {
  return decode_root<schema::ObjectFindDataReply>(body, [&](auto root) {
    to->begin = root.getBegin();
    to->end = root.getEnd();
    return to->begin <= to->end && in_bounds(to->end, 0);
  });
}

void encode(const ObjectSyncRequest& from, wire::Encoded& to) { put_list<schema::ObjectSyncRequest>(from.objects, to); }
Status decode(Bytes body, ObjectSyncRequest* to) { return take_list<schema::ObjectSyncRequest>(body, &to->objects); }

void encode(const ObjectDestroyRequest& from, wire::Encoded& to) {
  put_list<schema::ObjectDestroyRequest>(from.objects, to);
}
Status decode(Bytes body, ObjectDestroyRequest* to) {
  return take_list<schema::ObjectDestroyRequest>(body, &to->objects);
}

void encode(const ObjectListRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectListRequest>(to, [&](auto root) {
    put(root.initAfter(), from.after);
    root.setEnd(from.end);
    root.setCount(from.count);
  });
}
Status decode(Bytes body, ObjectListRequest* to) {
  return decode_root<schema::ObjectListRequest>(body, [&](auto root) {
    take(root.getAfter(), &to->after);
    to->end = root.getEnd();
    to->count = root.getCount();
    return to->count <= kObjectsPerCallMax;
  });
}

void encode(const ObjectListReply& from, wire::Encoded& to) { put_list<schema::ObjectListReply>(from.objects, to); }
Status decode(Bytes body, ObjectListReply* to) { return take_list<schema::ObjectListReply>(body, &to->objects); }

void encode(const ObjectFenceRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectFenceRequest>(to, [&](auto root) {
    root.setClient(capnp::Data::Reader(from.client.bytes.data(), from.client.bytes.size()));
    root.setTarget(from.target);
    root.setSession(from.session);
  });
}
Status decode(Bytes body, ObjectFenceRequest* to) {
  return decode_root<schema::ObjectFenceRequest>(body, [&](auto root) {
    const auto client = root.getClient();
    if (client.size() != to->client.bytes.size()) return false;
    std::copy(client.begin(), client.end(), to->client.bytes.begin());
    to->target = root.getTarget();
    to->session = root.getSession();
    return true;
  });
}

void encode(const ObjectVerifyRequest& from, wire::Encoded& to) {
  encode_root<schema::ObjectVerifyRequest>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setSize(from.size);
  });
}
Status decode(Bytes body, ObjectVerifyRequest* to) {
  return decode_root<schema::ObjectVerifyRequest>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->size = root.getSize();
    return to->size <= kVerifyBytesMax;
  });
}

void encode(const ObjectVerifyReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectVerifyReply>(to, [&](auto root) {
    put(root.initObject(), from.object);
    root.setOffset(from.offset);
    root.setEnd(from.end);
    root.setChecksums(from.checksums);
    root.setBytes(from.bytes);
    root.setObjects(from.objects);
    auto list = root.initDamages(static_cast<unsigned>(from.damages.size()));
    for (unsigned i = 0; i < from.damages.size(); ++i) {
      put(list[i].initObject(), from.damages[i].object);
      list[i].setOffset(from.damages[i].offset);
      list[i].setSize(from.damages[i].size);
    }
  });
}
Status decode(Bytes body, ObjectVerifyReply* to) {
  return decode_root<schema::ObjectVerifyReply>(body, [&](auto root) {
    take(root.getObject(), &to->object);
    to->offset = root.getOffset();
    to->end = root.getEnd();
    to->checksums = root.getChecksums();
    to->bytes = root.getBytes();
    to->objects = root.getObjects();
    auto list = root.getDamages();
    if (list.size() > kDamagesPerCallMax) return false;
    to->damages.clear();
    to->damages.reserve(list.size());
    for (auto item : list) {
      ObjectVerifyReply::Damage& damage = to->damages.emplace_back();
      take(item.getObject(), &damage.object);
      damage.offset = item.getOffset();
      damage.size = item.getSize();
    }
    return true;
  });
}

void encode(const ObjectStatFileSystemReply& from, wire::Encoded& to) {
  encode_root<schema::ObjectStatFileSystemReply>(to, [&](auto root) {
    root.setBytesTotal(from.bytes_total);
    root.setBytesFree(from.bytes_free);
    root.setObjects(from.objects);
    root.setDevice(from.device);
    root.setObjectBytesMax(from.object_bytes_max);
  });
}
Status decode(Bytes body, ObjectStatFileSystemReply* to) {
  return decode_root<schema::ObjectStatFileSystemReply>(body, [&](auto root) {
    to->bytes_total = root.getBytesTotal();
    to->bytes_free = root.getBytesFree();
    to->objects = root.getObjects();
    to->device = root.getDevice();
    to->object_bytes_max = root.getObjectBytesMax();
    return true;
  });
}

}  // namespace rideau::fs
