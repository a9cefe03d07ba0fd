// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/hooks.hpp"

#include "framework/base/assert.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

namespace rideau::sim {
namespace {

constexpr HookName kMarks[] = {
    // Links and slots.
    {"call_sent_again", "a call without an answer went over another link"},
    {"answer_from_slot", "a resend was answered with what its slot kept"},
    {"call_waited_for_itself", "a resend came while the first one still ran"},
    {"callback_asked_again", "a callback went over another link"},
    {"payload_lost", "bytes of a call could not be fetched", true},
    {"late_bulk_refused", "bulk arrived for a region or a link that was gone", true},
    {"link_cut_at_message", "a link broke at a message that the plan chose"},
    // Restarts of the metadata server.
    {"recovery_began", "it came back and waits for clients"},
    {"recovery_ended", "and went on with those who came"},
    {"server_killed_in_recovery", "and died once more meanwhile", true},
    {"recovery_failed", "or could not commit what clients made again", true},
    {"session_outlived_restart", "a client came back under its session"},
    {"lock_claimed", "and claimed a lock"},
    {"open_claimed", "and an open file"},
    {"lost_change_asked_again", "a client made a change again"},
    {"lost_change_made_again", "which had been lost"},
    {"lost_change_had_survived", "which had not"},
    {"call_waited_for_recovery", "a new call waited until everybody had claimed", true},
    {"client_given_up", "a client did not come back in time"},
    {"orphan_purged", "a file without a name that nobody claimed went", true},
    {"look_waited_for_commit", "an answer rested on another client's change"},
    {"change_waited_for_commit", "so did a change"},
    {"index_batches_lost", "a power cut took batches of an index"},
    {"commit_failed", "a commit failed and the target stopped", true},
    {"index_was_full", "a change was refused for want of space in the index", true},
    // Restarts of object servers.
    {"target_kept_all", "it came back and had lost nothing"},
    {"target_lost_memory", "it came back from a power cut"},
    {"objects_torn", "a power cut took or tore unflushed writes"},
    {"bytes_sent_again", "a client wrote again what may be lost"},
    {"reshape_made_again", "so was a cut, or another change of a whole object"},
    {"lost_bytes_told", "something could not be: the file says EIO", true},
    {"truncate_met_restart", "a truncate was on its way when the target restarted", true},
    {"sync_met_restart", "so was an fsync", true},
    {"write_through_met_restart", "so was a write without a grant"},
    {"object_change_was_done", "a truncate came again and was known by its version", true},
    {"object_change_out_of_order", "one came behind a later one and was refused", true},
    {"version_without_record", "one was made though the index had no room for its version", true},
    // Clients that are late.
    {"sleeper_asked_first", "who slept asked before it used its caches", true},
    {"lease_ran_out", "a session had no link for too long"},
    {"client_evicted", "a client was evicted"},
    {"session_fenced", "its session at an object target ended with a fence"},
    {"fenced_client_refused", "it came there before it had a new session", true},
    {"client_lost_its_session", "it had something open or cached, and was told", true},
    {"client_came_back_ended", "its session ended while the server lived on", true},
    {"client_came_back_forgotten", "it has a new session"},
    {"file_divided", "clients that were in each other's way share a file in parts"},
    {"file_whole_again", "one of them is left"},
    {"extent_claimed", "a part was claimed after a restart"},
    {"part_asked_back", "a part was asked back"},
    {"part_given_back_around_a_write", "in two pieces, since a write that waits has a page of it"},
    {"grant_of_part_was_void", "what a grant brought was given back before the answer came", true},
    {"stored_pages_put_off", "of mapped pages some lay in a part that was not held", true},
    {"size_was_being_cut", "somebody asked for the size of a divided file while it was cut"},
    {"dirty_bytes_asked_back", "a lock was asked back with bytes to write"},
    // Inline files.
    {"inline_bytes_fetched", "the bytes of a small file were asked of the metadata server"},
    {"inline_file_moved_out", "a file grew too large to be inline"},
    {"inline_bytes_moved_durably", "and the metadata server had bytes of it"},
    {"inline_bytes_refused", "the metadata server had no room for bytes", true},
    // Files that move away from an object target.
    {"file_moved", "one was given its new layout", true},
    {"copied_beside_clients", "one was copied while clients worked on it", true},
    {"copied_again", "somebody wrote meanwhile", true},
    {"layout_followed", "a client went on with a file that had moved", true},
    {"move_given_up", "one could not move then", true},
    // Disks.
    {"rot_was_read", "a flipped bit was met: EIO"},
    {"store_was_full", "a write found no space"},
    {"store_failed", "a read or a write of a store failed"},
};

// Mistakes of the kind that systems like this one have had.
constexpr HookName kBugs[] = {
    {"answers_before_durable", "an answer rests on another's change that may be lost"},
    {"tells_durable_too_early", "clients forget what they would have to make again"},
    {"replays_nothing", "lost changes are not made again"},
    {"resend_runs_again", "a slot is not looked at when a call comes again"},
    {"serves_during_recovery", "new calls do not wait for claims"},
    {"claims_no_locks", "a client believes in locks that it has not claimed"},
    {"claims_no_opens", "a client does not say what it has open"},
    {"lock_waits_for_nobody", "a lock is granted before others have given it back"},
    {"extent_waits_for_nobody", "the same of a part of a file"},
    {"gives_lock_back_dirty", "a lock is given back before its bytes are written"},
    {"evicts_without_fence", "locks go to others while the old holder may still write"},
    {"ignores_fences", "an object target takes writes of a fenced client"},
    {"gives_lock_back_unstable", "a lock goes to others with changes that its holder would have to make again"},
    {"forgets_reshapes", "cuts that a target lost are not made again"},
    {"versions_come_again", "they are made again under the versions that they had, which may be known as done"},
    {"asks_objects_alone", "the size of a file whose writer died is what its objects say, whatever the record says"},
    {"sends_nothing_again", "a write was acknowledged, and dropped with a restart"},
    {"forgets_power_cuts", "a target says after a power cut that it has lost nothing"},
    {"sync_flushes_nothing", "an object target's sync does not reach its store"},
    {"sync_skips_a_target", "fsync leaves out one of the targets of a file"},
    {"truncate_keeps_cache", "bytes behind the new end stay cached"},
    {"reads_past_writes", "a page is read again while a WRITE that filled it is on its way"},
    {"tells_out_of_turn", "a size is told while another call tells an older one"},
    {"size_is_not_told", "a writer is asked how large its file is, and the record is believed"},
    {"inode_numbers_come_again", "numbers that a crash lost are given to other files"},
    {"cookie_comes_again", "a directory is read on from the entry that was told last"},
    {"removes_what_is_open", "unlink takes the file away from those who have it open"},
    {"moves_out_before_it_is_safe", "a file leaves the metadata server before its objects are durable"},
    {"moves_what_was_written", "a file that was written while it was copied loses that"},
    {"moves_without_sync", "a file moves before its copy is durable"},
    {"reads_rot", "a store does not compare checksums"},
};

const char* g_planted = nullptr;
std::array<std::uint64_t, std::size(kMarks)> g_marks{};
std::function<void(std::string_view)> g_listener;

}  // namespace

HookNames mark_names() noexcept { return {kMarks, std::size(kMarks)}; }
HookNames bug_names() noexcept { return {kBugs, std::size(kBugs)}; }

bool plant(std::string_view name) noexcept {
  const auto found =
      std::find_if(std::begin(kBugs), std::end(kBugs), [name](const HookName& bug) { return name == bug.name; });
  if (found == std::end(kBugs)) return false;
  g_planted = found->name;
  return true;
}

bool is_planted(const char* name) noexcept { return g_planted != nullptr && std::strcmp(g_planted, name) == 0; }

void hit(const char* name) noexcept {
  const auto found = std::find_if(std::begin(kMarks), std::end(kMarks),
                                  [name](const HookName& mark) { return std::strcmp(mark.name, name) == 0; });
  RIDEAU_ASSERT(found != std::end(kMarks));
  ++g_marks[static_cast<std::size_t>(found - std::begin(kMarks))];
  if (g_listener) g_listener(found->name);
}

std::uint64_t mark_count(std::size_t index) noexcept { return g_marks[index]; }
void set_mark_listener(std::function<void(std::string_view)> listener) { g_listener = std::move(listener); }

}  // namespace rideau::sim
