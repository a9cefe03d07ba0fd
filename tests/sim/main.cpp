// SPDX-License-Identifier: Apache-2.0
// rideau-sim: runs seeds of the simulated cluster on all cores, says how to repeat what failed, and makes that smaller.
#include "tests/sim/failure_story.hpp"
#include "tests/sim/hooks.hpp"
#include "tests/sim/run_seed.hpp"
#include "tests/sim/shrink.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
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
  std::string planted;
  bool marks = false;
  bool all_marks = false;
  bool shrinks = true;
};

constexpr const char* kUsage =
    "usage: rideau-sim [--seeds N] [--first S] [--seed S] [--twice] [--verbose] [--minutes M] [--jobs J] [--blocks] "
    "[--drain] [--maps] "
    "[--faults[=KIND,...]] [--marks] [--all-marks] [--bug B] [--plant B] [--only-faults N,...] [--only-calls N,...] "
    "[--no-shrink] [--lists]\n"
    "  --seeds N    runs N seeds, from S on (default 1)\n"
    "  --seed S     runs this one\n"
    "  --twice      runs each seed twice; the two must give the same hash\n"
    "  --verbose    prints an account of what happened (of the first run of each seed)\n"
    "  --minutes M  starts no new seed after that time\n"
    "  --jobs J     processes (default: one a core)\n"
    "  --blocks     object servers run the block-device store on simulated devices\n"
    "  --drain      the files of an object server move to the other one meanwhile\n"
    "  --maps       some of what is written is stored into mapped files\n"
    "  --faults     things break while the workload runs, then heal, and everybody must go on; of these kinds alone\n"
    "               where some are named (--lists says which there are)\n"
    "  --marks      says at the end which marks were hit, in how many seeds, and which were not\n"
    "  --all-marks  the same, and fails when one was not that is not rare\n"
    "  --bug B      plants a mistake above the client that must be found: keeps-names, keeps-attributes, keeps-pages,\n"
    "               drops-stores, rots-record\n"
    "  --plant B    plants a mistake in the product, and succeeds when a seed finds it (--lists says which there are)\n"
    "  --only-faults, --only-calls: a smaller run of a seed, as it is told of one that failed\n"
    "  --no-shrink  does not make failing runs smaller\n"
    "  --lists      says which kinds of faults, mistakes and marks there are\n";

bool parse_bug(const std::string& text, KernelBug* to) {
  if (text == "keeps-names") *to = KernelBug::keeps_names;
  if (text == "keeps-attributes") *to = KernelBug::keeps_attributes;
  if (text == "keeps-pages") *to = KernelBug::keeps_pages;
  if (text == "drops-stores") *to = KernelBug::drops_stores;
  if (text == "rots-record") *to = KernelBug::rots_record;
  return *to != KernelBug::none;
}

[[noreturn]] void print_lists() {
  std::printf("kinds of faults: %s\n", to_text(FaultKinds::all()).c_str());
  const auto print = [](const char* title, const HookNames& names) {
    std::printf("%s:\n", title);
    for (std::size_t i = 0; i < names.count; ++i)
      std::printf("  %-26s %s\n", names.first[i].name, names.first[i].meaning);
  };
  print("mistakes", bug_names());
  print("marks", mark_names());
  std::exit(0);
}

bool parse_flag(const std::string& word, Options* to) {
  static constexpr std::string_view kFaults = "--faults";
  if (word == "--lists") print_lists();
  if (word == "--twice") return to->twice = true;
  if (word == "--blocks") return to->run.blocks = true;
  if (word == "--drain") return to->run.drain = true;
  if (word == "--maps") return to->run.maps = true;
  if (word == "--verbose") return to->verbose = true;
  if (word == "--marks") return to->marks = true;
  if (word == "--all-marks") return to->marks = to->all_marks = true;
  if (word == "--no-shrink") {
    to->shrinks = false;
    return true;
  }
  if (word == kFaults) {
    to->run.faults = FaultKinds::usual();
    return true;
  }
  const bool names_kinds = word.starts_with(kFaults) && word.size() > kFaults.size() && word[kFaults.size()] == '=';
  return names_kinds && parse_faults(std::string_view(word).substr(kFaults.size() + 1), &to->run.faults);
}

