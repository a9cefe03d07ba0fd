// SPDX-License-Identifier: Apache-2.0
// What is not durable yet, and the flushes that make it so.
//
// Each change gets the next number of change_ when it is complete. A flush covers the numbers up to the one at its
// begin: it syncs the files and folders that are dirty then, and a file or folder becomes clean when nothing changed
// in it after its sync began. So two flushes that overlap both wait for the device.
#include "store.hpp"

#include <algorithm>
#include <cerrno>

#include <unistd.h>

namespace rideau::raw_file {

void RawFileStore::mark_changed(File& file) noexcept {
  ++change_;
  if (file.changed == 0 && dirty_.size() >= settings_.dirty_max) {
    overflow_ = change_;
    return;
  }
  if (file.changed == 0) dirty_.insert(file.id);
  file.changed = change_;
}

void RawFileStore::mark_clean(File& file) noexcept {
  if (file.changed == 0) return;
  dirty_.erase(file.id);
  file.changed = 0;
}

void RawFileStore::mark_folder(FolderKey folder, bool removed_from) noexcept {
  ++change_;
  const auto found = folders_.find(folder);
  if (found == folders_.end() && folders_.size() >= settings_.dirty_max) {
    overflow_ = change_;
    return;
  }
  Folder& entry = folders_[folder];
  entry.changed = change_;
  entry.removed_from = entry.removed_from || removed_from;
}

// Pinned folders may exceed dirty_max by the number of slots.
void RawFileStore::pin_folder(FolderKey folder) noexcept {
  Folder& entry = folders_[folder];
  entry.changed = ++change_;
  ++entry.making;
}

void RawFileStore::unpin_folder(FolderKey folder) noexcept {
  Folder& entry = folders_[folder];
  entry.changed = ++change_;
  --entry.making;
}

void RawFileStore::clean_folder(FolderKey folder, std::uint64_t captured) noexcept {
  const auto found = folders_.find(folder);
  if (found == folders_.end() || found->second.making != 0 || found->second.changed > captured) return;
  folders_.erase(found);
}

Submitted RawFileStore::flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  // After a failed fsync the kernel calls the lost pages clean, so a later fsync would lie (fsync(2), NOTES).
  if (!flush_failure_.ok()) return done.finish(flush_failure_);
  done.plugin_slot[0] = nullptr;
  Flush& flush = new_flush(&done);
  start_flush(flush, ids, count);
  current_ = &done;  // flush_part_done may end it here
  current_finished_ = false;
  flush_part_done(flush, kOk, false);
  if (current_finished_) return Submitted::finished;
  return answer(done);
}

// It ends with flush_part_done() of whoever began it.
Flush& RawFileStore::new_flush(Completion* done) noexcept {
  Flush& flush = *flushes_.emplace_back(std::make_unique<Flush>());
  flush.done = done;
  flush.captured = change_;
  flush.outstanding = 1;
  ++op_count_;
  return flush;
}

void RawFileStore::start_flush(Flush& flush, const ObjectId* ids, std::uint32_t count) noexcept {
  if (count == 0 && overflow_ != 0) return flush_everything(flush);
  std::vector<FolderKey> folders;
  if (count == 0) {
    flush.ids.assign(dirty_.begin(), dirty_.end());
    for (const auto& [folder, entry] : folders_) folders.push_back(folder);
  } else {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (overflow_ != 0 || dirty_.contains(ids[i])) flush.ids.push_back(ids[i]);
      const FolderKey leaf = leaf_of(ids[i]);
      for (const FolderKey folder : {leaf, leaf.parent(), leaf.parent().parent()}) {
        if (overflow_ != 0 || folders_.contains(folder)) folders.push_back(folder);
      }
    }
    std::sort(folders.begin(), folders.end());
    folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  }
  if (!folders.empty()) flush_folders(flush, std::move(folders));
  flush_more(flush);
}

// Sums come to the index when bytes are durable. Nobody may ask for that; so the store does when it needs it.
void RawFileStore::flush_for_sums() noexcept {
  if (!flush_failure_.ok()) return;
  Flush& flush = new_flush(nullptr);
  start_flush(flush, nullptr, 0);
  flush_part_done(flush, kOk, false);
}

// A quarter of the slots at most: reads go on beside a long flush.
void RawFileStore::flush_more(Flush& flush) noexcept {
  const std::uint32_t share = std::max(1u, settings_.queue_depth / 4);
  while (flush.next_id < flush.ids.size() && flush.outstanding < share + 1) {
    const ObjectId id = flush.ids[flush.next_id++];
    if (overflow_ == 0 && !dirty_.contains(id)) continue;  // another flush was faster, or it was removed
    Op& op = take_op(Op::Kind::sync);
    op.flush = &flush;
    ++flush.outstanding;
    queue(op, id);
  }
}

void RawFileStore::flush_folders(Flush& flush, std::vector<FolderKey> folders) noexcept {
  struct Item {
    FolderKey folder;
    bool prune;
  };
  std::vector<Item> items;
  for (const FolderKey folder : folders) {
    const auto found = folders_.find(folder);
    items.push_back({folder, found != folders_.end() && found->second.removed_from});
  }
  ++flush.outstanding;
  run_job(
      [home = home_, items](std::uint64_t& sync_failed) {
        Status first{};
        for (const Item& item : items) {
          bool failed = false;
          const Status status = sync_folder(home->objects(), item.folder, item.prune, failed);
          if (failed) sync_failed = 1;
          if (!status.ok() && (first.ok() || failed)) first = status;
        }
        return first;
      },
      [this, &flush, folders = std::move(folders)](Status status, std::uint64_t sync_failed) {
        if (status.ok()) {
          for (const FolderKey folder : folders) clean_folder(folder, flush.captured);
        }
        flush_part_done(flush, status, sync_failed != 0);
      });
}

// More is dirty than the tables hold: the whole file system is synced. Its data of others is synced with it.
void RawFileStore::flush_everything(Flush& flush) noexcept {
  ++flush.outstanding;
  run_job(
      [home = home_](std::uint64_t&) {
        return ::syncfs(home->objects()) == 0 ? kOk : status_of(errno, "syncfs of the store");
      },
      [this, &flush](Status status, std::uint64_t) {
        if (status.ok()) {
          for (auto at = dirty_.begin(); at != dirty_.end();) {
            File& file = files_[*at++];
            if (file.changed > flush.captured) continue;
            mark_clean(file);
            forget_if_unused(file);
          }
          for (auto at = folders_.begin(); at != folders_.end();) clean_folder((at++)->first, flush.captured);
          if (overflow_ <= flush.captured) overflow_ = 0;
        }
        flush_part_done(flush, status, !status.ok());
      });
}

void RawFileStore::flush_part_done(Flush& flush, Status status, bool sync_failed) noexcept {
  --flush.outstanding;
  if (!status.ok() && flush.status.ok()) flush.status = status;
  if (sync_failed && flush_failure_.ok()) {
    flush_failure_ = status;
    log(Level::error, "a flush failed (errno " + std::to_string(status.os_error) +
                          "), so written data may be lost; check the device, then start this store again");
  }
  if (flush.status.ok()) flush_more(flush);
  if (flush.outstanding != 0) return;
  --op_count_;
  if (flush.done != nullptr) {
    deliver(*flush.done, flush.status, 0);
  } else if (bounding_) {
    bounding_ = false;
    settle_due_ = true;
  }
  const auto own = [&flush](const std::unique_ptr<Flush>& other) { return other.get() == &flush; };
  flushes_.erase(std::find_if(flushes_.begin(), flushes_.end(), own));
}

}  // namespace rideau::raw_file
