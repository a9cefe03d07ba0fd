// SPDX-License-Identifier: Apache-2.0
// Bodies of the call by which a client claims again what a restart of its metadata target made it forget.
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

void encode(const ReclaimRequest& from, wire::Encoded& to) {
  encode_root<schema::ReclaimRequest>(to, [&](auto root) {
    auto opens = root.initOpens(static_cast<std::uint32_t>(from.opens.size()));
    for (std::uint32_t i = 0; i < opens.size(); ++i) {
      opens[i].setHandle(from.opens[i].handle);
      opens[i].setInode(from.opens[i].inode);
      opens[i].setFlags(from.opens[i].flags);
      opens[i].setNameless(from.opens[i].nameless);
    }
    auto locks = root.initLocks(static_cast<std::uint32_t>(from.locks.size()));
    for (std::uint32_t i = 0; i < locks.size(); ++i) {
      locks[i].setInode(from.locks[i].inode);
      locks[i].setMode(from.locks[i].mode);
      const std::vector<ReclaimedExtent>& held = from.locks[i].extents;
      if (held.empty()) continue;
      auto extents = locks[i].initExtents(static_cast<std::uint32_t>(held.size()));
      for (std::uint32_t k = 0; k < extents.size(); ++k) {
        extents[k].setBegin(held[k].begin);
        extents[k].setEnd(held[k].end);
        extents[k].setMode(held[k].mode);
      }
    }
    auto advisory = root.initAdvisory(static_cast<std::uint32_t>(from.advisory.size()));
    for (std::uint32_t i = 0; i < advisory.size(); ++i) fill(advisory[i], from.advisory[i]);
    root.setDone(from.done);
  });
}
Status decode(Bytes body, ReclaimRequest* to) {
  return decode_root<schema::ReclaimRequest>(body, [to](auto root) {
    const auto opens = root.getOpens();
    const auto locks = root.getLocks();
    const auto advisory = root.getAdvisory();
    std::uint64_t items = std::uint64_t{opens.size()} + locks.size() + advisory.size();
    if (items > limits::kReclaimItemsMax) return false;
    for (const auto& lock : locks) items += lock.getExtents().size();
    if (items > limits::kReclaimItemsMax) return false;
    to->opens.resize(opens.size());
    for (std::uint32_t i = 0; i < opens.size(); ++i) {
      to->opens[i] = {opens[i].getHandle(), opens[i].getInode(), opens[i].getFlags(), opens[i].getNameless()};
    }
    to->locks.resize(locks.size());
    for (std::uint32_t i = 0; i < locks.size(); ++i) {
      to->locks[i] = {locks[i].getInode(), locks[i].getMode(), {}};
      for (const auto& extent : locks[i].getExtents()) {
        to->locks[i].extents.push_back({extent.getBegin(), extent.getEnd(), extent.getMode()});
      }
    }
    to->advisory.resize(advisory.size());
    for (std::uint32_t i = 0; i < advisory.size(); ++i) take(advisory[i], &to->advisory[i]);
    to->done = root.getDone();
    return true;
  });
}

void encode(const ReclaimReply& from, wire::Encoded& to) {
  encode_root<schema::ReclaimReply>(to, [&](auto root) {
    auto locks = root.initLocks(static_cast<std::uint32_t>(from.locks.size()));
    for (std::uint32_t i = 0; i < locks.size(); ++i) locks.set(i, from.locks[i]);
    root.setExtents(from.extents);
  });
}
Status decode(Bytes body, ReclaimReply* to) {
  return decode_root<schema::ReclaimReply>(body, [to](auto root) {
    const auto locks = root.getLocks();
    if (locks.size() > limits::kReclaimItemsMax) return false;
    to->locks.resize(locks.size());
    for (std::uint32_t i = 0; i < locks.size(); ++i) to->locks[i] = locks[i];
    to->extents = root.getExtents();
    return true;
  });
}

}  // namespace rideau::fs
