// SPDX-License-Identifier: Apache-2.0
// Creates through the client library with many in flight, beside the same records put into a bare LMDB in batches.
//
//   rideau-bench-library cluster.toml FOLDER [--files N] [--in-flight M] [--rounds R]
//
// FOLDER is on the disk of the metadata server. One JSON line a round, then one with medians. `creates` are answered
// creates (each opens the file and closes it again); `durable` counts until a sync that follows the last one ended.
// `cpu_us`: processor time of this process, for a create and its close.
#include <rideau/client.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include <lmdb.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using rideau::Client;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string config;
  std::string folder;
  int files = 100'000;
  int in_flight = 1024;
  int rounds = 3;
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

void check(const char* what, const Client::Status& status) {
  if (!status.ok()) fail(std::string(what) + ": " + status.text);
}

// Keeps `in_flight` creates going until all files are made; every answer begins the next.
class Creates {
 public:
  Creates(Client& client, Client::InodeId folder, int files) : client_(client), folder_(folder), files_(files) {}

  void run(int in_flight) {
    {
      const std::lock_guard lock(mutex_);
      unanswered_ = files_;
    }
    in_flight_ = in_flight;
    for (int i = 0; i < std::min(in_flight, files_); ++i) begin(i);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return unanswered_ == 0; });
    if (!failure_.ok()) check("create", failure_);
  }

 private:
  void begin(int number) {
    char name[24];
    std::snprintf(name, sizeof name, "f%07d", number);
    client_.create(me_, folder_, name, 0644, Client::kWrite,
                   [this, number](Client::Result<Client::File> made) { answered(number, made); });
  }
  void answered(int number, const Client::Result<Client::File>& made) {
    if (made.ok()) client_.close(made.value.handle, [](const Client::Status&) {});
    const int next = number + in_flight_;
    if (next < files_) begin(next);
    const std::lock_guard lock(mutex_);
    if (!made.ok()) failure_ = made.status;
    if (--unanswered_ == 0) done_.notify_one();
  }

  Client& client_;
  const Client::InodeId folder_;
  const int files_;
  const Client::Caller me_;
  int in_flight_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  int unanswered_ = 0;
  Client::Status failure_;
};

void check_lmdb(int result) {
  if (result != 0) fail(std::string("lmdb: ") + mdb_strerror(result));
}

// What a create writes at least: an inode and an entry, synced once a batch. Creates a second.
double bare_lmdb(const std::string& folder, int creates, int batch) {
  const std::string file = folder + "/bare.lmdb";
  MDB_env* environment = nullptr;
  check_lmdb(mdb_env_create(&environment));
  check_lmdb(mdb_env_set_mapsize(environment, std::size_t{4} << 30));
  check_lmdb(mdb_env_open(environment, file.c_str(), MDB_NOSUBDIR | MDB_NORDAHEAD, 0600));
  const Clock::time_point begin = Clock::now();
  MDB_dbi records = 0;
  for (std::uint64_t made = 0; made < static_cast<std::uint64_t>(creates);) {
    MDB_txn* transaction = nullptr;
    check_lmdb(mdb_txn_begin(environment, nullptr, 0, &transaction));
    check_lmdb(mdb_dbi_open(transaction, nullptr, 0, &records));
    for (int i = 0; i < batch && made < static_cast<std::uint64_t>(creates); ++i, ++made) {
      unsigned char key[17] = {0x10};
      char value[120] = {};
      const std::uint64_t hash = made * 0x9e3779b97f4a7c15ull;
      std::memcpy(key + 9, &hash, sizeof hash);
      MDB_val entry_key{17, key};
      MDB_val entry{32, value};
      key[0] = 0x11;
      check_lmdb(mdb_put(transaction, records, &entry_key, &entry, 0));
      key[0] = 0x10;
      for (int byte = 0; byte < 8; ++byte) key[1 + byte] = static_cast<unsigned char>(made >> (56 - 8 * byte));
      MDB_val inode_key{9, key};
      MDB_val inode{sizeof value, value};
      check_lmdb(mdb_put(transaction, records, &inode_key, &inode, 0));
    }
    check_lmdb(mdb_txn_commit(transaction));
  }
  const double seconds = seconds_since(begin);
  mdb_env_close(environment);
  ::unlink(file.c_str());
  ::unlink((file + "-lock").c_str());
  return creates / seconds;
}

