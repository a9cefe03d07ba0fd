// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/hosted_store.hpp"

#include "framework/node/open_plugin.hpp"
#include "tests/bench/measuring.hpp"

namespace rideau {
namespace {

std::unique_ptr<PluginInstance> open(RealRuntime& runtime, Logger& log, const PluginCatalog& catalog,
                                     const PluginChoice& choice, PluginInstance* index) {
  ClusterConfig nothing;
  nothing.file = "rideau-bench-store";
  nothing.folder = ".";
  OpenedPlugin opened = open_plugin(runtime, log, catalog, nothing, choice, choice.plugin, index);
  must(opened.instance != nullptr, opened.problem.c_str());
  return std::move(opened.instance);
}

PluginChoice choice_of(PluginKind kind, const char* plugin, const std::string& path,
                       const std::vector<std::string>& settings) {
  PluginChoice choice;
  choice.kind = kind;
  choice.plugin = plugin;
  choice.key = plugin;
  choice.values = raw_values(settings);
  choice.default_path = path;
  return choice;
}

}  // namespace

HostedStore::HostedStore(RealRuntime& runtime, const PluginCatalog& catalog, const HostedStoreOptions& options)
    : log_(make_stderr_logger("bench", Level::warning)) {
  index_ =
      open(runtime, *log_, catalog, choice_of(PluginKind::index_store, "lmdb", options.folder + "/index", {}), nullptr);
  store_ = open(runtime, *log_, catalog,
                choice_of(PluginKind::object_store, "block-device", options.folder + "/objects", options.settings),
                index_.get());
}

Task<> HostedStore::start() {
  const Status index = co_await index_->start();
  must(index.ok(), index_->message().c_str());
  const Status store = co_await store_->start();
  must(store.ok(), store_->message().c_str());
}

Task<> HostedStore::stop() {
  const Status store = co_await store_->stop();
  must(store.ok(), "the store does not stop");
  const Status index = co_await index_->stop();
  must(index.ok(), "the index does not stop");
}

}  // namespace rideau