bool parse_value(const std::string& word, const char* value, Options* to) {
  char* end = nullptr;
  if (word == "--bug") return parse_bug(value, &to->run.bug);
  if (word == "--only-faults") return parse_numbers(value, &to->run.only_faults);
  if (word == "--only-calls") return parse_numbers(value, &to->run.only_calls);
  if (word == "--plant") {
    to->planted = value;
    return plant(value);
  }
  if (word == "--minutes") {
    to->minutes = std::strtod(value, &end);
    return end != value && *end == '\0';
  }
  const std::uint64_t number = std::strtoull(value, &end, 10);
  if (end == value || *end != '\0') return false;
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
  return true;
}

bool parse(int count, char** words, Options* to) {
  for (int i = 1; i < count; ++i) {
    if (parse_flag(words[i], to)) continue;
    if (i + 1 >= count || !parse_value(words[i], words[i + 1], to)) return false;
    ++i;
  }
  // Of a mistake that is looked for it is enough that it was found.
  if (!to->planted.empty() && to->seeds != 1) to->shrinks = false;
  return to->seeds > 0;
}

// What repeats a run.
std::string command(std::uint64_t seed, const Options& options, const RunOptions& run) {
  std::string text = "./dev sim --seed " + std::to_string(seed);
  if (run.blocks) text += " --blocks";
  if (run.drain) text += " --drain";
  if (run.maps) text += " --maps";
  if (run.faults == FaultKinds::usual()) {
    text += " --faults";
  } else if (!run.faults.none()) {
    text += " --faults=" + to_text(run.faults);
  }
  if (!options.planted.empty()) text += " --plant " + options.planted;
  if (!run.only_faults.empty()) text += " --only-faults " + to_text(run.only_faults);
  if (!run.only_calls.empty()) text += " --only-calls " + to_text(run.only_calls);
  return text;
}

constexpr std::size_t kMarksMax = 128;
constexpr std::size_t kFailuresMax = 8;  // that are made smaller

// What a worker tells its parent, also when it crashes: memory that both see.
struct Progress {
  std::uint64_t seed;  // that runs now
  std::uint64_t next;  // after it
  std::uint64_t passed;
  std::uint64_t failed;
  std::uint64_t events;
  std::uint64_t calls;
  std::uint64_t undecided;
  std::uint64_t failures[kFailuresMax];  // the first seeds that failed
  std::uint64_t marks[kMarksMax];        // seeds that hit them
};

