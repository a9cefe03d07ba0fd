// SPDX-License-Identifier: Apache-2.0
// What the kernel behind a mount caches, and how it is made to forget it: notifications through the FUSE descriptor.
// They are sent from blocking threads, since some wait in the kernel for requests that the node's thread must answer.
#pragma once

#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/fuse_waking.hpp"
#include "plugins/client/kernel_cache.hpp"

#include <functional>
#include <vector>

struct fuse_session;

namespace rideau::client {

class FuseKernelCache final : public KernelCache {
 public:
  FuseKernelCache(Runtime& runtime, TaskGroup& tasks) : runtime_(runtime), tasks_(tasks), settled_(runtime) {}

  // After the session was initialised: finds out whether the kernel can expire all names at once (Linux 6.16).
  // `read_requests` reads and begins what the kernel has in its queue, without waiting.
  void start(fuse_session* session, std::function<void()> read_requests);
  // Before the session goes; what comes later is ignored.
  void stop() noexcept { session_ = nullptr; }
  // Names may be given to the kernel with a lifetime.
  bool names_can_expire() const noexcept { return names_can_expire_; }

  void expire_names() override;
  void expire_attributes(fs::InodeId inode) override;
  Task<> settle() override;
  Task<> answers_taken() override;
  Task<> drop_pages(fs::InodeId inode) override;
  Task<> drop_pages(fs::InodeId inode, std::uint64_t begin, std::uint64_t end) override;

  // A process gets attributes with an answer; 0 when it lives where we cannot see it.
  void answers(pid_t process) { waking_.add(process); }

 private:
  Task<> send_pending();
  void kick();

  Runtime& runtime_;
  TaskGroup& tasks_;
  fuse_session* session_ = nullptr;
  std::function<void()> read_requests_;
  bool names_can_expire_ = false;
  bool names_pending_ = false;
  std::vector<fs::InodeId> attributes_pending_;
  bool sending_ = false;
  WaitQueue settled_;
  WakingProcesses waking_;
};

}  // namespace rideau::client
