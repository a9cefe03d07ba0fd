// SPDX-License-Identifier: Apache-2.0
// One phase of work on a block-device store with its index, hosted as an object server hosts it, without a network.
// One line of JSON: what was done, how long it took, how long the start took, what the process wrote and what memory it
// has.
//
//   rideau-bench-store PHASE FOLDER [--set KEY=VALUE ...] [--depth D] [--count N]
//                      [--io BYTES] [--mib M] [--objects N] [--sizes BYTES,...] [--flush-every N]
//
// One object of M MiB:  write and read (from its beginning on, in calls of BYTES), random_read and random_write (N
//                       calls of BYTES, at multiples of it)
// Objects 0 to N - 1:   fill (makes N more than `--first` says), get (reads N of them at random, each whole),
//                       remove (of four the last two), killed (writes N of them anew, and ends like kill -9 before a
//                       flush), start (nothing but starting and stopping)
#include "tests/bench/hosted_store.hpp"
#include "tests/bench/measuring.hpp"

#include "framework/runtime/await.hpp"
#include "framework/runtime/task_group.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace rideau {
namespace {

struct Wishes {
  HostedStoreOptions store;
  std::string phase;
  std::uint32_t depth = 32;
  std::uint64_t count = 10'000;
  std::uint64_t io_bytes = 4096;
  std::uint64_t mib = 256;
  std::uint64_t objects = 0;
  std::uint64_t first = 0;
  std::vector<std::uint64_t> sizes{4096};  // of objects, in turn
  std::uint64_t flush_every = 0;           // writes; 0: once, at the end
};

struct Free {
  void operator()(std::uint8_t* memory) const noexcept { std::free(memory); }
};
using Memory = std::unique_ptr<std::uint8_t[], Free>;

// The same numbers each time, so that runs can be compared.
class Draw {
 public:
  std::uint64_t below(std::uint64_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % bound;
  }

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

// What /proc says in lines of "name: number".
std::uint64_t told_by(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    std::uint64_t number = 0;
    if (word == name + ":" && lines >> number) return number;
  }
  return 0;
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// How long this thread was ready to run and did not, since others had the processors.
double waited_seconds() {
  std::ifstream told("/proc/self/schedstat");
  std::uint64_t ran_ns = 0;
  std::uint64_t waited_ns = 0;
  told >> ran_ns >> waited_ns;
  return 1e-9 * static_cast<double>(waited_ns);
}

// Each call is numbered from 0; `depth` of them are under way at any time.
class Work {
 public:
  using Call = std::function<Task<std::uint64_t>(std::uint64_t number, std::uint8_t* memory)>;  // bytes moved

  Work(RealRuntime& runtime, ObjectStore& store, const Wishes& wishes)
      : runtime_(runtime), store_(store), wishes_(wishes) {}

  // Memory for each call under way, with bytes in it.
  void prepare(std::uint64_t memory_bytes) {
    Draw draw;
    for (std::uint32_t i = 0; i < wishes_.depth; ++i) {
      memory_.emplace_back(static_cast<std::uint8_t*>(std::aligned_alloc(4096, (memory_bytes + 4095) / 4096 * 4096)));
      for (std::uint64_t at = 0; at < memory_bytes; ++at) memory_[i][at] = static_cast<std::uint8_t>(draw.below(256));
    }
  }
  Task<> all(std::uint64_t count, const Call& call) {
    count_ = count;
    TaskGroup workers(runtime_);
    for (const Memory& memory : memory_) workers.spawn(worker(memory.get(), call));
    co_await workers.join();
  }
  Task<> flush() {
    const Outcome done = co_await submit([&](Completion& c) { return store_.flush(nullptr, 0, c); });
    must(done.ok(), ("a flush failed: " + status_text(done.status)).c_str());
  }
  Task<std::uint64_t> write(ObjectId id, std::uint64_t offset, std::uint8_t* memory, std::uint64_t size) {
    const IoVec part{memory, size};
    const Outcome done = co_await submit([&](Completion& c) { return store_.write(id, offset, &part, 1, c); });
    must(done.ok() && done.value == size, ("a write failed: " + status_text(done.status)).c_str());
    if (wishes_.flush_every != 0 && ++written_ % wishes_.flush_every == 0) co_await flush();
    co_return size;
  }
  Task<std::uint64_t> read(ObjectId id, std::uint64_t offset, std::uint8_t* memory, std::uint64_t size) {
    const IoVec part{memory, size};
    const Outcome done = co_await submit([&](Completion& c) { return store_.read(id, offset, &part, 1, c); });
    must(done.ok() && done.value == size, ("a read failed: " + status_text(done.status)).c_str());
    co_return size;
  }
  Task<std::uint64_t> remove(ObjectId id) {
    const Outcome done = co_await submit([&](Completion& c) { return store_.remove(id, c); });
    must(done.ok(), ("a removal failed: " + status_text(done.status)).c_str());
    co_return 0;
  }

  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  Task<> worker(std::uint8_t* memory, const Call& call) {
    while (next_ < count_) bytes_ += co_await call(next_++, memory);
  }

