// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

void fill(schema::Inode::Builder to, const Inode& from) {
  to.setId(from.id);
  to.setMode(from.mode);
  to.setLinkCount(from.link_count);
  to.setUid(from.uid);
  to.setGid(from.gid);
  to.setDevice(from.device);
  to.setSize(from.size);
  to.setBlocks(from.blocks);
  to.setAtimeNs(from.atime_ns);
  to.setMtimeNs(from.mtime_ns);
  to.setCtimeNs(from.ctime_ns);
  to.setBirthNs(from.birth_ns);
  to.setFlags(from.flags);
  to.setTimeGeneration(from.time_generation);
  to.setChange(from.change);
  to.setParent(from.parent);
  fill_word(to, from.lock);
  if (from.access_list != nullptr) to.setAccessList(data_of(format_access_list(*from.access_list)));
  if (!from.layout.targets.empty()) {
    auto layout = to.initLayout();
    layout.setGeneration(from.layout.generation);
    layout.setStripeSize(from.layout.stripe_size);
    auto targets = layout.initTargets(from.layout.stripe_count());
    for (std::uint32_t i = 0; i < from.layout.stripe_count(); ++i) targets.set(i, from.layout.targets[i]);
    layout.setInlineMax(from.layout.inline_max);
  }
  if (!from.pool.empty()) to.setPool(data_of(from.pool));
  if (from.layout_default != LayoutDefault{}) {
    auto wish = to.initLayoutDefault();
    wish.setStripeCount(from.layout_default.stripe_count);
    wish.setStripeSize(from.layout_default.stripe_size);
    wish.setStripeOffset(from.layout_default.stripe_offset);
    wish.setInlineMax(from.layout_default.inline_max);
  }
}

namespace {

// A layout is divided by, so what would not divide is refused here.
bool take(schema::Layout::Reader from, Layout* to) {
  to->generation = from.getGeneration();
  to->stripe_size = from.getStripeSize();
  to->inline_max = from.getInlineMax();
  if (to->inline_max > kInlineBytesMax) return false;
  const auto targets = from.getTargets();
  if (targets.size() > limits::kStripeCountMax) return false;
  to->targets.resize(targets.size());
  for (std::uint32_t i = 0; i < targets.size(); ++i) to->targets[i] = targets[i];
  if (to->targets.empty()) return true;
  return to->stripe_size >= limits::kStripeSizeMin && to->stripe_size <= limits::kStripeSizeMax &&
         to->stripe_size % limits::kStripeSizeMin == 0;
}

bool take(capnp::Data::Reader from, std::shared_ptr<const AccessList>* to) {
  std::string_view value;
  if (!take_view(from, limits::kXattrValueBytesMax, &value)) return false;
  Result<AccessList> list = parse_access_list(value);
  if (!list.ok() || !check_access_list(*list).ok()) return false;
  *to = std::make_shared<const AccessList>(std::move(*list));
  return true;
}

}  // namespace

bool take(schema::Inode::Reader from, Inode* to) {
  to->id = from.getId();
  to->mode = from.getMode();
  to->link_count = from.getLinkCount();
  to->uid = from.getUid();
  to->gid = from.getGid();
  to->device = from.getDevice();
  to->size = from.getSize();
  to->blocks = from.getBlocks();
  to->atime_ns = from.getAtimeNs();
  to->mtime_ns = from.getMtimeNs();
  to->ctime_ns = from.getCtimeNs();
  to->birth_ns = from.getBirthNs();
  to->flags = from.getFlags();
  to->time_generation = from.getTimeGeneration();
  to->change = from.getChange();
  to->parent = from.getParent();
  to->lock = word_of(from);
  to->access_list = nullptr;
  if (from.hasAccessList() && !take(from.getAccessList(), &to->access_list)) return false;
  to->layout = Layout{};
  if (from.hasLayout() && !take(from.getLayout(), &to->layout)) return false;
  to->layout_default = LayoutDefault{};
  if (from.hasLayoutDefault()) {
    const auto wish = from.getLayoutDefault();
    to->layout_default = {wish.getStripeCount(), wish.getStripeSize(), wish.getStripeOffset(), wish.getInlineMax()};
  }
  if (!take_copy(from.getPool(), kPoolNameBytesMax, &to->pool)) return false;
  return to->size <= limits::kFileBytesMax;
}

void fill(schema::Caller::Builder to, const Caller& from) {
  to.setUid(from.uid);
  to.setGid(from.gid);
  to.setGroupsKnown(from.groups_known);
  to.setUmask(static_cast<std::uint16_t>(from.umask));
  if (from.groups.empty()) return;
  auto groups = to.initGroups(static_cast<std::uint32_t>(from.groups.size()));
  for (std::uint32_t i = 0; i < groups.size(); ++i) groups.set(i, from.groups[i]);
}

bool take(schema::Caller::Reader from, Caller* to) {
  to->uid = from.getUid();
  to->gid = from.getGid();
  to->groups_known = from.getGroupsKnown();
  to->umask = from.getUmask() & 0777;
  const auto groups = from.getGroups();
  if (groups.size() > limits::kGroupsMax) return false;
  to->groups.resize(groups.size());
  for (std::uint32_t i = 0; i < groups.size(); ++i) to->groups[i] = groups[i];
  return true;
}

}  // namespace rideau::fs
