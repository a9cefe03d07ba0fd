// SPDX-License-Identifier: Apache-2.0
// A client of a Rideau cluster inside your program: the same file system as a mount, without the kernel.
//
//   rideau::Client::Options options;
//   options.config_file = "/etc/rideau/cluster.toml";
//   auto connected = rideau::Client::connect(options);
//   if (!connected.ok()) return complain(connected.status.text);
//   rideau::Client& client = *connected.value;
//   auto made = client.create(me, rideau::Client::kRoot, "hello", 0644, rideau::Client::kWrite);
//
// find_package(rideau) gives the target rideau::client.
//
// Every operation exists twice. With a last argument `done` it begins and returns at once; `done` is called once, on
// the client's own thread, and must not block. Thousands may be in flight: that is how one program reaches what the
// servers can do. Without it, the call waits for its answer; on the client's own thread (in a `done`) it answers
// EDEADLK. Operations that run at the same time are in no order; one that was begun after another's answer sees what
// that did.
//
// Files are meant by their inode number and open files by a handle; names are single names in a directory, only find()
// takes a path. All calls may be made from any thread. Memory passed to read() and write() is lent until the answer.
//
// What this client changed, every other client sees at once. It is durable after fsync() or sync(), or some seconds
// later by itself. Errors are errno values, as the system call of that name gives them; text says more, for people.
//
// Interface version 0.1: programs are built against the version that they run with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

class Client {
 public:
  using InodeId = std::uint64_t;
  using HandleId = std::uint64_t;
  static constexpr InodeId kRoot = 1;

  struct Status {
    int error = 0;     // errno
    std::string text;  // of an error
    bool ok() const noexcept { return error == 0; }
  };
  template <class T>
  struct Result {
    Status status;
    T value{};  // where status is ok
    bool ok() const noexcept { return status.ok(); }
  };
  template <class T>
  using Done = std::function<void(Result<T>)>;
  using DoneStatus = std::function<void(Status)>;

  struct Options {
    std::string config_file;  // cluster.toml
    std::string config_text;  // its text instead, when there is no config_file; relative paths start at "."
    std::vector<std::string> plugin_folders;  // searched before the one beside this library
    std::string name;                         // of this client in the servers' logs; empty: the program's
    std::uint32_t operations_max = 65'536;    // in flight; one more is answered with EAGAIN
    // Lines for people: level 0 (debug) to 3 (error). Called on threads of the client, several at a time. Without one
    // nothing is logged.
    std::function<void(int level, const std::string& line)> log;
  };

  // Connects to every server of the configuration, or says why not (EINVAL: the configuration is wrong).
  static Result<std::unique_ptr<Client>> connect(const Options& options);
  // A whole file system in a folder, inside this program: metadata server, object server and client are in this process
  // and reach each other without a network; there is no daemon. A folder without cluster.toml gets a new, empty file
  // system (the folder above it must be there). One program at a time has it open; a second is answered EBUSY or with
  // what the store says. `rideau up --dir FOLDER` mounts the same folder when no program has it open.
  // options.config_file and config_text are not looked at. disconnect() leaves everything durable in the folder.
  static Result<std::unique_ptr<Client>> open_folder(const std::string& folder, const Options& options);

  // Waits for what is in flight, writes everything back, ends the sessions. Later calls are answered with ESHUTDOWN.
  Status disconnect();
  ~Client();  // disconnects
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // On whose behalf: what he may not do is refused.
  struct Caller {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;  // supplementary
  };
  // This process as it is now.
  static Caller this_process();

  struct Attributes {
    InodeId inode = 0;
    std::uint32_t mode = 0;  // type and permissions, as st_mode
    std::uint32_t link_count = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t device = 0;   // of device nodes
    std::uint64_t size = 0;     // bytes
    std::uint64_t blocks = 0;   // of 512 bytes
    std::int64_t atime_ns = 0;  // since 1970, on the metadata server's clock
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    std::int64_t birth_ns = 0;
  };
  // What is absent stays.
  struct Change {
    std::optional<std::uint32_t> mode;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> atime_ns;  // kNow: the server's clock
    std::optional<std::int64_t> mtime_ns;
    HandleId handle = 0;  // open for writing: then the size needs no permission
  };
  static constexpr std::int64_t kNow = INT64_MIN;
  struct File {
    HandleId handle = 0;
    Attributes attributes;
  };
  struct Entry {
    std::uint64_t cookie = 0;  // continue after it
    InodeId inode = 0;
    std::uint32_t type = 0;  // S_IFMT bits
    std::string name;
    Attributes attributes;  // where asked for and known; else inode is 0
  };
  struct Space {
    std::uint64_t bytes_total = 0;
    std::uint64_t bytes_free = 0;
    std::uint64_t inodes_used = 0;
    std::uint64_t inodes_free = 0;
  };
  enum OpenFlags : std::uint32_t { kRead = 1, kWrite = 2, kTruncate = 4, kExclusive = 8, kAppend = 32 };
  enum RenameFlags : std::uint32_t { kNoReplace = 1, kExchange = 2 };