void report(std::uint64_t seed, const Options& options, const std::string& problem) {
  // One write, so that lines of several workers do not mix.
  std::string text = "seed " + std::to_string(seed) + " failed: " + problem;
  if (text.back() != '\n') text += '\n';
  text += "repeat it with: " + command(seed, options, options.run) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// What is wrong with a seed; empty: nothing.
SeedResult run_once_or_twice(std::uint64_t seed, const Options& options, const RunOptions& how, std::FILE* trace) {
  SeedResult first = run_seed(seed, how, trace);
  if (!options.twice) return first;
  const SeedResult second = run_seed(seed, how, nullptr);
  if (second.hash != first.hash || second.events != first.events) {
    first.problem += (first.problem.empty() ? "" : "\n") + std::string("two runs differ: ") +
                     std::to_string(first.events) + " events with hash " + std::to_string(first.hash) + ", then " +
                     std::to_string(second.events) + " with " + std::to_string(second.hash);
  }
  return first;
}

bool run_one(std::uint64_t seed, const Options& options, Progress& progress) {
  std::uint64_t before[kMarksMax];
  const std::size_t marks = std::min(mark_names().count, kMarksMax);
  for (std::size_t i = 0; i < marks; ++i) before[i] = mark_count(i);
  const SeedResult result = run_once_or_twice(seed, options, options.run, options.verbose ? stdout : nullptr);
  progress.events += result.events;
  progress.calls += result.calls;
  progress.undecided += result.undecided;
  for (std::size_t i = 0; i < marks; ++i) progress.marks[i] += mark_count(i) != before[i] ? 1 : 0;
  if (!result.problem.empty()) report(seed, options, result.problem);
  if (options.verbose) {
    std::printf("seed %llu: %s, hash %016llx, %llu events, %llu calls, %.3f s of virtual time\n",
                static_cast<unsigned long long>(seed), result.problem.empty() ? "passed" : "failed",
                static_cast<unsigned long long>(result.hash), static_cast<unsigned long long>(result.events),
                static_cast<unsigned long long>(result.calls), static_cast<double>(result.virtual_ns) / 1e9);
  }
  return result.problem.empty();
}

// A run in a process of its own: what is wrong with it, also when it crashes or does not end. `account`: where that
// goes; null: nowhere.
SeedResult run_apart(std::uint64_t seed, const Options& options, const RunOptions& how, std::FILE* account) {
  constexpr unsigned kSecondsMax = 120;
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    ::alarm(kSecondsMax);
    if (account != nullptr) std::setvbuf(account, nullptr, _IOLBF, 0);  // also what a crash leaves
    const SeedResult result = run_once_or_twice(seed, options, how, account);
    const std::string text =
        std::to_string(result.faults_planned) + " " + std::to_string(result.calls_planned) + " " + result.problem;
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t written = ::write(ends[1], text.data() + at, text.size() - at);
      if (written <= 0) break;
      at += static_cast<std::size_t>(written);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  SeedResult result;
  if (!WIFEXITED(status)) {
    result.problem = std::string("the process died: ") + ::strsignal(WTERMSIG(status));
    return result;
  }
  char* at = nullptr;
  result.faults_planned = static_cast<std::uint32_t>(std::strtoul(text.c_str(), &at, 10));
  result.calls_planned = static_cast<std::uint32_t>(std::strtoul(at, &at, 10));
  if (*at == ' ') result.problem = at + 1;
  return result;
}

// What went on while the call that shows the failure was under way.
void print_story(std::uint64_t seed, const Options& options, const RunOptions& how) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> account(std::tmpfile(), &std::fclose);
  if (account == nullptr) return;
  const SeedResult failed = run_apart(seed, options, how, account.get());
  std::string text;
  char buffer[65536];
  std::rewind(account.get());
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, account.get())) text.append(buffer, got);
  std::printf("what happened meanwhile, in seconds:\n%s", tell_failure(text, failed.problem).c_str());
}

