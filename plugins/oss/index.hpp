// SPDX-License-Identifier: Apache-2.0
// The small index of one object target: who it is, which epoch, versions of objects, what was destroyed, and how the
// last modifying calls ended. A change and the reply that reports it are one batch.
//
// Destroyed objects. Inode numbers are never reused, so a late write to a destroyed object (a client that was fenced at
// the metadata server and does not know it) can hurt nobody; it would only leave bytes that no file owns. The newest
// `destroyed_max` destroys are remembered and such writes refused; older records are erased in the batch of newer ones.
// A write that comes later still makes an object without an owner, which the file system check finds.
//
// Versions decide between changes that come out of their order, and tell one that comes again from a new one. Both need
// those of the last seconds, so of those that have no record the newest `kUnwrittenMax` are enough.
//
// Fences (fences.hpp) are kept for the newest `kFencesMax` clients: a client that sleeps while so many others are
// fenced is forgotten.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/oss/records.hpp"
#include "rideau/index_store.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::oss {

// The call that a change belongs to. session 0: none (nothing is kept for resends).
struct CallIdentity {
  std::uint64_t session = 0;
  Uuid client{};
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::uint16_t method = 0;
};

class OssIndex {
 public:
  OssIndex(IndexStore& store, std::uint32_t destroyed_max) : store_(store), destroyed_max_(destroyed_max) {}

  // Writes the superblock of a new target. `why`, here and below, is for people.
  Task<Status> format(Uuid cluster, std::uint32_t target, std::string* why);
  // Checks who the target is, and begins a new boot epoch: durable when this ended. What earlier epochs knew of
  // sessions is erased, since none of them can be resumed. `machine_boot`: as in OssOptions.
  Task<Status> open(Uuid cluster, std::uint32_t target, const Uuid& machine_boot, std::string* why);
  std::uint64_t boot_epoch() const noexcept { return superblock_.boot_epoch; }
  // Nothing that was answered in this epoch and later ones was lost.
  std::uint64_t kept_from() const noexcept { return boot_.kept_from; }
  // Everything that was answered is durable, and nothing more is.
  Task<Status> close();

  // 0: never truncated or punched.
  Result<std::uint64_t> version(ObjectId id);
  // Of a change that the store has made. It stands, so an index without room is no failure: what has no record is
  // remembered until the end of this epoch.
  Task<Status> set_version(ObjectId id, std::uint64_t version, const CallIdentity& call);

  bool is_destroyed(ObjectId id) const { return destroyed_.contains(id); }
  // From here on writes to them are refused, in this epoch: before they are removed.
  void mark_destroyed(const std::vector<ObjectId>& ids);
  // Durable when this ended: the marks, and the versions are gone.
  Task<Status> store_destroyed(const std::vector<ObjectId>& ids, const CallIdentity& call);

  // The client's last session at that metadata target which is void; 0: none.
  std::uint64_t fenced_session(const FenceId& id) const;
  // It stands at once, and durably when this ended ok.
  Task<Status> store_fence(const FenceId& id, std::uint64_t session);

  Task<Status> end_session(std::uint64_t session);
  // Everything stored before is durable; costs nothing when it is already.
  Task<Status> sync();

 private:
  struct Changes {
    std::vector<std::pair<std::string, std::string>> puts;
    std::vector<std::string> erases;
    // What a target cannot live without, and what takes the place of as much or is bounded: it may use the share of the
    // index that serves removals. A full target must start, or nothing could be removed from it.
    bool must_fit = false;
  };
  void remember_unwritten(ObjectId id, std::uint64_t version);
  void add_reply(Changes& changes, const CallIdentity& call, std::uint64_t version);
  Task<Status> commit(const Changes& changes, Durability durability);
  Task<Status> erase_all(char letter);
  Status load_destroyed();
  Status load_fences();
  template <class Record>
  Status load(const std::string& key, Status (*read)(Bytes, Record*), Record* to);

  IndexStore& store_;
  std::uint32_t destroyed_max_;
  Superblock superblock_{};
  BootRecord boot_{};
  std::map<std::uint64_t, ObjectId> destroyed_order_;  // what is stored, by sequence
  std::map<ObjectId, std::uint64_t> destroyed_;        // its sequence; 0: not stored yet
  std::uint64_t next_destroyed_ = 1;
  std::map<FenceId, std::uint64_t> fences_;
  std::map<ObjectId, std::uint64_t> unwritten_;  // versions for which the index had no room, newer than any record
  std::map<std::uint64_t, std::set<std::uint32_t>> slots_;  // with a stored reply, by session
  std::uint64_t stored_ = 0;                                // batches that were applied, and the last one of those
  std::uint64_t durable_ = 0;                               // that is durable
};

}  // namespace rideau::oss
