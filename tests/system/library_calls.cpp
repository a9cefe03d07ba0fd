// SPDX-License-Identifier: Apache-2.0
// Every call of the client library on a real cluster, by its user: library_calls cluster.toml MOUNT. MOUNT is a mount
// of the same cluster, through which some of what the library did is looked at.
#include <rideau/client.hpp>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace {

using rideau::Client;

#define EXPECT(condition) expect(condition, #condition, __LINE__)
void expect(bool condition, const char* text, int line) {
  if (condition) return;
  std::fprintf(stderr, "library_calls.cpp:%d: %s\n", line, text);
  std::exit(1);
}

const Client::Caller kRootUser;
const Client::Caller kAlice{1000, 1000, {50}};
const Client::Caller kBob{1001, 1001, {}};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void names(Client& client, const std::string& mount) {
  auto folder = client.make_directory(kRootUser, Client::kRoot, "library", 0755);
  EXPECT(folder.ok() && S_ISDIR(folder.value.mode));
  const Client::InodeId top = folder.value.inode;
  EXPECT(client.make_directory(kRootUser, Client::kRoot, "library", 0755).status.error == EEXIST);
  auto fifo = client.make_node(kRootUser, top, "fifo", S_IFIFO | 0600);
  EXPECT(fifo.ok() && S_ISFIFO(fifo.value.mode));
  EXPECT(client.make_node(kAlice, top, "mine", S_IFREG | 0600).status.error == EACCES);
  auto symlink = client.make_symlink(kRootUser, top, "symlink", "../elsewhere");
  EXPECT(symlink.ok() && client.read_link(symlink.value.inode).value == "../elsewhere");
  auto plain = client.make_node(kRootUser, top, "plain", S_IFREG | 0644);
  auto linked = client.link(kRootUser, plain.value.inode, top, "linked");
  EXPECT(linked.ok() && linked.value.link_count == 2 && linked.value.inode == plain.value.inode);
  EXPECT(client.rename(kRootUser, top, "linked", Client::kRoot, "moved").ok());
  EXPECT(client.rename(kRootUser, Client::kRoot, "moved", top, "fifo", Client::kNoReplace).error == EEXIST);
  EXPECT(client.rename(kRootUser, Client::kRoot, "moved", top, "fifo", 64).error != 0);
  EXPECT(client.find(kRootUser, "/library//./plain").value.inode == plain.value.inode);
  EXPECT(client.find(kRootUser, "").value.inode == Client::kRoot);
  EXPECT(client.find(kRootUser, "library/plain/x").status.error == ENOTDIR);
  EXPECT(client.lookup(kRootUser, top, "absent").status.error == ENOENT);
  EXPECT(client.unlink(kRootUser, top, "absent").error == ENOENT);
  EXPECT(client.unlink(kRootUser, Client::kRoot, "moved").ok());
  EXPECT(client.remove_directory(kRootUser, Client::kRoot, "library").error == ENOTEMPTY);
  struct stat seen {};
  EXPECT(::lstat((mount + "/library/plain").c_str(), &seen) == 0 && seen.st_ino == plain.value.inode);
  EXPECT(seen.st_nlink == 1);
  auto page = client.read_directory(top, 0, 100, true);
  EXPECT(page.ok() && page.value.size() == 5);  // ".", "..", fifo, symlink, plain
  std::size_t known = 0;
  for (const Client::Entry& entry : page.value) known += entry.attributes.inode == entry.inode ? 1 : 0;
  EXPECT(known == 3);
  EXPECT(client.read_directory(top, page.value.back().cookie, 100).value.empty());
  for (const char* name : {"fifo", "symlink", "plain"}) EXPECT(client.unlink(kRootUser, top, name).ok());
  EXPECT(client.sync_directory(top).ok());
  EXPECT(client.remove_directory(kRootUser, Client::kRoot, "library").ok());
}

