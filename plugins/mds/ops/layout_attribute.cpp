// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/ops/layout_attribute.hpp"

#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/ops/checks.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/xattr.h>

namespace rideau::mds {

using namespace fs;

namespace {

Status check_may_change(const Caller& caller, const Inode& inode) {
  if (!inode.is_regular() && !inode.is_directory()) return posix_error(EPERM);
  if (const Status status = check_inode_access(caller, inode, kWantWrite); !status.ok()) return status;
  return check_owner(caller, inode);
}

// The cluster, or the pool that is wished for or was there, has that many targets.
Status check_possible(Target& target, const LayoutWish& wish, const std::string& pool) {
  if (!target.placement.knows_pool(pool)) return posix_error(ENXIO, "no such pool of object targets");
  const std::vector<TargetId>& usable = target.placement.usable(pool);
  const std::uint32_t count = wish.stripe_count.value_or(0);
  if (count != kStripeAll && count > usable.size()) return posix_error(EINVAL, "more stripes than object targets");
  if (wish.stripe_offset.value_or(-1) < 0) return kOk;
  const std::vector<TargetId> places = target.placement.places();
  const auto place = static_cast<std::size_t>(*wish.stripe_offset);
  if (place >= places.size()) return posix_error(EINVAL, "no such object target");
  if (target.drains.contains(places[place])) return posix_error(ESHUTDOWN, "the object target takes no new files");
  const bool in_pool = std::binary_search(usable.begin(), usable.end(), places[place]);
  return in_pool ? kOk : posix_error(EINVAL, "an object target of another pool");
}

void set_pool(Target& target, const LayoutWish& wish, Inode* inode) {
  if (!wish.pool) return;
  inode->pool = *wish.pool;
  if (!inode->pool.empty()) require_format(target, kFormatWithPools);
}

// An index of before files could be inline becomes one that older programs refuse.
void allow_inline(Target& target, const LayoutWish& wish) {
  const bool wanted = wish.inline_max && *wish.inline_max != kInlineAsConfigured && *wish.inline_max != 0;
  if (wanted) require_format(target, kFormatWithInline);
}

// Another layout, of the next generation, so that no object of the old one can be taken for one of the new. Answered
// when it is durable (must_be_durable), so never made again: it might come out differently.
Status set_layout_of_file(Target& target, Transaction& transaction, const LayoutWish& wish, InodeRecord& record) {
  Inode& inode = record.inode;
  if (const Status status = transaction.claim({inode.id}); !status.ok()) return status;
  if (target.opens.is_open_for_writing(inode.id) || (inode.flags & kExact) == 0) return posix_error(EBUSY);
  if (inode.size != 0) return posix_error(ENOTEMPTY);
  LayoutDefault whole;
  whole.stripe_count = wish.stripe_count.value_or(inode.layout.stripe_count());
  whole.stripe_size = wish.stripe_size.value_or(inode.layout.stripe_size);
  whole.stripe_offset = wish.stripe_offset.value_or(-1);
  whole.inline_max = wish.inline_max.value_or(inode.layout.inline_max);

  if (target.placement.usable(wish.pool.value_or(inode.pool)).empty()) return posix_error(ENOSPC);

  transaction.begin();
  // A file that was cut to nothing may have left empty objects.
  transaction.destroy_objects(inode);
  set_pool(target, wish, &inode);
  Layout layout = target.placement.choose(whole, inode.pool, transaction.number());
  layout.generation = inode.next_generation();
  inode.flags &= ~kSpentMask;
  inode.layout = std::move(layout);
  allow_inline(target, wish);
  inode.flags &= ~static_cast<std::uint32_t>(kInline);
  begin_inline(&inode);
  inode.blocks = 0;
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace

Result<GetAttributeReply> get_layout(Target& target, const Caller& caller, const Inode& inode) {
  if (const Status status = check_inode_access(caller, inode, kWantRead); !status.ok()) return status;
  if (inode.is_directory()) return GetAttributeReply{layout_text(inode.layout_default, inode.pool)};
  if (!inode.is_regular() || inode.layout.targets.empty()) return posix_error(ENODATA);
  const std::vector<TargetId> all = target.placement.places();
  const auto first = std::find(all.begin(), all.end(), inode.layout.targets[0]);
  const std::int32_t offset = first == all.end() ? -1 : static_cast<std::int32_t>(first - all.begin());
  return GetAttributeReply{layout_text(inode.layout, offset, inode.is_inline(), inode.pool)};
}

Status set_layout(Target& target, Transaction& transaction, const SetAttributeRequest& request, InodeRecord& record) {
  Inode& inode = record.inode;
  if (const Status status = check_may_change(request.caller, inode); !status.ok()) return status;
  const Result<LayoutWish> wish = parse_layout_wish(request.value);
  if (!wish.ok()) return wish.status();
  if (const Status status = check_possible(target, *wish, wish->pool.value_or(inode.pool)); !status.ok()) return status;
  if ((request.flags & XATTR_CREATE) != 0) return posix_error(EEXIST);  // it is always there
  if (inode.is_regular()) return set_layout_of_file(target, transaction, *wish, record);
  if (const Status status = transaction.claim({inode.id}); !status.ok()) return status;

  transaction.begin();
  LayoutDefault& wishes = inode.layout_default;
  if (wish->stripe_count) wishes.stripe_count = *wish->stripe_count;
  if (wish->stripe_size) wishes.stripe_size = *wish->stripe_size;
  if (wish->stripe_offset) wishes.stripe_offset = *wish->stripe_offset;
  if (wish->inline_max) wishes.inline_max = *wish->inline_max;
  allow_inline(target, *wish);
  set_pool(target, *wish, &inode);
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

Status reset_layout(Transaction& transaction, const Caller& caller, InodeRecord& record) {
  Inode& inode = record.inode;
  if (const Status status = check_may_change(caller, inode); !status.ok()) return status;
  if (!inode.is_directory()) return posix_error(EOPNOTSUPP);
  if (const Status status = transaction.claim({inode.id}); !status.ok()) return status;
  transaction.begin();
  inode.layout_default = LayoutDefault{};
  inode.pool.clear();
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