  RealRuntime& runtime_;
  ObjectStore& store_;
  const Wishes& wishes_;
  std::vector<Memory> memory_;
  std::uint64_t next_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t written_ = 0;
};

constexpr ObjectId kStream{1, 0};
// As those of files: numbered in the order in which they were made.
ObjectId object_id(std::uint64_t number) { return {1'000'000 + number, 0}; }

class Phase {
 public:
  Phase(RealRuntime& runtime, ObjectStore& store, const Wishes& wishes)
      : work_(runtime, store, wishes), wishes_(wishes) {}

  Task<> run() {
    const std::uint64_t io = wishes_.io_bytes;
    const std::uint64_t places = (wishes_.mib << 20) / io;
    const auto objects_below = [this] { return draw_.below(wishes_.objects); };
    const std::map<std::string, std::pair<std::uint64_t, Work::Call>> phases{
        {"write",
         {places, [=, this](auto number, auto* memory) { return work_.write(kStream, number * io, memory, io); }}},
        {"read",
         {places, [=, this](auto number, auto* memory) { return work_.read(kStream, number * io, memory, io); }}},
        {"random_read",
         {wishes_.count,
          [=, this](auto, auto* memory) { return work_.read(kStream, draw_.below(places) * io, memory, io); }}},
        {"random_write",
         {wishes_.count,
          [=, this](auto, auto* memory) { return work_.write(kStream, draw_.below(places) * io, memory, io); }}},
        {"fill",
         {wishes_.count,
          [=, this](auto number, auto* memory) { return write_object(wishes_.first + number, memory); }}},
        {"get",
         {wishes_.count,
          [=, this](auto, auto* memory) {
            const std::uint64_t number = objects_below();
            return work_.read(object_id(number), 0, memory, size_of(number));
          }}},
        {"remove",
         {wishes_.objects / 2,
          [=, this](auto number, auto*) { return work_.remove(object_id(number / 2 * 4 + 2 + number % 2)); }}},
        {"killed", {wishes_.count, [=, this](auto, auto* memory) { return write_object(objects_below(), memory); }}},
        {"start", {0, nullptr}},
    };
    const auto phase = phases.find(wishes_.phase);
    must(phase != phases.end(), "there is no such phase");
    const auto& [count, call] = phase->second;
    if (wishes_.phase == "write") {
      co_await work_.remove(kStream);
      co_await work_.flush();
    }
    work_.prepare(std::max(io, *std::max_element(wishes_.sizes.begin(), wishes_.sizes.end())));
    written_before_ = told_by("/proc/self/io", "write_bytes");
    cpu_before_ = cpu_seconds();
    waited_before_ = waited_seconds();
    const auto begin = Clock::now();
    if (count != 0) co_await work_.all(count, call);
    count_ = count;
    seconds_ = seconds_since(begin);
    waited_ = waited_seconds() - waited_before_;
    if (wishes_.phase == "killed") std::raise(SIGKILL);
    co_await work_.flush();
    seconds_flushed_ = seconds_since(begin);
    cpu_ = cpu_seconds() - cpu_before_;
    written_ = told_by("/proc/self/io", "write_bytes") - written_before_;
  }