void attributes(Client& client) {
  auto made = client.make_node(kRootUser, Client::kRoot, "attributes", S_IFREG | 0644);
  const Client::InodeId inode = made.value.inode;
  Client::Change change;
  change.uid = 1000;
  change.gid = 50;
  change.mode = 0640;
  change.mtime_ns = 1'000'000'001;
  change.atime_ns = Client::kNow;
  auto changed = client.set_attributes(kRootUser, inode, change);
  EXPECT(changed.ok() && changed.value.uid == 1000 && changed.value.gid == 50 &&
         changed.value.mtime_ns == 1'000'000'001);
  EXPECT(changed.value.atime_ns > changed.value.birth_ns - 1'000'000'000);
  EXPECT((client.get_attributes(inode).value.mode & 07777) == 0640);
  Client::Change size;
  size.size = 12'345;
  EXPECT(client.set_attributes(kBob, inode, size).status.error == EACCES);
  EXPECT(client.set_attributes(kAlice, inode, size).value.size == 12'345);
  EXPECT(client.set_attribute(kAlice, inode, "user.a", std::string("x\0y", 3)).ok());
  EXPECT(client.set_attribute(kAlice, inode, "user.a", "z", XATTR_CREATE).error == EEXIST);
  EXPECT(client.get_attribute(kAlice, inode, "user.a").value == std::string("x\0y", 3));
  EXPECT(client.list_attributes(kAlice, inode).value == std::vector<std::string>{"user.a"});
  EXPECT(client.remove_attribute(kAlice, inode, "user.a").ok());
  EXPECT(client.get_attribute(kAlice, inode, "user.a").status.error == ENODATA);
  EXPECT(client.get_attribute(kAlice, inode, "rideau.layout").value.rfind("stripe_count=", 0) == 0);
  EXPECT(client.unlink(kRootUser, Client::kRoot, "attributes").ok());
  // What is cached may still be told, but not as a file that has a name.
  auto gone = client.get_attributes(inode);
  EXPECT(gone.status.error == ESTALE || (gone.ok() && gone.value.link_count == 0));
}

void bytes(Client& client, const std::string& mount) {
  auto file =
      client.create(kRootUser, Client::kRoot, "bytes", 0600, Client::kRead | Client::kWrite | Client::kExclusive);
  EXPECT(file.ok() && file.value.attributes.size == 0);
  EXPECT(client.create(kRootUser, Client::kRoot, "bytes", 0600, Client::kWrite | Client::kExclusive).status.error ==
         EEXIST);
  std::string data(3'000'000, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 4096);
  auto written = client.write(file.value.handle, 10, data.data(), data.size());
  EXPECT(written.ok() && written.value == data.size());
  EXPECT(client.fsync(file.value.handle).ok());
  EXPECT(content(mount + "/bytes") == std::string(10, '\0') + data);
  std::string room(data.size() + 100, 'x');
  auto got = client.read(file.value.handle, 10, room.data(), room.size());
  EXPECT(got.ok() && got.value == data.size() && room.compare(0, data.size(), data) == 0);
  EXPECT(client.read(file.value.handle, data.size() + 10, room.data(), 1).value == 0);
  EXPECT(client.close(file.value.handle).ok());
  EXPECT(client.close(file.value.handle).error == EBADF);
  EXPECT(client.open(kBob, file.value.attributes.inode, Client::kRead).status.error == EACCES);
  auto appender = client.open(kRootUser, file.value.attributes.inode, Client::kWrite | Client::kAppend);
  EXPECT(client.write(appender.value.handle, 0, "end", 3).value == 3);
  EXPECT(client.read(appender.value.handle, 0, room.data(), 1).status.error == EBADF);
  EXPECT(client.close(appender.value.handle).ok());
  EXPECT(client.find(kRootUser, "bytes").value.size == data.size() + 13);
  auto cut = client.open(kRootUser, file.value.attributes.inode, Client::kWrite | Client::kTruncate);
  EXPECT(cut.ok() && cut.value.attributes.size == 0);
  EXPECT(client.close(cut.value.handle).ok());
  EXPECT(client.unlink(kRootUser, Client::kRoot, "bytes").ok());
  auto space = client.stat_file_system();
  EXPECT(space.ok() && space.value.bytes_total > 0 && space.value.inodes_free > 0);
}

// Callbacks: on one thread that is not ours, each once, and a call that waits is refused there.
void many(Client& client) {
  constexpr int kFiles = 3000;
  std::mutex mutex;
  std::condition_variable ended;
  int left = kFiles;
  std::atomic<int> refused{0};
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = "many" + std::to_string(i);
    client.create(kRootUser, Client::kRoot, name, 0644, Client::kWrite, [&, name](Client::Result<Client::File> made) {
      EXPECT(made.ok());
      if (client.sync().error == EDEADLK) ++refused;
      client.close(made.value.handle, [&, name](Client::Status closed) {
        EXPECT(closed.ok());
        client.unlink(kRootUser, Client::kRoot, name, [&](Client::Status removed) {
          EXPECT(removed.ok());
          const std::lock_guard lock(mutex);
          if (--left == 0) ended.notify_one();
        });
      });
    });
  }
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return left == 0; });
  EXPECT(refused == kFiles);
  EXPECT(client.find(kRootUser, "many7").status.error == ENOENT);
}

void refusals(const std::string& config) {
  Client::Options options;
  options.config_file = "/nonexistent/cluster.toml";
  auto missing = Client::connect(options);
  EXPECT(missing.status.error == EINVAL && missing.status.text.find("/nonexistent") != std::string::npos);
  options.config_file.clear();
  options.config_text = "nonsense = [";
  EXPECT(Client::connect(options).status.error == EINVAL);
  // A bound of one: while a call is under way the next is sent back.
  options.config_text = content(config);
  options.operations_max = 1;
  options.log = [](int, const std::string& line) { EXPECT(!line.empty()); };
  auto small = Client::connect(options);
  EXPECT(small.ok());
  std::atomic<int> answers{0};
  std::atomic<int> busy{0};
  for (int i = 0; i < 100; ++i) {
    small.value->stat_file_system([&](const Client::Result<Client::Space>& space) {
      if (space.status.error == EAGAIN) ++busy;
      ++answers;
    });
  }
  EXPECT(small.value->disconnect().ok());
  EXPECT(answers == 100 && busy > 0 && busy < 100);
  EXPECT(small.value->sync().error == ESHUTDOWN);
  EXPECT(small.value->disconnect().ok());
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  Client::Options options;
  options.config_file = words[1];
  auto connected = Client::connect(options);
  if (!connected.ok()) {
    std::fprintf(stderr, "%s\n", connected.status.text.c_str());
    return 1;
  }
  Client& client = *connected.value;
  names(client, words[2]);
  attributes(client);
  bytes(client, words[2]);
  many(client);
  EXPECT(client.sync().ok());
  refusals(words[1]);
  std::puts("every call did what it says");
  return 0;
}
