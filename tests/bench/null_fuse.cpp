// SPDX-License-Identifier: Apache-2.0
// A FUSE file system that does as little as it can: it keeps names and sizes, throws away bytes and reads zeroes. It
// negotiates, caches and checks permissions like our mount, so that what our mount takes longer is Rideau and not FUSE.
#define FUSE_USE_VERSION 312

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <fuse3/fuse_lowlevel.h>
#include <unistd.h>

namespace {

constexpr double kCacheSeconds = 3600;
constexpr std::size_t kTransferBytesMax = 1 << 20;
constexpr unsigned kThreads = 10;  // libfuse's own choice

struct Name {
  fuse_ino_t parent;
  std::string name;
  bool operator==(const Name&) const = default;
};

struct NameHash {
  std::size_t operator()(const Name& key) const noexcept {
    return std::hash<std::string>{}(key.name) ^ (key.parent * 0x9e3779b97f4a7c15ull);
  }
};

std::mutex mutex;
std::deque<struct stat> inodes;  // number n stands at n - 1; none is ever taken out
std::unordered_map<Name, fuse_ino_t, NameHash> names;
const std::vector<char> zeroes(kTransferBytesMax);

fuse_entry_param add_inode(mode_t mode) {
  struct stat made {};
  made.st_ino = inodes.size() + 1;
  made.st_mode = mode;
  made.st_nlink = S_ISDIR(mode) ? 2 : 1;
  made.st_blksize = 4096;
  made.st_uid = ::getuid();
  made.st_gid = ::getgid();
  ::clock_gettime(CLOCK_REALTIME, &made.st_mtim);
  made.st_ctim = made.st_atim = made.st_mtim;
  inodes.push_back(made);
  fuse_entry_param entry{};
  entry.ino = made.st_ino;
  entry.generation = 1;
  entry.attr = made;
  entry.attr_timeout = entry.entry_timeout = kCacheSeconds;
  return entry;
}

// The entry of a new name; its number is 0 when the name is there already.
fuse_entry_param make(fuse_ino_t parent, const char* name, mode_t mode) {
  const std::lock_guard lock(mutex);
  Name key{parent, name};
  if (names.count(key) != 0) return {};
  const fuse_entry_param entry = add_inode(mode);
  names.emplace(std::move(key), entry.ino);
  return entry;
}

void on_init(void*, fuse_conn_info* connection) {
  connection->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
  connection->want &= ~(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA);
  connection->want |= connection->capable &
                      (FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS |
                       FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_CACHE_SYMLINKS);
  connection->max_write = kTransferBytesMax;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  connection->time_gran = 1;
}

void on_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  fuse_entry_param entry{};
  entry.attr_timeout = entry.entry_timeout = kCacheSeconds;
  {
    const std::lock_guard lock(mutex);
    const auto found = names.find({parent, name});
    if (found != names.end()) {
      entry.ino = found->second;
      entry.generation = 1;
      entry.attr = inodes[entry.ino - 1];
    }
  }
  fuse_reply_entry(req, &entry);
}

void reply_attributes(fuse_req_t req, fuse_ino_t inode) {
  struct stat attributes;
  {
    const std::lock_guard lock(mutex);
    attributes = inodes[inode - 1];
  }
  fuse_reply_attr(req, &attributes, kCacheSeconds);
}

void on_getattr(fuse_req_t req, fuse_ino_t inode, fuse_file_info*) { reply_attributes(req, inode); }

void on_setattr(fuse_req_t req, fuse_ino_t inode, struct stat* wanted, int to_set, fuse_file_info*) {
  {
    const std::lock_guard lock(mutex);
    if ((to_set & FUSE_SET_ATTR_SIZE) != 0) inodes[inode - 1].st_size = wanted->st_size;
  }
  reply_attributes(req, inode);
}

void on_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* file) {
  const fuse_entry_param entry = make(parent, name, S_IFREG | (mode & 07777));
  if (entry.ino == 0) {
    fuse_reply_err(req, EEXIST);
    return;
  }
  file->keep_cache = 1;
  fuse_reply_create(req, &entry, file);
}

void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  const fuse_entry_param entry = make(parent, name, S_IFDIR | (mode & 07777));
  if (entry.ino == 0) {
    fuse_reply_err(req, EEXIST);
  } else {
    fuse_reply_entry(req, &entry);
  }
}

void on_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  std::size_t removed = 0;
  {
    const std::lock_guard lock(mutex);
    removed = names.erase({parent, name});
  }
  fuse_reply_err(req, removed == 0 ? ENOENT : 0);
}

void on_open(fuse_req_t req, fuse_ino_t inode, fuse_file_info* file) {
  if ((file->flags & O_TRUNC) != 0) {
    const std::lock_guard lock(mutex);
    inodes[inode - 1].st_size = 0;
  }
  file->keep_cache = 1;
  fuse_reply_open(req, file);
}

void on_read(fuse_req_t req, fuse_ino_t inode, std::size_t size, off_t offset, fuse_file_info*) {
  off_t end = 0;
  {
    const std::lock_guard lock(mutex);
    end = inodes[inode - 1].st_size;
  }
  const auto left = static_cast<std::size_t>(std::max<off_t>(end - offset, 0));
  fuse_reply_buf(req, zeroes.data(), std::min({size, left, zeroes.size()}));
}

void on_write(fuse_req_t req, fuse_ino_t inode, const char*, std::size_t size, off_t offset, fuse_file_info*) {
  {
    const std::lock_guard lock(mutex);
    struct stat& file = inodes[inode - 1];
    file.st_size = std::max(file.st_size, offset + static_cast<off_t>(size));
  }
  fuse_reply_write(req, size);
}

void on_end(fuse_req_t req, fuse_ino_t, fuse_file_info*) { fuse_reply_err(req, 0); }
void on_sync(fuse_req_t req, fuse_ino_t, int, fuse_file_info*) { fuse_reply_err(req, 0); }
void on_forget(fuse_req_t req, fuse_ino_t, std::uint64_t) { fuse_reply_none(req); }
void on_forget_multi(fuse_req_t req, std::size_t, fuse_forget_data*) { fuse_reply_none(req); }

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops ops{};
  ops.init = on_init;
  ops.lookup = on_lookup;
  ops.getattr = on_getattr;
  ops.setattr = on_setattr;
  ops.create = on_create;
  ops.mkdir = on_mkdir;
  ops.unlink = on_unlink;
  ops.open = on_open;
  ops.read = on_read;
  ops.write = on_write;
  ops.flush = on_end;
  ops.release = on_end;
  ops.fsync = on_sync;
  ops.forget = on_forget;
  ops.forget_multi = on_forget_multi;
  return ops;
}

}  // namespace

// Serves in the foreground until it is unmounted.
int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: rideau-bench-null-fuse MOUNTPOINT\n", stderr);
    return 2;
  }
  add_inode(S_IFDIR | 0755);
  const bool root = ::geteuid() == 0;
  const std::string wanted = std::string("fsname=null,default_permissions") + (root ? ",allow_other" : "");
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  for (const char* word : {"null", "-o", wanted.c_str()}) fuse_opt_add_arg(&arguments, word);
  const fuse_lowlevel_ops ops = operations();
  fuse_session* session = fuse_session_new(&arguments, &ops, sizeof ops, nullptr);
  fuse_opt_free_args(&arguments);
  if (session == nullptr || fuse_session_mount(session, words[1]) != 0) return 1;
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_max_threads(config, kThreads);
  fuse_loop_cfg_set_idle_threads(config, kThreads);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return result == 0 ? 0 : 1;
}
