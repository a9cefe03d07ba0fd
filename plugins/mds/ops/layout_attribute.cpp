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

// The cluster has that many targets.
Status check_possible(const Target& target, const LayoutWish& wish) {
  const std::size_t targets = target.options.object_targets.size();
  const std::uint32_t count = wish.stripe_count.value_or(0);
  if (count != kStripeAll && count > targets) return posix_error(EINVAL, "more stripes than object targets");
  if (wish.stripe_offset && *wish.stripe_offset >= static_cast<std::int64_t>(targets)) {
    return posix_error(EINVAL, "no such object target");
  }
  return kOk;
}

// An index of before files could be inline becomes one that older programs refuse.
void allow_inline(Target& target, const LayoutWish& wish) {
  const bool wanted = wish.inline_max && *wish.inline_max != kInlineAsConfigured && *wish.inline_max != 0;
  if (!wanted || target.superblock.format_version >= kFormatWithInline) return;
  target.superblock.format_version = kFormatWithInline;
  target.names.put_record(superblock_key(), target.superblock);
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

  transaction.begin();
  // A file that was cut to nothing may have left empty objects.
  transaction.destroy_objects(inode);
  Layout layout = target.placement.choose(whole, transaction.number());
  layout.generation = inode.layout.generation + 1;
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
  if (inode.is_directory()) return GetAttributeReply{layout_text(inode.layout_default)};
  if (!inode.is_regular() || inode.layout.targets.empty()) return posix_error(ENODATA);
  const auto& all = target.options.object_targets;
  const auto first = std::find(all.begin(), all.end(), inode.layout.targets[0]);
  const std::int32_t offset = first == all.end() ? -1 : static_cast<std::int32_t>(first - all.begin());
  return GetAttributeReply{layout_text(inode.layout, offset, inode.is_inline())};
}

Status set_layout(Target& target, Transaction& transaction, const SetAttributeRequest& request, InodeRecord& record) {
  Inode& inode = record.inode;
  if (const Status status = check_may_change(request.caller, inode); !status.ok()) return status;
  const Result<LayoutWish> wish = parse_layout_wish(request.value);
  if (!wish.ok()) return wish.status();
  if (const Status status = check_possible(target, *wish); !status.ok()) return status;
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
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
