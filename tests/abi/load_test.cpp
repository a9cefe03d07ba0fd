// SPDX-License-Identifier: Apache-2.0
// Goal: a file that is no plugin for this host is refused before anything of it runs, and the message says which file,
// what was found and what was wanted (S62).
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/load.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>

using namespace rideau;

namespace {

const std::string kFolder = ABI_PLUGINS;

std::string file(const std::string& name) { return kFolder + "/rideau-" + name + ".so"; }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Expects a refusal that names the file and holds all the parts; says whether the library was loaded meanwhile.
bool refused(const std::string& name, Code code, std::initializer_list<std::string> parts) {
  setenv("RIDEAU_TEST_LOADED", "nothing", 1);
  const LoadResult result = load_plugin(file(name));
  INFO(result.message);
  CHECK_FALSE(result.ok());
  CHECK(result.descriptor == nullptr);
  CHECK(result.status.code == code);
  CHECK(contains(result.message, file(name)));
  for (const std::string& part : parts) {
    INFO(part);
    CHECK(contains(result.message, part));
  }
  return std::string(getenv("RIDEAU_TEST_LOADED")) != "nothing";
}

}  // namespace

TEST_CASE("a good plugin loads, twice to the same descriptor") {
  const LoadResult first = load_plugin(file("good"), PluginKind::index_store);
  INFO(first.message);
  REQUIRE(first.ok());
  CHECK(std::string(first.descriptor->name) == "good");
  CHECK(load_plugin(file("good")).descriptor == first.descriptor);
}

TEST_CASE("what does not fit is refused before it is loaded") {
  CHECK_FALSE(refused("missing", Code::not_found, {"No such file"}));
  const std::string here =
      "this rideau has " + std::to_string(RIDEAU_ABI_MAJOR) + "." + std::to_string(RIDEAU_ABI_MINOR);
  CHECK_FALSE(refused("old-abi", Code::refused, {"interface 0.3", here, "built again"}));
  const std::string next = std::to_string(RIDEAU_ABI_MAJOR) + "." + std::to_string(RIDEAU_ABI_MINOR + 1);
  CHECK_FALSE(refused("newer-abi", Code::refused, {"interface " + next, here, "needs a newer rideau"}));
  CHECK_FALSE(refused("other-build", Code::refused, {"some-other-world", RIDEAU_BUILD_TAG}));
  CHECK_FALSE(refused("no-note", Code::invalid, {".note.rideau"}));
}

TEST_CASE("another kind than wanted is refused before it is loaded") {
  setenv("RIDEAU_TEST_LOADED", "nothing", 1);
  const LoadResult result = load_plugin(file("slow-in-stop"), PluginKind::transport);
  CHECK(result.status.code == Code::refused);
  CHECK(contains(result.message, "kind index store; wanted transport"));
  CHECK(std::string(getenv("RIDEAU_TEST_LOADED")) == "nothing");
}

TEST_CASE("what only loading can tell is refused after it") {
  CHECK(refused("no-symbol", Code::invalid, {"does not export", RIDEAU_DESCRIPTOR_SYMBOL}));
  CHECK(refused("small-descriptor", Code::invalid, {"16 bytes", std::to_string(sizeof(PluginDescriptor))}));
  CHECK(refused("large-descriptor", Code::invalid, {"4096 bytes", std::to_string(sizeof(PluginDescriptor))}));
  CHECK(refused("other-minor", Code::invalid, {"descriptor was built for", ".77, its note says"}));
  CHECK(refused("other-kind", Code::invalid, {"descriptor says index store", "note says transport"}));
  CHECK_FALSE(refused("unresolved", Code::io_error, {"a_function_that_nobody_has"}));
}

TEST_CASE("the catalog finds by name and says what there is") {
  PluginCatalog catalog({{}, {"/nowhere/at/all", kFolder}});
  CHECK(catalog.find(PluginKind::index_store, "good").ok());
  CHECK(catalog.find(PluginKind::index_store, "minimal").ok());

  const LoadResult missing = catalog.find(PluginKind::index_store, "lmbd");
  CHECK(missing.status.code == Code::not_found);
  CHECK(contains(missing.message, "no index store plugin \"lmbd\""));
  CHECK(contains(missing.message, kFolder));
  CHECK(contains(missing.message, "good"));

  const LoadResult wrong = catalog.find(PluginKind::index_store, "old-abi");
  CHECK(wrong.status.code == Code::refused);
  CHECK(contains(wrong.message, "0.3"));

  std::size_t usable = 0;
  std::size_t unusable = 0;
  for (const PluginEntry& entry : catalog.all()) {
    CHECK((entry.descriptor == nullptr) == !entry.problem.empty());
    ++(entry.descriptor != nullptr ? usable : unusable);
  }
  CHECK(usable == 5);  // good, minimal, and those that fail later
  CHECK(unusable == 10);
}

TEST_CASE("a linked plugin is found before a file") {
  PluginDescriptor linked = *load_plugin(file("good")).descriptor;
  linked.version = "linked";
  PluginCatalog catalog({{&linked}, {kFolder}});
  CHECK(catalog.find(PluginKind::index_store, "good").descriptor == &linked);
}
