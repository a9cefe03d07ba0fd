// SPDX-License-Identifier: Apache-2.0
// The workload of the first figures: phases of equal calls by some processes in a folder each, one line of JSON a
// phase.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr std::size_t kSmallBytes = 4096;
constexpr std::size_t kRequestBytes = 1 << 20;
constexpr int kProcessesMax = 64;
constexpr long kRandomReads = 8000;

const char kUsage[] =
    "usage: rideau-bench-load FOLDER [--processes N] [--files N] [--mib N] [--phases A,B,...]\n"
    "  files are those of each process; the file of the sequential phases has MIB MiB\n"
    "  phases: create stat_cold stat_cached unlink small_write small_read open_cached small_unlink\n"
    "          seq_write (with seq_write_synced) seq_read random_read seq_unlink\n";

struct Options {
  std::string folder;
  int processes = 1;
  long files = 1000;
  long mib = 64;
  std::string phases =
      "create,stat_cold,stat_cached,unlink,small_write,small_read,open_cached,small_unlink,seq_write,seq_read,random_"
      "read,"
      "seq_unlink";
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "rideau-bench-load: %s: %s\n", what.c_str(), std::strerror(errno));
  _exit(1);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// What the kernel remembers of names, attributes and pages is forgotten; only root may, and the line says whether it
// was.
bool drop_kernel_caches() {
  const int file = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool dropped = ::write(file, "3", 1) == 1;
  ::close(file);
  return dropped;
}

// On virtual machines the first touch of memory may cost more than all the rest: free pages go back to the host. Pages
// for every copy that a sequential phase keeps (the kernel's twice, a client's) are touched before it, on any side.
void warm_memory(long mib) {
  const long available = ::sysconf(_SC_AVPHYS_PAGES) / (static_cast<long>(kRequestBytes) / ::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = static_cast<std::size_t>(std::min(3 * mib, available / 2)) * kRequestBytes;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory != MAP_FAILED) ::munmap(memory, bytes);
}

std::string folder_of(const Options& options, int process) { return options.folder + "/p" + std::to_string(process); }

std::string file_of(const Options& options, int process, long number, const char* kind) {
  return folder_of(options, process) + "/" + kind + std::to_string(number);
}

const std::vector<char>& bytes_to_write() {
  // Not zeroes: nothing on the way shall find them easy.
  static const std::vector<char> bytes = [] {
    std::vector<char> made(kRequestBytes);
    unsigned state = 1;
    for (char& byte : made) {
      state = state * 1664525u + 1013904223u;
      byte = static_cast<char>(state >> 24);
    }
    return made;
  }();
  return bytes;
}

void create_one(const std::string& path, std::size_t size) {
  const int file = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (file < 0) fail("create " + path);
  if (size > 0 && ::write(file, bytes_to_write().data(), size) != static_cast<ssize_t>(size)) fail("write " + path);
  if (::close(file) != 0) fail("close " + path);
}

void read_one(const std::string& path) {
  char room[kSmallBytes];
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("open " + path);
  if (::read(file, room, sizeof room) != static_cast<ssize_t>(sizeof room)) fail("read " + path);
  if (::close(file) != 0) fail("close " + path);
}

void stat_one(const std::string& path) {
  struct stat attributes {};
  if (::lstat(path.c_str(), &attributes) != 0) fail("stat " + path);
}

void unlink_one(const std::string& path) {
  if (::unlink(path.c_str()) != 0) fail("unlink " + path);
}

struct Times {
  double begin = 0;
  double end = 0;
};

// Written by the processes of a phase, read by the one that waits for them.
struct Shared {
  int ready = 0;
  int go = 0;
  Times times[kProcessesMax];
};

Shared* shared_memory() {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return new (memory) Shared;
}

// Runs `work` in every process at the same time; the seconds from the first start to the last end.
double in_processes(int processes, const std::function<void(int)>& work) {
  Shared* shared = shared_memory();
  bytes_to_write();
  std::vector<pid_t> children;
  for (int process = 0; process < processes; ++process) {
    const pid_t child = ::fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      __atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST) == 0) ::usleep(100);
      shared->times[process].begin = now();
      work(process);
      shared->times[process].end = now();
      _exit(0);
    }
    children.push_back(child);
  }
  while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < processes) ::usleep(100);
  __atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
  bool failed = false;
  for (const pid_t child : children) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) failed = true;
  }
  if (failed) _exit(1);
  Times all = shared->times[0];
  for (int process = 1; process < processes; ++process) {
    all.begin = std::min(all.begin, shared->times[process].begin);
    all.end = std::max(all.end, shared->times[process].end);
  }
  ::munmap(shared, sizeof *shared);
  return all.end - all.begin;
}

void report(const Options& options, const char* phase, long operations, double seconds, bool dropped) {
  std::printf(
      "{\"phase\": \"%s\", \"processes\": %d, \"operations\": %ld, \"seconds\": %.6f, \"dropped_caches\": %s}\n", phase,
      options.processes, operations, seconds, dropped ? "true" : "false");
  std::fflush(stdout);
}

using OneFile = std::function<void(const std::string&)>;