struct Round {
  double creates = 0;
  double durable = 0;
  double sync_ms = 0;
  double cpu_us = 0;
  double lmdb_256 = 0;
  double lmdb_4096 = 0;
};

Round run_round(Client& client, const Arguments& arguments, int number) {
  Round round;
  const Client::Caller me;
  const std::string name = "bench-" + std::to_string(::getpid()) + "-" + std::to_string(number);
  auto folder = client.make_directory(me, Client::kRoot, name, 0755);
  check("make a folder", folder.status);
  check("sync", client.sync());
  const double cpu = cpu_seconds();
  const Clock::time_point begin = Clock::now();
  Creates creates(client, folder.value.inode, arguments.files);
  creates.run(arguments.in_flight);
  round.creates = arguments.files / seconds_since(begin);
  round.cpu_us = 1e6 * (cpu_seconds() - cpu) / arguments.files;
  const Clock::time_point answered = Clock::now();
  check("sync", client.sync());
  round.sync_ms = 1000 * seconds_since(answered);
  round.durable = arguments.files / seconds_since(begin);
  round.lmdb_256 = bare_lmdb(arguments.folder, arguments.files, 256);
  round.lmdb_4096 = bare_lmdb(arguments.folder, arguments.files, 4096);
  return round;
}

void print(const char* what, const Round& round, const Arguments& arguments) {
  std::printf(
      "{\"round\": \"%s\", \"files\": %d, \"in_flight\": %d, \"creates\": %.0f, \"durable\": %.0f, \"sync_ms\": %.1f, "
      "\"cpu_us\": %.1f, "
      "\"lmdb_256\": %.0f, \"lmdb_4096\": %.0f, \"of_lmdb_4096\": %.2f}\n",
      what, arguments.files, arguments.in_flight, round.creates, round.durable, round.sync_ms, round.cpu_us,
      round.lmdb_256, round.lmdb_4096, round.durable / round.lmdb_4096);
  std::fflush(stdout);
}

double median(const std::vector<Round>& rounds, double Round::*value) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(round.*value);
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool parse(int count, char** words, Arguments* to) {
  if (count < 3) return false;
  to->config = words[1];
  to->folder = words[2];
  for (int i = 3; i + 1 < count; i += 2) {
    const std::string word = words[i];
    const int number = std::atoi(words[i + 1]);
    if (number < 1) return false;
    if (word == "--files") {
      to->files = number;
    } else if (word == "--in-flight") {
      to->in_flight = number;
    } else if (word == "--rounds") {
      to->rounds = number;
    } else {
      return false;
    }
  }
  return count % 2 == 1;
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments;
  if (!parse(count, words, &arguments)) {
    std::fprintf(stderr,
                 "usage: rideau-bench-library CLUSTER FOLDER [--files N] [--in-flight M] [--rounds R]\n"
                 "CLUSTER: a cluster.toml, or the folder of a file system that this program serves itself\n"
                 "FOLDER: on the disk of the metadata server, for the bare LMDB\n");
    return 2;
  }
  Client::Options options;
  options.config_file = arguments.config;
  options.name = "library bench";
  const bool is_file = arguments.config.ends_with(".toml");
  auto connected = is_file ? Client::connect(options) : Client::open_folder(arguments.config, options);
  check("connect", connected.status);
  std::vector<Round> rounds;
  for (int i = 0; i < arguments.rounds; ++i) {
    rounds.push_back(run_round(*connected.value, arguments, i));
    print(std::to_string(i + 1).c_str(), rounds.back(), arguments);
  }
  Round middle;
  for (double Round::*value :
       {&Round::creates, &Round::durable, &Round::sync_ms, &Round::cpu_us, &Round::lmdb_256, &Round::lmdb_4096}) {
    middle.*value = median(rounds, value);
  }
  print("median", middle, arguments);
  check("disconnect", connected.value->disconnect());
  return 0;
}
