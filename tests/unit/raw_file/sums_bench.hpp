// SPDX-License-Identifier: Apache-2.0
// Stores of raw files with checksums over a simulated index, which can lose its power, in a temporary folder, whose
// files can lose what was not flushed.
#pragma once

#include "backends/raw_file/store.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/indexed_objects.hpp"
#include "sdk/testkit/object_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/sim/sim_index.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace rideau::raw_file {

using object_suite::Suite;

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class SumsFactory final : public ObjectFactory {
 public:
  SumsFactory(Runtime& runtime, std::uint64_t settle_ns) : runtime_(runtime), host_(runtime) {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-sums-XXXXXX").string();
    folder_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    settings.path = folder_ + "/store";
    settings.open_files_max = 64;
    settings.queue_depth = 16;
    settings.checksums = true;
    settings.settle_ns = settle_ns;
  }
  ~SumsFactory() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  SumsFactory(const SumsFactory&) = delete;
  SumsFactory& operator=(const SumsFactory&) = delete;

  Result<ObjectStore*> make() override {
    IndexStore* index = sim::make_sim_index(host_, disk);
    host_.wire(index);
    return new IndexedObjects(runtime_, *new RawFileStore(host_, settings), *index);
  }
  Status clear() override {
    std::filesystem::remove_all(settings.path);
    disk.clear();
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return kObjectPunches | kObjectAllocates | kObjectMaps; }

  std::string file_of(ObjectId id) const {
    char path[kPathBytes];
    object_path(id, path);
    return settings.path + "/objects/" + path;
  }
  // Of all objects; the store may be making and removing some.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    std::error_code gone;
    auto at = std::filesystem::recursive_directory_iterator(settings.path + "/objects", gone);
    for (; !gone && at != std::filesystem::end(at); at.increment(gone)) {
      std::error_code ignored;
      if (at->is_regular_file(ignored)) found[at->path().string()] = read_file(at->path().string());
    }
    return gone ? files() : found;
  }
  std::string take_log() { return host_.take_log(); }

  Settings settings;
  sim::SimIndexDisk disk;

 private:
  Runtime& runtime_;
  TestHost host_;
  std::string folder_;
};

struct SumsBench {
  RealRuntime runtime;
  SumsFactory factory;
  Report report;
  Suite suite;

  explicit SumsBench(std::uint64_t seed = 1, std::uint64_t settle_ns = 1'000'000)
      : factory(runtime, settle_ns), suite(runtime, factory, seed, report) {
    report.rule("sums");
  }
  void run(Task<> task) {
    runtime.run(std::move(task));
    report.finish();
    if (report.exit_status() != 0) report.print(stdout);
    CHECK(report.exit_status() == 0);
  }
  // Long enough for sums of what was flushed to be in the index.
  Task<> settled() { co_await sleep_for(runtime, 30'000'000); }
};

inline void flip_bit(const std::string& path, std::uint64_t offset, int bit = 2) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  REQUIRE(byte != EOF);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ (1 << bit)));
}

}  // namespace rideau::raw_file