  // Names.
  void lookup(const Caller& caller, InodeId directory, std::string_view name, Done<Attributes> done);
  // A path from the root, "a/b/c"; symbolic links in it are not followed.
  void find(const Caller& caller, std::string_view path, Done<Attributes> done);
  void make_directory(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                      Done<Attributes> done);
  // A file (S_IFREG), fifo, socket or device, not opened.
  void make_node(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                 std::uint64_t device, Done<Attributes> done);
  void make_symlink(const Caller& caller, InodeId directory, std::string_view name, std::string_view target,
                    Done<Attributes> done);
  void read_link(InodeId inode, Done<std::string> done);
  void link(const Caller& caller, InodeId inode, InodeId directory, std::string_view name, Done<Attributes> done);
  void unlink(const Caller& caller, InodeId directory, std::string_view name, DoneStatus done);
  void remove_directory(const Caller& caller, InodeId directory, std::string_view name, DoneStatus done);
  void rename(const Caller& caller, InodeId old_directory, std::string_view old_name, InodeId new_directory,
              std::string_view new_name, std::uint32_t flags, DoneStatus done);
  // Entries behind a cookie (0: from the start, with "." and ".."), at most `entries_max`; none: the end. Whether the
  // directory may be read is the caller's to check, as opendir() does: see open().
  void read_directory(InodeId directory, std::uint64_t after, std::uint32_t entries_max, bool attributes,
                      Done<std::vector<Entry>> done);

  // Attributes.
  void get_attributes(InodeId inode, Done<Attributes> done);
  void set_attributes(const Caller& caller, InodeId inode, const Change& change, Done<Attributes> done);
  void get_attribute(const Caller& caller, InodeId inode, std::string_view name, Done<std::string> done);
  void set_attribute(const Caller& caller, InodeId inode, std::string_view name, std::string_view value,
                     std::uint32_t flags, DoneStatus done);  // flags: XATTR_CREATE, XATTR_REPLACE
  void list_attributes(const Caller& caller, InodeId inode, Done<std::vector<std::string>> done);
  void remove_attribute(const Caller& caller, InodeId inode, std::string_view name, DoneStatus done);

  // Files. create() makes and opens; without kExclusive it also opens a file that is there.
  void create(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode, std::uint32_t flags,
              Done<File> done);
  void open(const Caller& caller, InodeId inode, std::uint32_t flags, Done<File> done);
  // Bytes read, fewer only at the end of the file.
  void read(HandleId handle, std::uint64_t offset, void* to, std::size_t size, Done<std::size_t> done);
  // Bytes written, fewer only when the space ended. With kAppend the offset does not matter.
  void write(HandleId handle, std::uint64_t offset, const void* from, std::size_t size, Done<std::size_t> done);
  // Bytes, size and name of the file are durable when this ended.
  void fsync(HandleId handle, DoneStatus done);
  // The handle is gone whatever the answer, which tells of bytes that could not be written back, each failure once.
  void close(HandleId handle, DoneStatus done);
  // The names in a directory are durable when this ended.
  void sync_directory(InodeId directory, DoneStatus done);

  // Everything this client changed is durable when this ended.
  void sync(DoneStatus done);
  void stat_file_system(Done<Space> done);

  // The same, waiting for the answer.
  Result<Attributes> lookup(const Caller& caller, InodeId directory, std::string_view name);
  Result<Attributes> find(const Caller& caller, std::string_view path);
  Result<Attributes> make_directory(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode);
  Result<Attributes> make_node(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                               std::uint64_t device = 0);
  Result<Attributes> make_symlink(const Caller& caller, InodeId directory, std::string_view name,
                                  std::string_view target);
  Result<std::string> read_link(InodeId inode);
  Result<Attributes> link(const Caller& caller, InodeId inode, InodeId directory, std::string_view name);
  Status unlink(const Caller& caller, InodeId directory, std::string_view name);
  Status remove_directory(const Caller& caller, InodeId directory, std::string_view name);
  Status rename(const Caller& caller, InodeId old_directory, std::string_view old_name, InodeId new_directory,
                std::string_view new_name, std::uint32_t flags = 0);
  Result<std::vector<Entry>> read_directory(InodeId directory, std::uint64_t after, std::uint32_t entries_max,
                                            bool attributes = false);
  Result<Attributes> get_attributes(InodeId inode);
  Result<Attributes> set_attributes(const Caller& caller, InodeId inode, const Change& change);
  Result<std::string> get_attribute(const Caller& caller, InodeId inode, std::string_view name);
  Status set_attribute(const Caller& caller, InodeId inode, std::string_view name, std::string_view value,
                       std::uint32_t flags = 0);
  Result<std::vector<std::string>> list_attributes(const Caller& caller, InodeId inode);
  Status remove_attribute(const Caller& caller, InodeId inode, std::string_view name);
  Result<File> create(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                      std::uint32_t flags);
  Result<File> open(const Caller& caller, InodeId inode, std::uint32_t flags);
  Result<std::size_t> read(HandleId handle, std::uint64_t offset, void* to, std::size_t size);
  Result<std::size_t> write(HandleId handle, std::uint64_t offset, const void* from, std::size_t size);
  Status fsync(HandleId handle);
  Status close(HandleId handle);
  Status sync_directory(InodeId directory);
  Status sync();
  Result<Space> stat_file_system();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau
