// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls about inodes and sessions: attributes, open and close, extended attributes, space, sync, locks.
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

namespace {

bool says_something(const InlineBytes& bytes) { return bytes.present || bytes.moved_out; }
void fill(schema::InlineBytes::Builder to, const InlineBytes& from) {
  if (from.present) to.setBytes(data_of(from.bytes));
  to.setMovedOut(from.moved_out);
}
bool take(schema::InlineBytes::Reader from, InlineBytes* to) {
  to->present = from.hasBytes();
  to->moved_out = from.getMovedOut();
  return take_view(from.getBytes(), kInlineBytesMax, &to->bytes);
}

}  // namespace

void encode(const GetAttributesRequest& from, wire::Encoded& to) {
  encode_root<schema::GetAttributesRequest>(to, [&](auto root) { root.setInode(from.inode); });
}
Status decode(Bytes body, GetAttributesRequest* to) {
  return decode_root<schema::GetAttributesRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return true;
  });
}

void encode(const SetAttributesRequest& from, wire::Encoded& to) {
  encode_root<schema::SetAttributesRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setMask(from.mask);
    root.setMode(from.mode);
    root.setUid(from.uid);
    root.setGid(from.gid);
    root.setSize(from.size);
    root.setAtimeNs(from.atime_ns);
    root.setMtimeNs(from.mtime_ns);
    root.setHandle(from.handle);
    if (says_something(from.bytes)) fill(root.initBytes(), from.bytes);
  });
}
Status decode(Bytes body, SetAttributesRequest* to) {
  return decode_root<schema::SetAttributesRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    to->mask = root.getMask();
    to->mode = root.getMode();
    to->uid = root.getUid();
    to->gid = root.getGid();
    to->size = root.getSize();
    to->atime_ns = root.getAtimeNs();
    to->mtime_ns = root.getMtimeNs();
    to->handle = root.getHandle();
    to->bytes = {};
    return take(root.getCaller(), &to->caller) && (!root.hasBytes() || take(root.getBytes(), &to->bytes));
  });
}

void encode(const OpenRequest& from, wire::Encoded& to) {
  encode_root<schema::OpenRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setFlags(from.flags);
    root.setHandle(from.handle);
    root.setKnowsInline(from.knows_inline);
    root.setWantsBytes(from.wants_bytes);
  });
}
Status decode(Bytes body, OpenRequest* to) {
  return decode_root<schema::OpenRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    to->flags = root.getFlags();
    to->handle = root.getHandle();
    to->knows_inline = root.getKnowsInline();
    to->wants_bytes = root.getWantsBytes();
    return take(root.getCaller(), &to->caller);
  });
}

void encode(const OpenReply& from, wire::Encoded& to) {
  encode_root<schema::OpenReply>(to, [&](auto root) {
    fill(root.initInode(), from.inode);
    if (from.has_bytes) root.setBytes(data_of(from.bytes));
  });
}
Status decode(Bytes body, OpenReply* to) {
  return decode_root<schema::OpenReply>(body, [to](auto root) {
    to->has_bytes = root.hasBytes();
    return take(root.getInode(), &to->inode) && take_copy(root.getBytes(), kInlineBytesMax, &to->bytes);
  });
}

void encode(const ReadInlineRequest& from, wire::Encoded& to) {
  encode_root<schema::ReadInlineRequest>(to, [&](auto root) { root.setInode(from.inode); });
}
Status decode(Bytes body, ReadInlineRequest* to) {
  return decode_root<schema::ReadInlineRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return true;
  });
}

void encode(const ReadInlineReply& from, wire::Encoded& to) {
  encode_root<schema::ReadInlineReply>(to, [&](auto root) {
    root.setInline(from.is_inline);
    root.setBytes(data_of(from.bytes));
  });
}
Status decode(Bytes body, ReadInlineReply* to) {
  return decode_root<schema::ReadInlineReply>(body, [to](auto root) {
    to->is_inline = root.getInline();
    return take_copy(root.getBytes(), kInlineBytesMax, &to->bytes);
  });
}

