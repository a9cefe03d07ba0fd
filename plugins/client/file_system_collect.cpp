// SPDX-License-Identifier: Apache-2.0
// What a client tells about itself.
#include "plugins/client/file_system_impl.hpp"
#include "plugins/fs/method_names.hpp"

namespace rideau::client {

void FileSystem::collect(MetricList& to) const {
  const Impl& self = *impl_;
  const auto labels_of = [](fs::TargetId target) { return MetricLabels{{"target", std::to_string(target)}}; };
  self.meta_session.collect(to, labels_of(self.options.meta.target), fs::meta_method_name);
  for (const auto& target : self.targets) {
    target->session.collect(to, labels_of(target->target), fs::object_method_name);
  }
  to.gauge("rideau_client_cached_inodes", "Inodes whose attributes are known here.", {},
           static_cast<double>(self.inodes.size()));
  to.gauge("rideau_client_cached_names", "Names that are known here.", {}, static_cast<double>(self.names.size()));
  to.gauge("rideau_client_locks", "Locks of inodes that are held.", {}, static_cast<double>(self.locks_held));
  to.gauge("rideau_client_open_files", "Files that are open here.", {}, static_cast<double>(self.handles.size()));
  const DataFigures data = self.plane.figures();
  to.gauge("rideau_client_cache_bytes", "Memory of the cache of file data.", {}, static_cast<double>(data.cache_bytes));
  to.gauge("rideau_client_cache_max_bytes", "What that memory may be now; less while the machine is short of memory.",
           {}, static_cast<double>(data.cache_bytes_max));
  to.gauge("rideau_client_dirty_bytes", "Data that is not at its server yet.", {},
           static_cast<double>(data.dirty_bytes));
  to.gauge("rideau_client_unstable_bytes", "Data that is at its server and kept until it is durable there.", {},
           static_cast<double>(data.unstable_bytes));
  to.gauge("rideau_client_grant_bytes", "Space that servers have promised and that is not used yet.", {},
           static_cast<double>(data.grant_bytes));
  to.counter("rideau_client_copied_bytes_total", "Bytes of files copied into and out of the cache.", {},
             data.copied_bytes);
}

}  // namespace rideau::client