void each_file(const Options& options, const char* phase, const char* kind, bool cold, const OneFile& work) {
  const bool dropped = cold && drop_kernel_caches();
  const double seconds = in_processes(options.processes, [&](int process) {
    for (long number = 0; number < options.files; ++number) work(file_of(options, process, number, kind));
  });
  report(options, phase, options.files * options.processes, seconds, dropped);
}

void sequential_write(const Options& options) {
  const std::string path = options.folder + "/sequential";
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (file < 0) fail("create " + path);
  const std::vector<char>& bytes = bytes_to_write();
  warm_memory(options.mib);
  const double begin = now();
  for (long mib = 0; mib < options.mib; ++mib) {
    if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) fail("write " + path);
  }
  const double written = now();
  if (::fsync(file) != 0) fail("fsync " + path);
  const double durable = now();
  if (::close(file) != 0) fail("close " + path);
  report(options, "seq_write", options.mib, written - begin, false);
  report(options, "seq_write_synced", options.mib, durable - begin, false);
}

void sequential_read(const Options& options) {
  const std::string path = options.folder + "/sequential";
  const bool dropped = drop_kernel_caches();
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("open " + path);
  std::vector<char> room(kRequestBytes);
  warm_memory(options.mib);
  const double begin = now();
  for (long mib = 0; mib < options.mib; ++mib) {
    if (::read(file, room.data(), room.size()) != static_cast<ssize_t>(room.size())) fail("read " + path);
  }
  report(options, "seq_read", options.mib, now() - begin, dropped);
  ::close(file);
}

// Pages of the file in an order of chance, without the kernel's read-ahead, as a database reads.
void random_read(const Options& options) {
  const std::string path = options.folder + "/sequential";
  const bool dropped = drop_kernel_caches();
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("open " + path);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
  const auto pages = static_cast<unsigned long>(options.mib) * (kRequestBytes / kSmallBytes);
  char room[kSmallBytes];
  unsigned long state = 1;
  const double begin = now();
  for (long number = 0; number < kRandomReads; ++number) {
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    const auto offset = static_cast<off_t>((state >> 33) % pages * kSmallBytes);
    if (::pread(file, room, sizeof room, offset) != static_cast<ssize_t>(sizeof room)) fail("read " + path);
  }
  report(options, "random_read", kRandomReads, now() - begin, dropped);
  ::close(file);
}

bool run_phase(const Options& options, const std::string& phase) {
  if (phase == "create") {
    each_file(options, "create", "f", false, [](const std::string& path) { create_one(path, 0); });
  } else if (phase == "stat_cold") {
    each_file(options, "stat_cold", "f", true, stat_one);
  } else if (phase == "stat_cached") {
    each_file(options, "stat_cached", "f", false, stat_one);
  } else if (phase == "unlink") {
    each_file(options, "unlink", "f", false, unlink_one);
  } else if (phase == "small_write") {
    each_file(options, "small_write", "s", false, [](const std::string& path) { create_one(path, kSmallBytes); });
  } else if (phase == "small_read") {
    each_file(options, "small_read", "s", true, read_one);
  } else if (phase == "open_cached") {
    each_file(options, "open_cached", "s", false, read_one);
  } else if (phase == "small_unlink") {
    each_file(options, "small_unlink", "s", false, unlink_one);
  } else if (phase == "seq_write") {
    sequential_write(options);
  } else if (phase == "seq_read") {
    sequential_read(options);
  } else if (phase == "random_read") {
    random_read(options);
  } else if (phase == "seq_unlink") {
    unlink_one(options.folder + "/sequential");
  } else {
    return false;
  }
  return true;
}

bool parse(int count, char** words, Options* options) {
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const bool last = i + 1 == count;
    if (word.rfind("--", 0) != 0) {
      if (!options->folder.empty()) return false;
      options->folder = word;
    } else if (last) {
      return false;
    } else if (word == "--phases") {
      options->phases = words[++i];
    } else {
      char* end = nullptr;
      const long value = std::strtol(words[++i], &end, 10);
      if (*end != '\0' || value < 1 || value > 1'000'000) return false;
      if (word == "--processes" && value <= kProcessesMax) {
        options->processes = static_cast<int>(value);
      } else if (word == "--files") {
        options->files = value;
      } else if (word == "--mib") {
        options->mib = value;
      } else {
        return false;
      }
    }
  }
  return !options->folder.empty();
}

}  // namespace

int main(int count, char** words) {
  Options options;
  if (!parse(count, words, &options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (::mkdir(options.folder.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir " + options.folder);
  for (int process = 0; process < options.processes; ++process) {
    const std::string folder = folder_of(options, process);
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir " + folder);
  }
  std::size_t at = 0;
  while (at <= options.phases.size()) {
    const std::size_t comma = std::min(options.phases.find(',', at), options.phases.size());
    const std::string phase = options.phases.substr(at, comma - at);
    if (!run_phase(options, phase)) {
      std::fprintf(stderr, "rideau-bench-load: no phase \"%s\"\n%s", phase.c_str(), kUsage);
      return 2;
    }
    at = comma + 1;
  }
  return 0;
}
