// SPDX-License-Identifier: Apache-2.0
// LmdbFactory: indexes of backends/lmdb in a temporary folder.
#pragma once

#include "backends/lmdb/plugin.hpp"
#include "sdk/testkit/index_suite.hpp"
#include "tests/conformance/index_host.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace rideau {

// A folder that goes away with its object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-index-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

struct LmdbSettings {
  std::string path;
  std::int64_t map_size = std::int64_t{1} << 30;
  std::int64_t max_readers = 64;
  bool sync = true;
  bool compact = false;
};

inline Result<IndexStore*> make_lmdb(Host& host, const LmdbSettings& settings) {
  ConfigValue values[5];
  values[0].text = Text(std::string_view(settings.path));
  values[1].integer = settings.map_size;
  values[2].integer = settings.max_readers;
  values[3].integer = settings.sync ? 1 : 0;
  values[4].integer = settings.compact ? 1 : 0;
  Instance* instance = nullptr;
  const Status status = lmdb::kDescriptor.create(host, values, &instance);
  if (!status.ok()) return status;
  return static_cast<IndexStore*>(instance);
}

class LmdbFactory final : public IndexFactory {
 public:
  LmdbFactory(Host& host, std::int64_t map_size) : host_(host) {
    settings_.path = folder_.path() + "/index";
    settings_.map_size = map_size;
  }
  Result<IndexStore*> make() override { return make_lmdb(host_, settings_); }
  Status clear() override {
    std::error_code error;
    std::filesystem::remove_all(settings_.path, error);
    return error ? Status{Code::io_error, error.value(), "clear the folder"} : kOk;
  }
  std::uint64_t capabilities() const noexcept override { return lmdb::kDescriptor.capabilities; }

 private:
  TemporaryFolder folder_;
  Host& host_;
  LmdbSettings settings_;
};

}  // namespace rideau