  void print() const {
    std::printf(
        "\"operations\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"seconds_flushed\": %.6f, \"cpu_seconds\": %.6f, "
        "\"waited_seconds\": %.6f, \"written\": %llu, ",
        static_cast<unsigned long long>(count_), static_cast<unsigned long long>(work_.bytes()), seconds_,
        seconds_flushed_, cpu_, waited_, static_cast<unsigned long long>(written_));
  }

 private:
  std::uint64_t size_of(std::uint64_t number) const { return wishes_.sizes[number % wishes_.sizes.size()]; }
  Task<std::uint64_t> write_object(std::uint64_t number, std::uint8_t* memory) {
    return work_.write(object_id(number), 0, memory, size_of(number));
  }

  Work work_;
  const Wishes& wishes_;
  Draw draw_;
  std::uint64_t count_ = 0;
  double seconds_ = 0;
  double seconds_flushed_ = 0;
  double cpu_before_ = 0;
  double cpu_ = 0;
  double waited_before_ = 0;
  double waited_ = 0;
  std::uint64_t written_before_ = 0;
  std::uint64_t written_ = 0;
};

void print_memory(const char* name, const char* after) {
  std::printf("\"%s_own_kib\": %llu, \"%s_mapped_kib\": %llu%s", name,
              static_cast<unsigned long long>(told_by("/proc/self/status", "RssAnon")), name,
              static_cast<unsigned long long>(told_by("/proc/self/status", "RssFile")), after);
}

Task<> drive(RealRuntime& runtime, const PluginCatalog& catalog, const Wishes& wishes) {
  HostedStore store(runtime, catalog, wishes.store);
  const auto begin = Clock::now();
  const double cpu = cpu_seconds();
  co_await store.start();
  std::printf("{\"phase\": \"%s\", \"start_seconds\": %.6f, \"start_cpu_seconds\": %.6f, ", wishes.phase.c_str(),
              seconds_since(begin), cpu_seconds() - cpu);
  print_memory("started", ", ");
  Phase phase(runtime, store.objects(), wishes);
  co_await phase.run();
  phase.print();
  print_memory("ended", "}\n");
  co_await store.stop();
}

}  // namespace
}  // namespace rideau

int main(int count, char** arguments) {
  rideau::Wishes wishes;
  CLI::App app("One phase of work on a block-device store.", "rideau-bench-store");
  app.add_option("phase", wishes.phase, "what is done; the first lines of store_bench.cpp tell")->required();
  app.add_option("folder", wishes.store.folder, "where the index is")->required();
  app.add_option("--set", wishes.store.settings, "KEY=VALUE of the store; may be said again")->allow_extra_args(false);
  app.add_option("--depth", wishes.depth, "calls under way")->check(CLI::Range(1, 1024));
  app.add_option("--count", wishes.count, "calls, where the phase does not say");
  app.add_option("--io", wishes.io_bytes, "bytes of a call")->check(CLI::Range(1, 1 << 20));
  app.add_option("--mib", wishes.mib, "of the one object");
  app.add_option("--objects", wishes.objects, "that there are");
  app.add_option("--first", wishes.first, "of the objects that are made");
  app.add_option("--sizes", wishes.sizes, "of objects, in turn")->delimiter(',');
  app.add_option("--flush-every", wishes.flush_every, "so many writes");
  CLI11_PARSE(app, count, arguments);
  rideau::CatalogOptions options;
  options.folders = rideau::default_plugin_folders();
  const rideau::PluginCatalog catalog(options);
  rideau::RealRuntime runtime({60'000, 4});  // as servers do unless their configuration says otherwise
  runtime.run(rideau::drive(runtime, catalog, wishes));
  return 0;
}
