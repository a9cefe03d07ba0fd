// SPDX-License-Identifier: Apache-2.0
// What a metadata target tells about itself.
#include "plugins/fs/method_names.hpp"
#include "plugins/mds/mds.hpp"

namespace rideau::mds {

rpc::MethodName Mds::method_name() const noexcept { return fs::meta_method_name; }

void Mds::collect(MetricList& to) const {
  const MetricLabels labels{{"target", std::to_string(target_.options.target)}};
  const Committer& committer = target_.committer;
  to.counter("rideau_mds_transactions_total", "Changes to the namespace in this boot epoch.", labels,
             committer.transactions());
  to.counter("rideau_mds_commit_groups_total", "Groups in which they were committed.", labels, committer.groups());
  to.histogram("rideau_mds_commit_seconds", "Time that a group took to become durable.", labels,
               committer.commit_times());
  to.gauge("rideau_mds_transactions_not_durable", "Changes that were answered and are not durable yet.", labels,
           static_cast<double>(committer.last() - committer.durable()));
  to.gauge("rideau_mds_inodes", "Inodes in use.", labels, static_cast<double>(committer.counters().inodes));
  to.gauge("rideau_mds_entries", "Names in directories.", labels, static_cast<double>(committer.counters().entries));
  to.gauge("rideau_mds_open_inodes", "Inodes that some client has open.", labels,
           static_cast<double>(target_.opens.size()));
  to.gauge("rideau_mds_locks", "Locks of inodes that clients hold.", labels, static_cast<double>(locks_.count()));
  to.counter("rideau_mds_revocations_total", "Locks of inodes that clients were asked to give back.", labels,
             lock_callbacks_.asked());
  to.counter("rideau_mds_extent_revocations_total", "Parts of files among them.", labels,
             lock_callbacks_.asked_extents());
  to.gauge("rideau_mds_divided_files", "Files whose lock clients hold in parts.", labels,
           static_cast<double>(divided_.size()));
  to.gauge("rideau_mds_extents", "Parts of files that clients have locked.", labels,
           static_cast<double>(divided_.extents().count()));
  to.counter("rideau_mds_glimpses_total", "Questions to clients about the size of a file that they write.", labels,
             glimpses_.asked());
  to.gauge("rideau_mds_advisory_locks", "Ranges that programs have locked with flock and fcntl.", labels,
           static_cast<double>(advisory_locks_.held()));
  to.gauge("rideau_mds_advisory_waits", "Programs that wait for such a lock.", labels,
           static_cast<double>(advisory_locks_.waiting()));
  for (const fs::StatFileSystemReply::Drain& drain : mover_.progress()) {
    const MetricLabels of{{"target", std::to_string(target_.options.target)},
                          {"object_target", std::to_string(drain.target)}};
    to.gauge("rideau_mds_drain_state", "Of an object target: 1 files leave it, 2 nothing is on it, 3 it was removed.",
             of, static_cast<double>(drain.state));
    to.gauge("rideau_mds_drain_files_left", "Files that still have to leave it, as last counted.", of,
             static_cast<double>(drain.files_left));
    to.counter("rideau_mds_drain_files_total", "Files that have left it.", of, drain.files_moved);
    to.counter("rideau_mds_drain_bytes_total", "Bytes of these files that were copied.", of, drain.bytes_moved);
  }
  const IndexSpace& space = committer.space_known();
  to.gauge("rideau_index_bytes_total", "Size of the index at most.", labels, static_cast<double>(space.bytes_total));
  to.gauge("rideau_index_bytes_free", "What the index can still take, as last asked.", labels,
           static_cast<double>(space.bytes_free));
  to.gauge("rideau_boot_epoch", "Starts of this target so far.", labels, static_cast<double>(boot_epoch()));
}

}  // namespace rideau::mds
