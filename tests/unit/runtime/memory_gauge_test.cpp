// SPDX-License-Identifier: Apache-2.0
// Goal: what the machine and its control groups leave to a process.
#include "framework/runtime/real_memory_gauge.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace rideau {
namespace {

// A root of a file system with nothing but the files that are asked.
struct Machine {
  Machine() : root(std::filesystem::temp_directory_path() / ("rideau-gauge-" + std::to_string(::getpid())) / "") {
    put("proc/meminfo", "MemTotal:        4096 kB\nMemFree:          100 kB\nMemAvailable:    3000 kB\n");
  }
  ~Machine() { std::filesystem::remove_all(root); }
  void put(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  }
  MemoryFigures read() const { return RealMemoryGauge(root).read(); }

  std::filesystem::path root;
};

}  // namespace

TEST_CASE("the machine's memory") {
  const MemoryFigures here = RealMemoryGauge().read();
  CHECK(here.total > (64u << 20));
  CHECK(here.available > 0);
  CHECK(here.available < here.total);
}

TEST_CASE("without control groups all of the machine counts") {
  Machine machine;
  CHECK(machine.read().total == 4096u << 10);
  CHECK(machine.read().available == 3000u << 10);
}

TEST_CASE("the narrowest control group counts") {
  Machine machine;
  machine.put("proc/self/cgroup", "0::/site/user\n");
  machine.put("sys/fs/cgroup/site/memory.max", "2097152\n");
  machine.put("sys/fs/cgroup/site/memory.current", "1048576\n");
  machine.put("sys/fs/cgroup/site/memory.stat", "anon 500000\ninactive_file 48576\nactive_file 1\n");
  machine.put("sys/fs/cgroup/site/user/memory.max", "max\n");
  machine.put("sys/fs/cgroup/site/user/memory.current", "1000\n");
  CHECK(machine.read().total == 2097152);
  CHECK(machine.read().available == 2097152 - 1000000);
}

TEST_CASE("what cannot be read is not known") {
  Machine machine;
  std::filesystem::remove_all(machine.root / "proc");
  CHECK(machine.read().total == 0);
  CHECK(machine.read().available == 0);
}

}  // namespace rideau
