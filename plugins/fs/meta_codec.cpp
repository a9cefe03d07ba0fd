// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls about names: lookup, make, link, remove, rename, read_directory, symbolic links.
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

void encode(const LookupRequest& from, wire::Encoded& to) {
  encode_root<schema::LookupRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setParent(from.parent);
    root.setName(data_of(from.name));
  });
}
Status decode(Bytes body, LookupRequest* to) {
  return decode_root<schema::LookupRequest>(body, [to](auto root) {
    to->parent = root.getParent();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name);
  });
}

void encode(const InodeReply& from, wire::Encoded& to) {
  encode_root<schema::InodeReply>(to, [&](auto root) { fill(root.initInode(), from.inode); });
}
Status decode(Bytes body, InodeReply* to) {
  return decode_root<schema::InodeReply>(body, [to](auto root) { return take(root.getInode(), &to->inode); });
}

void encode(const MakeRequest& from, wire::Encoded& to) {
  encode_root<schema::MakeRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setParent(from.parent);
    root.setName(data_of(from.name));
    root.setMode(from.mode);
    root.setDevice(from.device);
    if (!from.symlink_target.empty()) root.setSymlinkTarget(data_of(from.symlink_target));
    root.setOpen(from.open);
    root.setOpenFlags(from.open_flags);
    root.setHandle(from.handle);
    root.setKnowsInline(from.knows_inline);
  });
}
Status decode(Bytes body, MakeRequest* to) {
  return decode_root<schema::MakeRequest>(body, [to](auto root) {
    to->parent = root.getParent();
    to->mode = root.getMode();
    to->device = root.getDevice();
    to->open = root.getOpen();
    to->open_flags = root.getOpenFlags();
    to->handle = root.getHandle();
    to->knows_inline = root.getKnowsInline();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name) &&
           take_view(root.getSymlinkTarget(), limits::kKeptReplyBytesMax, &to->symlink_target);
  });
}

void encode(const MakeReply& from, wire::Encoded& to) {
  encode_root<schema::MakeReply>(to, [&](auto root) {
    fill(root.initInode(), from.inode);
    fill(root.initParent(), from.parent);
    root.setExisted(from.existed);
  });
}
Status decode(Bytes body, MakeReply* to) {
  return decode_root<schema::MakeReply>(body, [to](auto root) {
    to->existed = root.getExisted();
    return take(root.getInode(), &to->inode) && take(root.getParent(), &to->parent);
  });
}

void encode(const ReadLinkRequest& from, wire::Encoded& to) {
  encode_root<schema::ReadLinkRequest>(to, [&](auto root) { root.setInode(from.inode); });
}
Status decode(Bytes body, ReadLinkRequest* to) {
  return decode_root<schema::ReadLinkRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    return true;
  });
}

void encode(const ReadLinkReply& from, wire::Encoded& to) {
  encode_root<schema::ReadLinkReply>(to, [&](auto root) { root.setTarget(data_of(from.target)); });
}
Status decode(Bytes body, ReadLinkReply* to) {
  return decode_root<schema::ReadLinkReply>(
      body, [to](auto root) { return take_copy(root.getTarget(), limits::kPathBytesMax, &to->target); });
}

void encode(const LinkRequest& from, wire::Encoded& to) {
  encode_root<schema::LinkRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setInode(from.inode);
    root.setParent(from.parent);
    root.setName(data_of(from.name));
    root.setGuarded(from.guarded);
  });
}
Status decode(Bytes body, LinkRequest* to) {
  return decode_root<schema::LinkRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    to->parent = root.getParent();
    to->guarded = root.getGuarded();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name);
  });
}

void encode(const RemoveRequest& from, wire::Encoded& to) {
  encode_root<schema::RemoveRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setParent(from.parent);
    root.setName(data_of(from.name));
    root.setDirectory(from.directory);
    root.setKeptOpen(from.kept_open);
  });
}
Status decode(Bytes body, RemoveRequest* to) {
  return decode_root<schema::RemoveRequest>(body, [to](auto root) {
    to->parent = root.getParent();
    to->directory = root.getDirectory();
    to->kept_open = root.getKeptOpen();
    return take(root.getCaller(), &to->caller) && take_view(root.getName(), kNameWireMax, &to->name);
  });
}

void encode(const RemoveReply& from, wire::Encoded& to) {
  encode_root<schema::RemoveReply>(to, [&](auto root) {
    fill(root.initParent(), from.parent);
    fill(root.initInode(), from.inode);
    root.setDestroyed(from.destroyed);
  });
}
Status decode(Bytes body, RemoveReply* to) {
  return decode_root<schema::RemoveReply>(body, [to](auto root) {
    to->destroyed = root.getDestroyed();
    return take(root.getParent(), &to->parent) && take(root.getInode(), &to->inode);
  });
}

