// SPDX-License-Identifier: Apache-2.0
// The inside of FuseMount, shared by its source files: fuse_mount.cpp (mounting), fuse_server.cpp (the descriptor:
// reading, what libfuse does not know), fuse_ops_*.cpp (one function a kind of request).
#pragma once

#define FUSE_USE_VERSION 312

#include "framework/base/limits.hpp"
#include "framework/observe/log.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/file_system.hpp"
#include "plugins/client/fuse_convert.hpp"
#include "plugins/client/fuse_kernel_cache.hpp"
#include "plugins/client/fuse_mount.hpp"
#include "plugins/client/repeat.hpp"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <fuse3/fuse_lowlevel.h>

namespace rideau::client {

constexpr double kCacheSeconds = 3600;              // what the kernel caches is taken back, it need not run out
constexpr std::size_t kTransferBytesMax = 1 << 20;  // of one READ or WRITE

struct FuseMount::Impl {
  Impl(Runtime& host, Logger& logger, FileSystem& below, FuseOptions wanted);
  ~Impl();

  Status mount(std::string* problem);
  Task<> serve();
  void unmount();

  // Reads and handles what is there; false: the directory is no longer mounted.
  enum class Read { handled, empty, interrupted, unmounted };
  Read read_one();
  ssize_t read_request();
  void join_request(std::size_t size) noexcept;
  void read_pending();
  void look_at_head(const char* bytes, std::size_t size);
  static ssize_t write_answer(int fd, struct iovec* parts, int count, void* self);
  static ssize_t read_nothing(int fd, void* room, std::size_t size, void* self);
  void raise_read_ahead();

  // fuse_interrupts.cpp
  void note_asked(std::uint64_t number, std::uint32_t process) noexcept;
  // False: it was given up, and this answer is nobody's.
  bool note_answered(std::uint64_t number) noexcept;
  void on_interrupt(std::uint64_t number);
  Task<> watch_interrupted();
  void give_up(std::uint64_t number);

  // The bytes of the WRITE that is being handled, in the order of the file.
  Buffers take_written(std::size_t size);

  fs::Caller caller(fuse_req_t req) const;
  // Of a request of the kernel, whose number is never given twice.
  std::uint64_t trace_of(std::uint64_t number) const noexcept { return traces_begin + number; }
  // How long the kernel may keep what a call tells of names in this directory, present or absent; the token is of
  // before the call.
  double name_seconds(fs::InodeId directory, std::uint64_t token) const;
  std::uint64_t names_token(fs::InodeId directory) const {
    return files.names_token(directory, options.default_permissions);
  }
  void reply_entry(fuse_req_t req, double name_seconds, const Result<fs::Inode>& inode);
  void reply_attributes(fuse_req_t req, const Result<fs::Inode>& inode);
  // An answer with attributes is about to go to who asked.
  void carries_attributes(fuse_req_t req) { cache.answers(fuse_req_ctx(req)->pid); }
  void fill_entry(double name_seconds, const fs::Inode& inode, fuse_entry_param* entry) const;

  // Whether the kernel reads through this handle without pages.
  bool goes_around_pages(fs::HandleId handle) const { return around_pages.contains(handle); }

  Runtime& runtime;
  Logger& log;
  FileSystem& files;
  FuseOptions options;
  TaskGroup tasks;
  FuseKernelCache cache;
  fuse_session* session = nullptr;
  int fd = -1;
  bool ending = false;
  bool initialised = false;

  std::set<fs::HandleId> around_pages;  // open for reading

  // Requests that were read and not answered; of two that share a place the older one cannot be given up.
  struct Asked {
    std::uint64_t unique = 0;
    std::uint32_t process = 0;
  };
  static constexpr std::size_t kAskedMax = 8192;
  std::vector<Asked> asked{kAskedMax};
  std::map<std::uint64_t, std::uint32_t> interrupted;  // callers got a signal, by the number of the request
  std::set<std::uint64_t> given_up;                    // answered, though they still run
  bool watching = false;

  static constexpr std::uint32_t kOpcodes = 64;            // beyond it a request is counted as 0
  std::array<std::uint64_t, kOpcodes> requests_by_kind{};  // since the mount
  std::atomic<std::uint64_t> system_calls{0};              // on the descriptor; notices are written by blocking threads

  // The request that is being read or handled. What comes behind the head of a WRITE is read into buffers that the
  // cache can keep; of other requests it is put together again.
  std::unique_ptr<char[]> request;
  Buffers written;
  const std::uint64_t traces_begin;  // random: two mounts do not mean the same

  // Of the request that is being handled, from its raw bytes: what libfuse 3.14 does not pass on.
  bool kills_privileges = false;
  bool makes_nameless = false;          // a TMPFILE, which libfuse takes for a CREATE: its name means nothing
  bool offers_kill_privileges = false;  // INIT: the kernel can leave set-id bits to us
  bool offers_direct_maps = false;      // INIT: files that go around the page cache can be mapped all the same
  std::uint64_t init_unique = 0;
  std::uint64_t unique = 0;  // its number
};

// Whether fs.protected_hardlinks is on at the moment.
bool kernel_guards_links();

const fuse_lowlevel_ops& fuse_operations();
void add_name_operations(fuse_lowlevel_ops& ops);
void add_attribute_operations(fuse_lowlevel_ops& ops);
void add_file_operations(fuse_lowlevel_ops& ops);
void add_lock_operations(fuse_lowlevel_ops& ops);

inline FuseMount::Impl& server_of(fuse_req_t req) { return *static_cast<FuseMount::Impl*>(fuse_req_userdata(req)); }

}  // namespace rideau::client
