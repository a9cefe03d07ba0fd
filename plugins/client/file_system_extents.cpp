// SPDX-License-Identifier: Apache-2.0
// Files that are locked in parts: taking the parts that data calls need, and giving back those that others want.
//
// The kernel holds locks of pages while a READ or WRITE is unanswered, and dropping pages waits for them. A call that
// needs a part which it must wait for may so be in the way of giving back another part that this client has. No circle
// comes of it:
// - A READ that waits has nothing in its pages. They are left out of what is dropped.
// - A WRITE that waits holds at most the lock of its last page: the kernel lets go of every page that is whole. So what
//   it hinders lies above what it waits for, and a chain of such hindrances ends.
// - A WRITE of mapped pages holds all of them, and waits for no part that others have (file_system_pages.cpp).
// - Who has what somebody waits for is served first (lock::ExtentLocks).
// - What changes the whole file, or waits at the metadata server for others (a cut, fallocate), has all of it
//   exclusively, so nobody else has a part that he might not be able to give back.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"
#include "plugins/client/part_release.hpp"

#include <algorithm>

namespace rideau::client {

using lock::Extent;

bool FileSystem::Impl::try_enter_part(Node& node, Mode mode, DataCall& call) {
  NodeParts& parts = *node.parts;
  if (!parts.held.covers(call.range, mode)) return false;
  const auto meets = [&call](const NodeParts::Going& one) { return one.range.overlaps(call.range); };
  for (const NodeParts::Going& one : parts.going) {
    if (meets(one) && (one.sealed || one.held_up)) return false;
  }
  for (NodeParts::Going& one : parts.going) one.entered = one.entered || meets(one);
  if (kernel != nullptr) note_pages(node);
  parts.held.use(call.range);
  parts.running.push_back(call);
  return true;
}

bool FileSystem::Impl::has_part(const Node& node, Extent range, Mode mode) {
  if (node.lock.sealed || !node.parts->held.covers(range, mode)) return false;
  const std::list<NodeParts::Going>& going = node.parts->going;
  return std::none_of(going.begin(), going.end(),
                      [range](const NodeParts::Going& one) { return one.sealed && one.range.overlaps(range); });
}

void FileSystem::Impl::want_part(NodeRef node, Extent range, Mode mode) {
  range = in_whole_extents(range);
  for (const NodeParts::Wanted& one : node->parts->wanted) {
    if (one.range.contains(range) && one.mode >= mode) return;
  }
  std::list<NodeParts::Wanted>& wanted = node->parts->wanted;
  const auto place = wanted.insert(wanted.end(), {range, mode});
  tasks->spawn(fetch_part(std::move(node), place));
}

// Somebody else waits for it on the calls' behalf, so that they go on as soon as they may.
Task<> FileSystem::Impl::fetch_part(NodeRef node, std::list<NodeParts::Wanted>::iterator wanted) {
  NodeLock& lock = node->lock;
  NodeParts& parts = *node->parts;
  const std::uint64_t before = epoch;
  const std::uint64_t stamp = lock.stamp;
  co_await yield_now(runtime);
  const auto has_share = [&] { return epoch == before && lock.divided && lock.stamp == stamp && !lock.closing; };
  if (!stopped && has_share()) {
    const fs::LockExtentRequest request{node->inode.id, wanted->range.begin, wanted->range.end,
                                        static_cast<std::uint32_t>(wanted->mode)};
    const auto reply = co_await meta.take_extent(request);
    if (reply.ok() && epoch == before) {
      take_part(node, stamp, reply.body);
    } else if (reply.status.code == Code::busy && has_share()) {
      // The lock is another one by now: the server says which.
      const auto now = co_await meta.take_lock(node->inode.id, wanted->mode);
      if (now.ok() && epoch == before) take_grant(*node, now.body.lock);
    } else if (reply.status.code != Code::busy) {
      lock.failure = reply.ok() ? Status{Code::closed, 0, "the metadata server restarted"} : reply.status;
      ++lock.failures;
    }
  }
  parts.wanted.erase(wanted);
  if (parts.wanted.empty()) parts.given.clear();
  gate_changed.wake_all();
}

void FileSystem::Impl::take_part(NodeRef node, std::uint64_t stamp, const fs::LockExtentReply& reply) {
  NodeLock& lock = node->lock;
  NodeParts& parts = *node->parts;
  const Extent range{reply.begin, reply.end};
  const Mode mode = reply.mode >= static_cast<std::uint32_t>(Mode::exclusive) ? Mode::exclusive : Mode::shared;
  // Inodes that are open for writing here are read under exclusive parts, or two of us could wait for each other's
  // shared ones.
  const bool too_weak = mode == Mode::shared && node->writers != 0;
  parts.newest = std::max(parts.newest, reply.number);
  if (!lock.divided || lock.stamp != stamp) {
    // Of a share that is gone: what is held under this one has greater numbers.
    give_back_part(node, range, reply.number);
  } else if (lock.closing || too_weak) {
    // The grant is also the newest one of what was held in its range before, which must not go unwritten.
    if (parts.held.holds_any(range))
      start_part_release(node, range);
    else
      give_back_part(node, range, reply.number);
  } else {
    const std::vector<Extent> left = left_of_grant(parts, range, reply.number);
    if (left.size() != 1 || left.front() != range) RIDEAU_MARK(grant_of_part_was_void);
    for (const Extent one : left) parts.held.add(one, mode);
    if (parts.held.count() > kPartsMax) start_part_release(node, {0, lock::kExtentEnd});
  }
  gate_changed.wake_all();
}

// What the server has of it as ours goes, up to that number: also grants whose answers are still on their way.
void FileSystem::Impl::give_back_part(NodeRef node, Extent range, lock::GrantNumber number) {
  NodeParts& parts = *node->parts;
  if (!parts.wanted.empty()) parts.given.push_back({range, number});
  queue_give_back_part({node->inode.id, range.begin, range.end, number}, node);
}

void FileSystem::Impl::on_revoke_part(const fs::ExtentItem& item) {
  Node* node = inodes.find(item.resource);
  if (node == nullptr || node->parts == nullptr) {
    queue_give_back_part(item, NodeRef());
    return;
  }
  RIDEAU_MARK(part_asked_back);
  NodeParts& parts = *node->parts;
  node->lock.contended_until_ns = runtime.now_ns() + kContendedNs;
  parts.newest = std::max(parts.newest, item.number);
  const Extent wanted{item.begin, item.end};
  const Extent range = parts.held.to_give(wanted);
  if (range.empty() || !node->lock.divided) {
    // It was given back, or the grant is on its way and void by now.
    give_back_part(NodeRef(*node), wanted, parts.newest);
    return;
  }
  start_part_release(NodeRef(*node), {std::min(range.begin, wanted.begin), std::max(range.end, wanted.end)});
}

void FileSystem::Impl::start_part_release(NodeRef node, Extent range) {
  tasks->spawn(release_part(std::move(node), range));
}

// What is cached of the range becomes clean and goes, in the order of release_lock().
Task<> FileSystem::Impl::release_part(NodeRef node, Extent range) {
  const std::uint64_t before = epoch;
  const fs::InodeId inode = node->inode.id;
  NodeParts& parts = *node->parts;
  // What lies below the last page of a WRITE that waits goes by itself: the page is locked until others have given back
  // what the WRITE waits for, and they may wait for what is below.
  if (const std::uint64_t border = border_in(parts.waiting, range); border != 0) {
    RIDEAU_MARK(part_given_back_around_a_write);
    start_part_release(node, {range.begin, border});
    co_await release_part(node, {border, range.end});
    co_return;
  }
  const auto self = parts.going.insert(parts.going.end(), NodeParts::Going{range});
  // Calls that waited for it go first, once.
  co_await yield_now(runtime);
  if (epoch == before) {
    const std::shared_ptr<FileData> data = plane.find(inode);
    if (data != nullptr && data->dirty(range.begin, range.end)) RIDEAU_MARK(dirty_bytes_asked_back);
    if (RIDEAU_PLANTED_BUG(gives_lock_back_dirty) && data != nullptr) data->discard();
    if (data != nullptr) static_cast<void>(co_await data->flush(range.begin, range.end));
  }
  if (epoch == before) co_await drop_pages_of_part(node, *self);
  self->sealed = true;  // whoever came before has no page any more
  const auto runs = [&parts, range] {
    return std::any_of(parts.running.begin(), parts.running.end(),
                       [range](const DataCall& call) { return call.range.overlaps(range); });
  };
  while (epoch == before && runs()) co_await gate_changed.wait();
  std::shared_ptr<FileData> data = plane.find(inode);
  if (epoch == before && data != nullptr && !data->settled(range.begin, range.end)) {
    Status settled{};
    if (RIDEAU_PLANTED_BUG(gives_lock_back_unstable)) {
      settled = co_await data->flush(range.begin, range.end);
    } else {
      settled = co_await data->settle(range.begin, range.end);
    }
    if (!settled.ok()) log.warning("writing back before giving up a part of a file: %s", code_name(settled.code));
  }
  lock::GrantNumber number = 0;
  if (epoch == before) {
    parts.held.remove(range);
    number = parts.newest;  // what is granted from here on is held
    if (!parts.wanted.empty()) parts.given.push_back({range, number});
    parts.end_known = false;
    parts.same_size = 0;
    data = plane.find(inode);
    if (data != nullptr) data->drop(range.begin, range.end);
    // Who has nothing exclusively is not asked for the size any more.
    if (!parts.held.any_exclusive()) co_await tell_news(node);
  }
  if (epoch == before) queue_give_back_part({inode, range.begin, range.end, number}, node);
  parts.going.erase(self);
  gate_changed.wake_all();
}

// As drop_pages_of(). One that waits for a READ which came meanwhile, and waits itself, is left alone: it ends behind
// the READ's answer.
Task<> FileSystem::Impl::drop_pages_of_part(NodeRef node, NodeParts::Going& going) {
  const std::uint64_t before = epoch;
  NodeParts& parts = *node->parts;
  for (int round = 0; kernel != nullptr && paged.contains(node->inode.id); ++round) {
    going.entered = false;
    if (round > 0 && !going.held_up) hold_up_part(node, going.range);
    co_await attributes_told(node);
    if (epoch != before) break;
    const auto drops = std::make_shared<std::list<Extent>>();
    for (const Extent range : pages_to_drop(parts, going.range)) {
      tasks->spawn(drop_range(node->inode.id, drops, drops->insert(drops->end(), range)));
    }
    const auto hindered = [&parts, &drops] {
      return std::any_of(parts.waiting.begin(), parts.waiting.end(), [&drops](const DataCall& call) {
        const auto meets = [&call](const Extent& range) { return range.overlaps(in_whole_pages(call.range)); };
        return call.fills_pages && std::any_of(drops->begin(), drops->end(), meets);
      });
    };
    // Another release may have given the range back by now: what has pages locked in it then is no longer in our way.
    const auto matters = [&parts, &drops] {
      return std::any_of(drops->begin(), drops->end(), [&parts](Extent range) { return parts.held.holds_any(range); });
    };
    while (epoch == before && matters() && !hindered()) co_await gate_changed.wait();
    if (epoch != before) break;
    if (std::exchange(going.held_up, false)) gate_changed.wake_all();
    if (!matters() && !going.entered) break;
  }
}

Task<> FileSystem::Impl::drop_range(fs::InodeId inode, std::shared_ptr<std::list<Extent>> running,
                                    std::list<Extent>::iterator range) {
  co_await kernel->drop_pages(inode, range->begin, range->end);
  running->erase(range);
  gate_changed.wake_all();
}

// Lest busy readers make it run for ever.
void FileSystem::Impl::hold_up_part(NodeRef node, Extent range) {
  for (NodeParts::Going& one : node->parts->going) one.held_up = one.held_up || one.range == range;
  tasks->spawn(end_hold_up(std::move(node), range));
}

Task<> FileSystem::Impl::end_hold_up(NodeRef node, Extent range) {
  co_await sleep_for(runtime, kHoldUpNs);
  for (NodeParts::Going& one : node->parts->going) {
    if (one.range == range) one.held_up = false;
  }
  gate_changed.wake_all();
}

void FileSystem::Impl::queue_give_back_part(const fs::ExtentItem& item, NodeRef node) {
  give_backs_parts.push_back({item, std::move(node)});
  if (std::exchange(sending_give_backs, true)) return;
  tasks->spawn(send_give_backs());
}

// The file is whole again, and this client's.
void FileSystem::Impl::become_whole(Node& node) {
  node.lock.divided = false;
  node.valid = false;  // what others told meanwhile comes with the next answer
  node.parts->held.clear();
  node.parts->end_known = false;
}

// How large the file is by now, which others may change: of this moment.
Task<Status> FileSystem::Impl::ask_size(NodeRef node) {
  const std::uint64_t before = epoch;
  while (node->lock.divided) {
    const std::uint64_t stamp = node->lock.stamp;
    const std::uint64_t cuts = node->cuts;
    const auto reply = co_await meta.get_attributes(node->inode.id);
    if (!reply.ok()) co_return reply.status;
    if (epoch != before) co_return Status{Code::closed, 0, "the metadata server restarted"};
    const fs::Inode& now = reply.body.inode;
    if (now.id != node->inode.id) co_return Status{Code::invalid, 0, "attributes of another inode"};
    learn(now);
    if (node->lock.stamp != stamp || node->cuts != cuts) continue;
    // Also an answer that is older than what is known: sizes only grow meanwhile.
    node->inode.size = std::max(node->inode.size, now.size);
    if (now.time_generation == node->inode.time_generation) {
      node->inode.mtime_ns = std::max(node->inode.mtime_ns, now.mtime_ns);
      node->inode.ctime_ns = std::max(node->inode.ctime_ns, now.ctime_ns);
    }
    break;
  }
  co_return kOk;
}

// The kernel asks before every read. Where the file does not grow for a while, its end is locked as well, so that
// nobody makes it larger unheard; then nobody needs to be asked.
Task<Status> FileSystem::Impl::ask_size_to_read(NodeRef node) {
  NodeParts& parts = *node->parts;
  if (parts.end_known) co_return kOk;
  const std::uint64_t stamp = node->lock.stamp;
  const std::uint64_t before = node->inode.size;
  const Extent end{before, lock::kExtentEnd};
  const bool holds_end = parts.held.covers(end, Mode::shared);
  const Status status = co_await ask_size(node);
  if (!status.ok() || !node->lock.divided || node->lock.stamp != stamp) co_return status;
  if (node->inode.size != before) {
    parts.same_size = 0;
  } else if (holds_end && parts.held.covers(end, Mode::shared)) {
    parts.end_known = parts.same_size != 0;
    ++parts.same_size;
  } else if (++parts.same_size >= kSameSizeMax && node->handles != 0 && !node->lock.closing) {
    want_part(node, end, node->writers != 0 ? Mode::exclusive : Mode::shared);
  }
  co_return status;
}

// For a call that has everything from some place before the end on: nobody makes the file larger until it has ended.
Task<Status> FileSystem::Impl::know_end(NodeRef node) {
  Status status = co_await know(node, true);
  if (!status.ok() || !node->lock.divided || node->parts->end_known) co_return status;
  status = co_await ask_size(node);
  if (status.ok()) status = co_await know(node, true);
  if (status.ok() && node->lock.divided) {
    node->parts->end_known = node->parts->held.covers({node->inode.size, lock::kExtentEnd}, Mode::exclusive);
  }
  co_return status;
}

}  // namespace rideau::client
