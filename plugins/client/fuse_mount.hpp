// SPDX-License-Identifier: Apache-2.0
// FuseMount: a FileSystem as a mounted directory. Requests of the kernel are read on the node's thread and answered
// from coroutines on it. Includes nothing of libfuse.
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"

#include <memory>
#include <string>

namespace rideau {
class Logger;
}

namespace rideau {
class MetricList;
}

namespace rideau::client {

class FileSystem;

struct FuseOptions {
  std::string mountpoint;          // an existing directory
  std::string fs_name = "rideau";  // the first column of /proc/mounts
  std::string kernel_options;  // what the kernel keeps to by itself, with commas: "ro,noexec"; checked by the caller
  bool allow_other = false;    // other users too; needs root, or user_allow_other in /etc/fuse.conf
  // The kernel decides by mode bits before it asks, for which it asks for the attributes of a directory after each
  // change in it. Otherwise the client and the metadata server decide alone.
  bool default_permissions = false;
};

// Life: FileSystem::start, mount, serve (which ends when the directory was unmounted), FileSystem::stop, destruction.
class FuseMount {
 public:
  // Becomes the file system's KernelCache and fetches groups for it. Both are lent and outlive this.
  FuseMount(Runtime& runtime, Logger& log, FileSystem& file_system, FuseOptions options);
  ~FuseMount();
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  // `problem` receives what a person can act on. Blocks for a moment.
  Status mount(std::string* problem);
  // Answers requests until the directory is unmounted, by anybody; then until the requests that run have ended.
  Task<> serve();
  // Unmounts, busy or not: serve() ends soon. On the node's thread.
  void unmount();
  // Requests by kind, system calls on the FUSE descriptor.
  void collect(MetricList& to) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau::client
