// SPDX-License-Identifier: Apache-2.0
// rideau-sim: runs seeds of the simulated cluster on all cores, and says how to repeat what failed.
#include "tests/sim/run_seed.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rideau::sim {
namespace {

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1;
  double minutes = 0;  // 0: no limit
  bool twice = false;
  bool verbose = false;
  RunOptions run;
  unsigned jobs = 0;  // 0: one a core
};

constexpr const char* kUsage =
    "usage: rideau-sim [--seeds N] [--first S] [--seed S] [--twice] [--verbose] [--minutes M] [--jobs J] [--blocks] "
    "[--faults] [--bug B]\n"
    "  --seeds N    runs N seeds, from S on (default 1)\n"
    "  --seed S     runs this one\n"
    "  --twice      runs each seed twice; the two must give the same hash\n"
    "  --verbose    prints an account of what happened (of the first run of each seed)\n"
    "  --minutes M  starts no new seed after that time\n"
    "  --jobs J     processes (default: one a core)\n"
    "  --blocks     object servers run the block-device store on simulated devices\n"
    "  --faults     servers are killed and started again while the workload runs\n"
    "  --bug B      plants a mistake that must be found: keeps-names, keeps-attributes, keeps-pages,\n"
    "               rots-record\n";

bool parse_bug(const std::string& text, KernelBug* to) {
  if (text == "keeps-names") *to = KernelBug::keeps_names;
  if (text == "keeps-attributes") *to = KernelBug::keeps_attributes;
  if (text == "keeps-pages") *to = KernelBug::keeps_pages;
  if (text == "rots-record") *to = KernelBug::rots_record;
  return *to != KernelBug::none;
}

bool parse(int count, char** words, Options* to) {
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--twice") {
      to->twice = true;
      continue;
    }
    if (word == "--blocks") {
      to->run.blocks = true;
      continue;
    }
    if (word == "--faults") {
      to->run.faults = true;
      continue;
    }
    if (word == "--verbose") {
      to->verbose = true;
      continue;
    }
    if (i + 1 >= count) return false;
    char* end = nullptr;
    const char* value = words[++i];
    if (word == "--bug") {
      if (!parse_bug(value, &to->run.bug)) return false;
      continue;
    }
    if (word == "--minutes") {
      to->minutes = std::strtod(value, &end);
    } else {
      const std::uint64_t number = std::strtoull(value, &end, 10);
      if (word == "--seeds") {
        to->seeds = number;
      } else if (word == "--first") {
        to->first = number;
      } else if (word == "--seed") {
        to->first = number;
        to->seeds = 1;
      } else if (word == "--jobs") {
        to->jobs = static_cast<unsigned>(number);
      } else {
        return false;
      }
    }
    if (end == value || *end != '\0') return false;
  }
  return to->seeds > 0;
}

// What a worker tells its parent, also when it crashes: memory that both see.
struct Progress {
  std::uint64_t seed;  // that runs now
  std::uint64_t next;  // after it
  std::uint64_t passed;
  std::uint64_t failed;
  std::uint64_t events;
  std::uint64_t calls;
};

void report(std::uint64_t seed, const Options& options, const std::string& problem) {
  // One write, so that lines of several workers do not mix.
  std::string text = "seed " + std::to_string(seed) + " failed: " + problem;
  if (text.back() != '\n') text += '\n';
  text += std::string("repeat it with: ./dev sim ") + (options.run.blocks ? "--blocks " : "") +
          (options.run.faults ? "--faults " : "") + (options.run.blocks || options.run.faults ? "--seed " : "") +
          std::to_string(seed) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

bool run_one(std::uint64_t seed, const Options& options, Progress& progress) {
  const SeedResult first = run_seed(seed, options.run, options.verbose ? stdout : nullptr);
  std::string problem = first.problem;
  progress.events += first.events;
  progress.calls += first.calls;
  if (options.twice) {
    const SeedResult second = run_seed(seed, options.run, nullptr);
    if (second.hash != first.hash || second.events != first.events) {
      problem += (problem.empty() ? "" : "\n") + std::string("two runs differ: ") + std::to_string(first.events) +
                 " events with hash " + std::to_string(first.hash) + ", then " + std::to_string(second.events) +
                 " with " + std::to_string(second.hash);
    }
  }
  if (!problem.empty()) report(seed, options, problem);
  if (options.verbose) {
    std::printf("seed %llu: %s, hash %016llx, %llu events, %llu calls, %.3f s of virtual time\n",
                static_cast<unsigned long long>(seed), problem.empty() ? "passed" : "failed",
                static_cast<unsigned long long>(first.hash), static_cast<unsigned long long>(first.events),
                static_cast<unsigned long long>(first.calls), static_cast<double>(first.virtual_ns) / 1e9);
  }
  return problem.empty();
}

class Workers {
 public:
  explicit Workers(const Options& options) : options_(options), began_(Clock::now()) {
    unsigned jobs = options.jobs != 0 ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
    count_ = static_cast<std::size_t>(std::min<std::uint64_t>(jobs, options.seeds));
    void* memory =
        ::mmap(nullptr, count_ * sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    progress_ = static_cast<Progress*>(memory);
  }

  int run() {
    std::vector<pid_t> pids(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      progress_[i].next = options_.first + i;
      pids[i] = start(i);
    }
    std::size_t alive = count_;
    while (alive > 0) {
      int status = 0;
      const pid_t pid = ::wait(&status);
      const auto found = std::find(pids.begin(), pids.end(), pid);
      if (found == pids.end()) continue;
      const auto index = static_cast<std::size_t>(found - pids.begin());
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        --alive;
        continue;
      }
      report(progress_[index].seed, options_,
             WIFSIGNALED(status) ? std::string("the process died: ") + ::strsignal(WTERMSIG(status))
                                 : "the process ended with status " + std::to_string(WEXITSTATUS(status)));
      ++progress_[index].failed;
      pids[index] = start(index);
    }
    return summary();
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  pid_t start(std::size_t index) {
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    Progress& mine = progress_[index];
    const std::uint64_t end = options_.first + options_.seeds;
    while (mine.next < end && (options_.minutes == 0 || seconds() < options_.minutes * 60)) {
      mine.seed = mine.next;
      mine.next += count_;
      if (run_one(mine.seed, options_, mine)) {
        ++mine.passed;
      } else {
        ++mine.failed;
      }
    }
    std::fflush(stdout);
    ::_exit(0);
  }

  int summary() {
    Progress all{};
    for (std::size_t i = 0; i < count_; ++i) {
      all.passed += progress_[i].passed;
      all.failed += progress_[i].failed;
      all.events += progress_[i].events;
      all.calls += progress_[i].calls;
    }
    std::printf("%llu seeds passed, %llu failed%s (%llu calls, %llu events, %.1f s)\n",
                static_cast<unsigned long long>(all.passed), static_cast<unsigned long long>(all.failed),
                options_.twice ? ", each run twice" : "", static_cast<unsigned long long>(all.calls),
                static_cast<unsigned long long>(all.events), seconds());
    return all.failed == 0 ? 0 : 1;
  }

  const Options& options_;
  const Clock::time_point began_;
  std::size_t count_ = 0;
  Progress* progress_ = nullptr;
};

}  // namespace
}  // namespace rideau::sim

int main(int count, char** words) {
  rideau::sim::Options options;
  if (!rideau::sim::parse(count, words, &options)) {
    std::fputs(rideau::sim::kUsage, stderr);
    return 2;
  }
  rideau::sim::Workers workers(options);
  return workers.run();
}