void make_smaller(std::uint64_t seed, const Options& options) {
  constexpr std::uint32_t kRunsMax = 300;
  SeedResult failed = run_apart(seed, options, options.run, nullptr);
  if (failed.problem.empty()) {
    std::printf("seed %llu did not fail when it was run again\n", static_cast<unsigned long long>(seed));
    return;
  }
  // A run that crashed could not say how much was planned; more than there is does no harm.
  if (failed.calls_planned == 0) failed.calls_planned = 128;
  if (failed.faults_planned == 0 && !options.run.faults.none()) failed.faults_planned = 6;
  const auto again = [&](const RunOptions& how) { return run_apart(seed, options, how, nullptr).problem; };
  Shrunk shrunk = shrink(options.run, failed, kRunsMax, again);
  while (shrunk.problem.ends_with('\n')) shrunk.problem.pop_back();
  std::printf("seed %llu fails in the same way with %zu faults and %zu calls (%u runs): %s\nrepeat it with: %s\n",
              static_cast<unsigned long long>(seed), shrunk.faults, shrunk.calls, shrunk.runs, shrunk.problem.c_str(),
              command(seed, options, shrunk.how).c_str());
  print_story(seed, options, shrunk.how);
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
      note_failure(progress_[index]);
      pids[index] = start(index);
    }
    return summary();
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  static void note_failure(Progress& mine) {
    if (mine.failed < kFailuresMax) mine.failures[mine.failed] = mine.seed;
    ++mine.failed;
  }

  // A mistake that was planted is to be found once.
  bool found() const {
    const auto failed = [](const Progress& one) { return one.failed != 0; };
    return !options_.planted.empty() && std::any_of(progress_, progress_ + count_, failed);
  }

  pid_t start(std::size_t index) {
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    Progress& mine = progress_[index];
    const std::uint64_t end = options_.first + options_.seeds;
    while (mine.next < end && !found() && (options_.minutes == 0 || seconds() < options_.minutes * 60)) {
      mine.seed = mine.next;
      mine.next += count_;
      if (run_one(mine.seed, options_, mine)) {
        ++mine.passed;
      } else {
        note_failure(mine);
      }
    }
    std::fflush(stdout);
    ::_exit(0);
  }

  int summary() {
    Progress all{};
    std::vector<std::uint64_t> failures;
    for (std::size_t i = 0; i < count_; ++i) {
      const Progress& one = progress_[i];
      all.passed += one.passed;
      all.failed += one.failed;
      all.events += one.events;
      all.calls += one.calls;
      all.undecided += one.undecided;
      for (std::size_t mark = 0; mark < kMarksMax; ++mark) all.marks[mark] += one.marks[mark];
      failures.insert(failures.end(), one.failures, one.failures + std::min<std::uint64_t>(one.failed, kFailuresMax));
    }
    const double took = seconds();
    if (options_.shrinks && options_.run.bug == KernelBug::none) {
      if (failures.size() > kFailuresMax) failures.resize(kFailuresMax);
      for (const std::uint64_t seed : failures) make_smaller(seed, options_);
    }
    const bool hit_all = !options_.marks || tell_marks(all);
    if (all.undecided != 0) {
      std::printf("%llu histories of names are too large to tell whether they are right\n",
                  static_cast<unsigned long long>(all.undecided));
    }
    std::printf("%llu seeds passed, %llu failed%s (%llu calls, %llu events, %.1f s)\n",
                static_cast<unsigned long long>(all.passed), static_cast<unsigned long long>(all.failed),
                options_.twice ? ", each run twice" : "", static_cast<unsigned long long>(all.calls),
                static_cast<unsigned long long>(all.events), took);
    if (!options_.planted.empty()) {
      std::printf("%s was %s\n", options_.planted.c_str(), all.failed != 0 ? "found" : "not found");
      return all.failed != 0 ? 0 : 1;
    }
    return all.failed == 0 && (hit_all || !options_.all_marks) ? 0 : 1;
  }

  // Whether all were hit that are not rare.
  static bool tell_marks(const Progress& all) {
    const HookNames names = mark_names();
    std::string missed;
    bool all_hit = true;
    for (std::size_t i = 0; i < names.count; ++i) {
      if (all.marks[i] == 0) {
        all_hit = all_hit && names.first[i].rare;
        missed += std::string(names.first[i].rare ? "  (rare) " : "  ") + names.first[i].name + ": " +
                  names.first[i].meaning + "\n";
      } else {
        std::printf("%8llu seeds hit %s\n", static_cast<unsigned long long>(all.marks[i]), names.first[i].name);
      }
    }
    if (!missed.empty()) std::printf("not hit:\n%s", missed.c_str());
    return all_hit;
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
  // So that the account of a run that crashes is whole.
  if (options.verbose) std::setvbuf(stdout, nullptr, _IOLBF, 0);
  rideau::sim::Workers workers(options);
  return workers.run();
}
