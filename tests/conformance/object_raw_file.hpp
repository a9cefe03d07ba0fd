// SPDX-License-Identifier: Apache-2.0
// RawFileFactory: stores of backends/raw_file in a temporary folder, with an index for their checksums or without both.
#pragma once

#include "backends/raw_file/plugin.hpp"
#include "sdk/testkit/indexed_objects.hpp"
#include "sdk/testkit/object_suite.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/index_lmdb.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace rideau {

struct RawFileSettings {
  std::string path;
  std::int64_t open_files_max = 1024;
  std::int64_t queue_depth = 64;
  std::int64_t direct_write_min = 256 << 10;  // bytes
  bool checksums = true;
};

inline Result<ObjectStore*> make_raw_file(Host& host, const RawFileSettings& settings) {
  ConfigValue values[5];
  values[0].text = Text(std::string_view(settings.path));
  values[1].integer = settings.open_files_max;
  values[2].integer = settings.queue_depth;
  values[3].integer = settings.direct_write_min;
  values[4].integer = settings.checksums ? 1 : 0;
  Instance* instance = nullptr;
  const Status status = raw_file::kDescriptor.create(host, values, &instance);
  if (!status.ok()) return status;
  return static_cast<ObjectStore*>(instance);
}

class RawFileFactory final : public ObjectFactory {
 public:
  RawFileFactory(Runtime& runtime, TestHost& host, RawFileSettings settings)
      : runtime_(runtime), host_(host), settings_(std::move(settings)) {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-objects-XXXXXX").string();
    folder_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    settings_.path = folder_ + "/store";
  }
  ~RawFileFactory() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RawFileFactory(const RawFileFactory&) = delete;
  RawFileFactory& operator=(const RawFileFactory&) = delete;

  Result<ObjectStore*> make() override {
    Result<ObjectStore*> store = make_raw_file(host_, settings_);
    if (!settings_.checksums || !store.ok()) return store;
    LmdbSettings lmdb;
    lmdb.path = index_path();
    lmdb.map_size = std::int64_t{1} << 28;
    const Result<IndexStore*> index = make_lmdb(host_, lmdb);
    if (!index.ok()) return index.status();
    host_.wire(*index);
    return new IndexedObjects(runtime_, **store, **index);
  }
  Status clear() override {
    std::error_code error;
    std::filesystem::remove_all(settings_.path, error);
    if (!error) std::filesystem::remove_all(index_path(), error);
    return error ? Status{Code::io_error, error.value(), "clear the folder"} : kOk;
  }
  std::uint64_t capabilities() const noexcept override { return raw_file::kDescriptor.capabilities; }
  const RawFileSettings& settings() const noexcept { return settings_; }
  RawFileSettings& settings() noexcept { return settings_; }
  std::string index_path() const { return folder_ + "/index"; }

 private:
  Runtime& runtime_;
  TestHost& host_;
  RawFileSettings settings_;
  std::string folder_;
};

}  // namespace rideau
