// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "plugins/client/fuse_kernel_cache.hpp"

#include <cerrno>
#include <utility>

#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <unistd.h>

namespace rideau::client {
namespace {

// FUSE_NOTIFY_INC_EPOCH of Linux 6.16, which these headers do not have: every name that the kernel cached before must
// be looked up again. It has no body.
constexpr std::int32_t kNotifyIncreaseEpoch = 8;

bool increase_epoch(fuse_session* session) noexcept {
  fuse_out_header message{};
  message.len = sizeof message;
  message.error = kNotifyIncreaseEpoch;
  ssize_t written = 0;
  do {
    written = ::write(fuse_session_fd(session), &message, sizeof message);
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(sizeof message);
}

}  // namespace

void FuseKernelCache::start(fuse_session* session, std::function<void()> read_requests) {
  session_ = session;
  read_requests_ = std::move(read_requests);
  names_can_expire_ = increase_epoch(session);
}

void FuseKernelCache::expire_names() {
  if (session_ == nullptr || !names_can_expire_) return;
  names_pending_ = true;
  kick();
}

void FuseKernelCache::expire_attributes(fs::InodeId inode) {
  if (session_ == nullptr) return;
  attributes_pending_.push_back(inode);
  kick();
}

void FuseKernelCache::kick() {
  if (sending_) return;
  sending_ = true;
  tasks_.spawn(send_pending());
}

Task<> FuseKernelCache::send_pending() {
  co_await yield_now(runtime_);  // several expiries make one trip to the blocking thread
  while (session_ != nullptr && (names_pending_ || !attributes_pending_.empty())) {
    const bool names = std::exchange(names_pending_, false);
    const std::vector<fs::InodeId> inodes = std::exchange(attributes_pending_, {});
    fuse_session* session = session_;
    const auto send = [session, names, &inodes] {
      if (names) increase_epoch(session);
      // A negative offset leaves pages alone. Inodes that the kernel has forgotten are an error of no interest.
      for (const fs::InodeId inode : inodes) fuse_lowlevel_notify_inval_inode(session, inode, -1, 0);
      return kOk;
    };
    co_await run_blocking(runtime_, send);
  }
  sending_ = false;
  settled_.wake_all();
}

Task<> FuseKernelCache::settle() {
  while (sending_) co_await settled_.wait();
}

Task<> FuseKernelCache::answers_taken() {
  if (session_ != nullptr && !waking_.empty()) {
    WakingProcesses processes = std::exchange(waking_, {});
    const auto wait = [&processes] {
      processes.wait();
      return kOk;
    };
    co_await run_blocking(runtime_, wait);
  }
  // They may have asked anew.
  if (session_ != nullptr) read_requests_();
}

Task<> FuseKernelCache::drop_pages(fs::InodeId inode) { return drop_pages(inode, 0, UINT64_MAX); }

Task<> FuseKernelCache::drop_pages(fs::InodeId inode, std::uint64_t begin, std::uint64_t end) {
  fuse_session* session = session_;
  if (session == nullptr) co_return;
  const std::uint64_t size = end - begin <= INT64_MAX ? end - begin : 0;  // 0: to the end
  const auto drop = [session, inode, begin, size] {
    fuse_lowlevel_notify_inval_inode(session, inode, static_cast<off_t>(begin), static_cast<off_t>(size));
    return kOk;
  };
  co_await run_blocking(runtime_, drop);
}

}  // namespace rideau::client