void encode(const RenameRequest& from, wire::Encoded& to) {
  encode_root<schema::RenameRequest>(to, [&](auto root) {
    fill(root.initCaller(), from.caller);
    root.setOldParent(from.old_parent);
    root.setOldName(data_of(from.old_name));
    root.setNewParent(from.new_parent);
    root.setNewName(data_of(from.new_name));
    root.setFlags(from.flags);
  });
}
Status decode(Bytes body, RenameRequest* to) {
  return decode_root<schema::RenameRequest>(body, [to](auto root) {
    to->old_parent = root.getOldParent();
    to->new_parent = root.getNewParent();
    to->flags = root.getFlags();
    return take(root.getCaller(), &to->caller) && take_view(root.getOldName(), kNameWireMax, &to->old_name) &&
           take_view(root.getNewName(), kNameWireMax, &to->new_name);
  });
}

void encode(const RenameReply& from, wire::Encoded& to) {
  encode_root<schema::RenameReply>(to, [&](auto root) {
    fill(root.initOldParent(), from.old_parent);
    fill(root.initNewParent(), from.new_parent);
    fill(root.initInode(), from.inode);
    if (from.replaced.id != kNoInode) fill(root.initReplaced(), from.replaced);
    root.setDestroyed(from.destroyed);
  });
}
Status decode(Bytes body, RenameReply* to) {
  return decode_root<schema::RenameReply>(body, [to](auto root) {
    to->destroyed = root.getDestroyed();
    return take(root.getOldParent(), &to->old_parent) && take(root.getNewParent(), &to->new_parent) &&
           take(root.getInode(), &to->inode) && take(root.getReplaced(), &to->replaced);
  });
}

void encode(const ReadDirectoryRequest& from, wire::Encoded& to) {
  encode_root<schema::ReadDirectoryRequest>(to, [&](auto root) {
    root.setDirectory(from.directory);
    root.setAfter(from.after);
    root.setEntriesMax(from.entries_max);
    root.setAttributes(from.attributes);
  });
}
Status decode(Bytes body, ReadDirectoryRequest* to) {
  return decode_root<schema::ReadDirectoryRequest>(body, [to](auto root) {
    to->directory = root.getDirectory();
    to->after = root.getAfter();
    to->entries_max = root.getEntriesMax();
    to->attributes = root.getAttributes();
    return true;
  });
}

void encode(const ReadDirectoryReply& from, wire::Encoded& to) {
  encode_root<schema::ReadDirectoryReply>(to, [&](auto root) {
    root.setEnd(from.end);
    root.setParent(from.parent);
    auto entries = root.initEntries(static_cast<std::uint32_t>(from.entries.size()));
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      const DirectoryEntry& entry = from.entries[i];
      auto out = entries[i];
      out.setCookie(entry.cookie);
      out.setInode(entry.inode);
      out.setType(entry.type);
      out.setName(data_of(entry.name));
      if (entry.attributes.id != kNoInode) fill(out.initAttributes(), entry.attributes);
    }
  });
}
Status decode(Bytes body, ReadDirectoryReply* to) {
  return decode_root<schema::ReadDirectoryReply>(body, [to](auto root) {
    to->end = root.getEnd();
    to->parent = root.getParent();
    const auto entries = root.getEntries();
    if (entries.size() > limits::kDirectoryEntriesMax) return false;
    to->entries.resize(entries.size());
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      const auto in = entries[i];
      DirectoryEntry& entry = to->entries[i];
      entry.cookie = in.getCookie();
      entry.inode = in.getInode();
      entry.type = in.getType();
      if (!take_copy(in.getName(), limits::kNameBytesMax, &entry.name)) return false;
      entry.attributes = Inode{};
      if (in.hasAttributes() && !take(in.getAttributes(), &entry.attributes)) return false;
    }
    return true;
  });
}

std::size_t encoded_bytes_max(const DirectoryEntry& entry) noexcept {
  // The struct with its two pointers, the name in whole words; an inode with its pointers, layout and layout default.
  std::size_t words = 5 + (entry.name.size() + 7) / 8;
  const Inode& inode = entry.attributes;
  if (inode.id != kNoInode) words += 27 + (inode.layout.targets.size() + 1) / 2;
  if (inode.access_list != nullptr) words += 1 + inode.access_list->size();
  return 8 * words;
}

}  // namespace rideau::fs
