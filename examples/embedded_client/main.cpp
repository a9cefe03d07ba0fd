// SPDX-License-Identifier: Apache-2.0
// A program with a file system of its own: connects to a cluster without a mount, writes a file durably, then makes a
// thousand files with many calls in flight, and lists what there is.
//
//   embedded_client cluster.toml [FOLDER]
#include <rideau/client.hpp>

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>

#include <sys/stat.h>

namespace {

using rideau::Client;

int failed(const char* what, const Client::Status& status) {
  std::fprintf(stderr, "%s: %s\n", what, status.text.c_str());
  return 1;
}

// One step after the other: each call waits.
Client::Status write_note(Client& client, const Client::Caller& me, Client::InodeId folder) {
  const char text[] = "written without a mount\n";
  auto file = client.create(me, folder, "note", 0644, Client::kWrite | Client::kTruncate);
  if (!file.ok()) return file.status;
  auto written = client.write(file.value.handle, 0, text, std::strlen(text));
  Client::Status durable = client.fsync(file.value.handle);
  Client::Status closed = client.close(file.value.handle);
  if (!written.ok()) return written.status;
  return durable.ok() ? closed : durable;
}

// Many calls at once: answers come on the client's thread, in any order. Each answer closes its file.
class Burst {
 public:
  Burst(Client& client, const Client::Caller& me, Client::InodeId folder) : client_(client), me_(me), folder_(folder) {}

  int run(int files) {
    left_ = files;
    for (int i = 0; i < files; ++i) {
      client_.create(me_, folder_, "file" + std::to_string(i), 0644, Client::kWrite,
                     [this](Client::Result<Client::File> made) {
                       if (!made.ok()) return ended(made.status);
                       client_.close(made.value.handle, [this](Client::Status closed) { ended(closed); });
                     });
    }
    std::unique_lock lock(mutex_);
    all_ended_.wait(lock, [this] { return left_ == 0; });
    return failures_;
  }

 private:
  void ended(const Client::Status& status) {
    const std::lock_guard lock(mutex_);
    if (!status.ok()) ++failures_;
    if (--left_ == 0) all_ended_.notify_one();
  }

  Client& client_;
  const Client::Caller& me_;
  const Client::InodeId folder_;
  std::mutex mutex_;
  std::condition_variable all_ended_;
  int left_ = 0;
  int failures_ = 0;
};

Client::Result<std::size_t> count_names(Client& client, Client::InodeId folder) {
  Client::Result<std::size_t> count;
  for (std::uint64_t after = 0;;) {
    auto page = client.read_directory(folder, after, 1000);
    if (!page.ok()) {
      count.status = page.status;
      return count;
    }
    if (page.value.empty()) return count;
    for (const Client::Entry& entry : page.value) count.value += entry.name != "." && entry.name != ".." ? 1 : 0;
    after = page.value.back().cookie;
  }
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: embedded_client cluster.toml [FOLDER]\n");
    return 2;
  }
  Client::Options options;
  options.config_file = words[1];
  options.name = "embedded_client";
  auto connected = Client::connect(options);
  if (!connected.ok()) return failed("connect", connected.status);
  Client& client = *connected.value;
  const Client::Caller me = Client::this_process();

  const char* const name = count > 2 ? words[2] : "embedded";
  auto folder = client.make_directory(me, Client::kRoot, name, 0755);
  if (!folder.ok()) return failed("make the folder", folder.status);
  const Client::InodeId inode = folder.value.inode;

  if (const Client::Status status = write_note(client, me, inode); !status.ok()) return failed("write", status);
  Burst burst(client, me, inode);
  if (const int failures = burst.run(1000); failures != 0) {
    std::fprintf(stderr, "%d files could not be made\n", failures);
    return 1;
  }
  if (const Client::Status status = client.sync(); !status.ok()) return failed("sync", status);

  auto note = client.find(me, std::string(name) + "/note");
  if (!note.ok()) return failed("find the note", note.status);
  auto names = count_names(client, inode);
  if (!names.ok()) return failed("list", names.status);
  std::printf("%zu names in /%s, the note has %llu bytes\n", names.value, name,
              static_cast<unsigned long long>(note.value.size));
  const Client::Status ended = client.disconnect();
  return ended.ok() ? 0 : failed("disconnect", ended);
}
