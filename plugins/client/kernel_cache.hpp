// SPDX-License-Identifier: Apache-2.0
// What the client's file system asks of whoever caches above it: the kernel behind a FUSE mount, the simulated kernel,
// or nobody (the library).
//
// The kernel holds a directory's or a page's lock while a request of it is unanswered, and dropping names or pages
// waits for those locks. So: names go by expiry, which never waits; pages are dropped only while requests for data of
// that inode are still being answered (FileSystem sees to it).
#pragma once

#include "framework/runtime/task.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>

namespace rideau::client {

class KernelCache {
 public:
  // Every cached name must be looked up again. Returns at once, never waits for a request.
  virtual void expire_names() = 0;
  // The attributes of one inode must be asked for again. Never waits for a request.
  virtual void expire_attributes(fs::InodeId inode) = 0;
  // What was expired by the calls above is so when this ended; for a cache that learns of it by messages.
  virtual Task<> settle() { co_return; }
  // Whoever got an answer so far has taken it in when this ended, as far as one can tell. The kernel throws away what
  // an answer says of an inode when something of that inode expires between the answer and the moment the process runs.
  virtual Task<> answers_taken() { co_return; }
  // All cached pages of one inode are gone when this ended, mapped ones too. May wait for READ and WRITE requests of
  // this inode that the kernel has sent and not had answered; for no other requests.
  virtual Task<> drop_pages(fs::InodeId inode) = 0;
  // The same of pages from `begin` to `end`, of a page's size both (`end` may be UINT64_MAX: all that follow).
  virtual Task<> drop_pages(fs::InodeId inode, std::uint64_t begin, std::uint64_t end) = 0;

 protected:
  ~KernelCache() = default;
};

}  // namespace rideau::client