namespace {

void fill(schema::SizeUpdate::Builder to, const SizeUpdate& from) {
  to.setSize(from.size);
  to.setBlocks(from.blocks);
  to.setMtimeNs(from.mtime_ns);
  to.setTimeGeneration(from.time_generation);
  to.setAtLeast(from.at_least);
  to.setCutting(from.cutting);
}
void take(schema::SizeUpdate::Reader from, SizeUpdate* to) {
  *to = {from.getSize(), from.getBlocks(),  from.getMtimeNs(), from.getTimeGeneration(),
         true,           from.getAtLeast(), from.getCutting()};
}

}  // namespace

void encode(const CloseRequest& from, wire::Encoded& to) {
  encode_root<schema::CloseRequest>(to, [&](auto root) {
    auto items = root.initItems(static_cast<std::uint32_t>(from.items.size()));
    for (std::uint32_t i = 0; i < items.size(); ++i) {
      const CloseItem& item = from.items[i];
      auto out = items[i];
      out.setInode(item.inode);
      out.setHandle(item.handle);
      out.setUntouched(item.untouched);
      if (says_something(item.bytes)) fill(out.initBytes(), item.bytes);
      if (!item.update.present) continue;
      fill(out.initUpdate(), item.update);
    }
  });
}
Status decode(Bytes body, CloseRequest* to) {
  return decode_root<schema::CloseRequest>(body, [to](auto root) {
    const auto items = root.getItems();
    if (items.size() > limits::kCloseItemsMax) return false;
    to->items.assign(items.size(), CloseItem{});
    for (std::uint32_t i = 0; i < items.size(); ++i) {
      const auto in = items[i];
      CloseItem& item = to->items[i];
      item.inode = in.getInode();
      item.handle = in.getHandle();
      item.untouched = in.getUntouched();
      if (in.hasBytes() && !take(in.getBytes(), &item.bytes)) return false;
      if (!in.hasUpdate()) continue;
      take(in.getUpdate(), &item.update);
    }
    return true;
  });
}

void encode(const GetAttributeRequest& from, wire::Encoded& to) {
  encode_root<schema::GetAttributeRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setName(data_of(from.name));
  });
}
Status decode(Bytes body, GetAttributeRequest* to) {
  return decode_root<schema::GetAttributeRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name);
  });
}

void encode(const GetAttributeReply& from, wire::Encoded& to) {
  encode_root<schema::GetAttributeReply>(to, [&](auto root) { root.setValue(data_of(from.value)); });
}
Status decode(Bytes body, GetAttributeReply* to) {
  return decode_root<schema::GetAttributeReply>(
      body, [to](auto root) { return take_copy(root.getValue(), limits::kXattrValueBytesMax, &to->value); });
}

void encode(const SetAttributeRequest& from, wire::Encoded& to) {
  encode_root<schema::SetAttributeRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setName(data_of(from.name));
    root.setValue(data_of(from.value));
    root.setFlags(from.flags);
  });
}
Status decode(Bytes body, SetAttributeRequest* to) {
  return decode_root<schema::SetAttributeRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    to->flags = root.getFlags();
    // The value is bounded by the body; the server answers E2BIG when it is too long.
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name) &&
           take_view(root.getValue(), limits::kBodyBytesMax, &to->value);
  });
}

void encode(const ListAttributesRequest& from, wire::Encoded& to) {
  encode_root<schema::ListAttributesRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
  });
}
Status decode(Bytes body, ListAttributesRequest* to) {
  return decode_root<schema::ListAttributesRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return take(root.getCaller(), &to->caller);
  });
}

void encode(const ListAttributesReply& from, wire::Encoded& to) {
  encode_root<schema::ListAttributesReply>(to, [&](auto root) {
    auto names = root.initNames(static_cast<std::uint32_t>(from.names.size()));
    for (std::uint32_t i = 0; i < names.size(); ++i) names.set(i, data_of(from.names[i]));
  });
}
Status decode(Bytes body, ListAttributesReply* to) {
  return decode_root<schema::ListAttributesReply>(body, [to](auto root) {
    const auto names = root.getNames();
    if (names.size() > limits::kXattrListBytesMax) return false;
    to->names.resize(names.size());
    for (std::uint32_t i = 0; i < names.size(); ++i) {
      if (!take_copy(names[i], limits::kXattrNameBytesMax, &to->names[i])) return false;
    }
    return true;
  });
}

