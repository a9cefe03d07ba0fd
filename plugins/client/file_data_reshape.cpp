// SPDX-License-Identifier: Apache-2.0
// Changes of objects that carry a version: cuts, punches, kept space. They run alone behind the gate, so nothing of the
// file is on its way beside them. A target that loses its memory may lose them too: they are kept until they are
// durable, and then made again in their order, before anything else is sent there or read.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>

namespace rideau::client {

namespace {
constexpr int kTriesMax = 4;  // behind somebody whose clock is ahead
}  // namespace

Task<Status> FileData::Impl::ask_reshape(std::uint32_t stripe, const Reshape& what, std::uint64_t* seen) {
  const std::uint64_t version = what.version;
  fs::ObjectChannel& channel = *target_of(stripe)->channel;
  const std::uint64_t size = what.range.end - what.range.begin;
  switch (what.change) {
    case Change::resize:
      return channel.truncate({object(stripe), what.range.end, version}, seen);
    case Change::punch:
      return channel.punch({object(stripe), what.range.begin, size, version}, seen);
    default:
      return channel.allocate({object(stripe), what.range.begin, size, version, what.change == Change::zero}, seen);
  }
}

Task<Status> FileData::Impl::reshape(std::uint32_t stripe, Reshape what) {
  DataTarget* target = target_of(stripe);
  if (target == nullptr) co_return kNoTarget;
  const std::uint64_t losses = lock_losses;
  Status done{};
  bool restarted = false;
  int tries = 0;
  do {
    co_await until_remade(stripe);
    const std::uint64_t epoch = target->epoch;
    std::uint64_t seen = 0;
    what.version = plane.next_version(*target);
    done = co_await ask_reshape(stripe, what, &seen);
    plane.saw_version(seen);
    restarted = target->epoch != epoch;
    if (restarted) RIDEAU_MARK(truncate_met_restart);
  } while (done.code == Code::check_failed ? ++tries < kTriesMax : done.ok() && restarted);
  if (losses != lock_losses) co_return done;
  if (done.ok()) {
    reshaped(stripe, what);
  } else {
    stripes[stripe].blind = note_change(stripe);  // nobody knows what it left
    stripes[stripe].end_unknown |= what.change == Change::resize;
  }
  co_return done;
}

void FileData::Impl::reshaped(std::uint32_t stripe, Reshape what) {
  what.number = note_change(stripe);
  StripeState& state = stripes[stripe];
  if (what.change == Change::resize) {
    const std::uint64_t size = what.range.end;
    const std::uint64_t whole = (size + kPageBytes - 1) / kPageBytes * kPageBytes;
    state.bytes_used = std::min(state.bytes_used, whole);
    state.end_unknown = false;
    // What it makes void: sizes that were as large, and what lay behind the new end.
    std::erase_if(state.reshapes, [size](const Reshape& before) {
      return before.change == Change::resize ? before.range.end >= size : before.range.begin >= size;
    });
  }
  state.reshapes.push_back(what);
}

void FileData::Impl::forget_reshapes() {
  for (StripeState& state : stripes) state.reshapes.clear();
}

void FileData::Impl::remake(std::uint32_t stripe) {
  ++generation;  // what is being read may be of before
  ahead_end = 0;
  note_change(stripe);
  if (RIDEAU_PLANTED_BUG(forgets_reshapes) || std::exchange(stripes[stripe].remaking, true)) return;
  plane.tasks.spawn(remake_all(stripe, lock_losses, striping.layout().generation));
}

// Until the lock is lost, or the file has other objects.
Task<> FileData::Impl::remake_all(std::uint32_t stripe, std::uint64_t losses, std::uint32_t layout_generation) {
  RIDEAU_MARK(reshape_made_again);
  DataTarget& target = *target_of(stripe);
  const auto ours = [&] { return losses == lock_losses && layout_generation == striping.layout().generation; };
  co_await yield_now(plane.runtime);
  Status failure{};
  bool again = ours();
  while (again) {
    const std::uint64_t epoch = target.epoch;
    int tries = 0;
    for (std::size_t i = 0; ours() && failure.ok() && epoch == target.epoch && i < stripes[stripe].reshapes.size();) {
      Reshape what = stripes[stripe].reshapes[i];
      if (!RIDEAU_PLANTED_BUG(versions_come_again)) what.version = plane.next_version(target);
      std::uint64_t seen = 0;
      const Status done = co_await ask_reshape(stripe, what, &seen);
      plane.saw_version(seen);
      const bool given_up = ours() && i >= stripes[stripe].reshapes.size();
      if (!ours() || epoch != target.epoch || given_up) break;
      if (done.code == Code::check_failed && ++tries < kTriesMax) continue;
      failure = done;
      what.number = note_change(stripe);
      stripes[stripe].reshapes[i++] = what;
    }
    again = ours() && failure.ok() && epoch != target.epoch;
  }
  if (layout_generation == striping.layout().generation) stripes[stripe].remaking = false;
  if (ours() && !failure.ok()) give_up_unstable(failure);
  plane.progress.wake_all();
  if (idle()) plane.candidates.insert(inode);
  plane.kick(*this);
}

Task<> FileData::Impl::until_remade(std::uint32_t stripe) {
  while (stripe < stripes.size() && stripes[stripe].remaking) co_await plane.progress.wait();
}

bool FileData::Impl::is_remaking() const noexcept {
  return std::any_of(stripes.begin(), stripes.end(), [](const StripeState& state) { return state.remaking; });
}

Task<> FileData::Impl::until_remade() {
  while (is_remaking()) co_await plane.progress.wait();
}

}  // namespace rideau::client