void encode(const RemoveAttributeRequest& from, wire::Encoded& to) {
  encode_root<schema::RemoveAttributeRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setName(data_of(from.name));
  });
}
Status decode(Bytes body, RemoveAttributeRequest* to) {
  return decode_root<schema::RemoveAttributeRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name);
  });
}

void encode(const StatFileSystemReply& from, wire::Encoded& to) {
  encode_root<schema::StatFileSystemReply>(to, [&](auto root) {
    root.setInodesUsed(from.inodes_used);
    root.setInodesFree(from.inodes_free);
    if (from.drains.empty()) return;
    auto drains = root.initDrains(static_cast<std::uint32_t>(from.drains.size()));
    for (std::uint32_t i = 0; i < drains.size(); ++i) {
      const StatFileSystemReply::Drain& one = from.drains[i];
      auto drain = drains[i];
      drain.setTarget(one.target);
      drain.setState(static_cast<std::uint8_t>(one.state));
      drain.setFilesMoved(one.files_moved);
      drain.setBytesMoved(one.bytes_moved);
      drain.setFilesLeft(one.files_left);
      if (!one.problem.empty()) drain.setProblem(data_of(one.problem));
    }
  });
}
Status decode(Bytes body, StatFileSystemReply* to) {
  return decode_root<schema::StatFileSystemReply>(body, [to](auto root) {
    to->inodes_used = root.getInodesUsed();
    to->inodes_free = root.getInodesFree();
    to->drains.clear();
    const auto drains = root.getDrains();
    if (drains.size() > kDrainsMax) return false;
    for (const auto drain : drains) {
      StatFileSystemReply::Drain& one = to->drains.emplace_back();
      one.target = drain.getTarget();
      one.files_moved = drain.getFilesMoved();
      one.bytes_moved = drain.getBytesMoved();
      one.files_left = drain.getFilesLeft();
      if (!parse_drain_state(drain.getState(), &one.state)) return false;
      if (!take_copy(drain.getProblem(), kDrainProblemBytesMax, &one.problem)) return false;
    }
    return true;
  });
}

void encode(const SyncRequest& from, wire::Encoded& to) {
  encode_root<schema::SyncRequest>(to, [&](auto root) { root.setTransaction(from.transaction); });
}
Status decode(Bytes body, SyncRequest* to) {
  return decode_root<schema::SyncRequest>(body, [to](auto root) {
    to->transaction = root.getTransaction();
    return true;
  });
}

void encode(const LockRequest& from, wire::Encoded& to) {
  encode_root<schema::LockRequest>(to, [&](auto root) {
    root.setResource(from.resource);
    root.setMode(from.mode);
    root.setKnowsParts(from.knows_parts);
  });
}
Status decode(Bytes body, LockRequest* to) {
  return decode_root<schema::LockRequest>(body, [to](auto root) {
    to->resource = root.getResource();
    to->mode = root.getMode();
    to->knows_parts = root.getKnowsParts();
    return true;
  });
}

void encode(const LockReply& from, wire::Encoded& to) {
  encode_root<schema::LockReply>(to, [&](auto root) { fill_word(root, from.lock); });
}
Status decode(Bytes body, LockReply* to) {
  return decode_root<schema::LockReply>(body, [to](auto root) {
    to->lock = word_of(root);
    return true;
  });
}

void encode(const LockExtentRequest& from, wire::Encoded& to) {
  encode_root<schema::LockExtentRequest>(to, [&](auto root) {
    root.setResource(from.resource);
    root.setBegin(from.begin);
    root.setEnd(from.end);
    root.setMode(from.mode);
  });
}
Status decode(Bytes body, LockExtentRequest* to) {
  return decode_root<schema::LockExtentRequest>(body, [to](auto root) {
    *to = {root.getResource(), root.getBegin(), root.getEnd(), root.getMode()};
    return to->begin < to->end;
  });
}

void encode(const LockExtentReply& from, wire::Encoded& to) {
  encode_root<schema::LockExtentReply>(to, [&](auto root) {
    root.setBegin(from.begin);
    root.setEnd(from.end);
    root.setMode(from.mode);
    root.setNumber(from.number);
  });
}
Status decode(Bytes body, LockExtentReply* to) {
  return decode_root<schema::LockExtentReply>(body, [to](auto root) {
    *to = {root.getBegin(), root.getEnd(), root.getMode(), root.getNumber()};
    return true;
  });
}

namespace {

template <class Root>
void fill_items(Root& root, const std::vector<LockItem>& from) {
  auto items = root.initItems(static_cast<std::uint32_t>(from.size()));
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    items[i].setResource(from[i].resource);
    items[i].setNumber(from[i].number);
  }
}

template <class Root>
bool take_items(const Root& root, std::vector<LockItem>* to) {
  const auto items = root.getItems();
  if (items.size() > limits::kLockItemsMax) return false;
  to->resize(items.size());
  for (std::uint32_t i = 0; i < items.size(); ++i) (*to)[i] = {items[i].getResource(), items[i].getNumber()};
  return true;
}

template <class Root>
void fill_extents(Root& root, const std::vector<ExtentItem>& from) {
  if (from.empty()) return;
  auto extents = root.initExtents(static_cast<std::uint32_t>(from.size()));
  for (std::uint32_t i = 0; i < extents.size(); ++i) {
    extents[i].setResource(from[i].resource);
    extents[i].setBegin(from[i].begin);
    extents[i].setEnd(from[i].end);
    extents[i].setNumber(from[i].number);
  }
}

template <class Root>
bool take_extents(const Root& root, std::vector<ExtentItem>* to) {
  const auto extents = root.getExtents();
  if (extents.size() > limits::kLockItemsMax) return false;
  to->resize(extents.size());
  for (std::uint32_t i = 0; i < extents.size(); ++i) {
    (*to)[i] = {extents[i].getResource(), extents[i].getBegin(), extents[i].getEnd(), extents[i].getNumber()};
  }
  return true;
}

}  // namespace

void encode(const UnlockRequest& from, wire::Encoded& to) {
  encode_root<schema::UnlockRequest>(to, [&](auto root) {
    fill_items(root, from.items);
    fill_extents(root, from.extents);
  });
}
Status decode(Bytes body, UnlockRequest* to) {
  return decode_root<schema::UnlockRequest>(
      body, [to](auto root) { return take_items(root, &to->items) && take_extents(root, &to->extents); });
}

void encode(const RevokeRequest& from, wire::Encoded& to) {
  encode_root<schema::RevokeRequest>(to, [&](auto root) {
    fill_items(root, from.items);
    root.setBudget(from.budget);
    fill_extents(root, from.extents);
  });
}
Status decode(Bytes body, RevokeRequest* to) {
  return decode_root<schema::RevokeRequest>(body, [to](auto root) {
    to->budget = root.getBudget();
    return take_items(root, &to->items) && take_extents(root, &to->extents);
  });
}

void encode(const GlimpseRequest& from, wire::Encoded& to) {
  encode_root<schema::GlimpseRequest>(to, [&](auto root) { fill_items(root, from.items); });
}
Status decode(Bytes body, GlimpseRequest* to) {
  return decode_root<schema::GlimpseRequest>(body, [to](auto root) { return take_items(root, &to->items); });
}

void encode(const GlimpseReply& from, wire::Encoded& to) {
  encode_root<schema::GlimpseReply>(to, [&](auto root) {
    auto items = root.initItems(static_cast<std::uint32_t>(from.items.size()));
    for (std::uint32_t i = 0; i < items.size(); ++i) {
      if (from.items[i].present) fill(items[i].initUpdate(), from.items[i]);
    }
  });
}
Status decode(Bytes body, GlimpseReply* to) {
  return decode_root<schema::GlimpseReply>(body, [to](auto root) {
    const auto items = root.getItems();
    if (items.size() > limits::kLockItemsMax) return false;
    to->items.resize(items.size());
    for (std::uint32_t i = 0; i < items.size(); ++i) {
      if (items[i].hasUpdate()) take(items[i].getUpdate(), &to->items[i]);
    }
    return true;
  });
}

}  // namespace rideau::fs
