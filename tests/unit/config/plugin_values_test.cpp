// SPDX-License-Identifier: Apache-2.0
// Goal: a plugin gets one value for each of its keys, in their order, of their type and in their range; everything else
// is a problem at its line.
#include "framework/config/plugin_values.hpp"
#include "framework/plugin_host/catalog.hpp"

#include <catch2/catch.hpp>

using namespace rideau;

namespace {

const ConfigKey kKeys[] = {
    {"path", KeyType::path, "", "", 0, 0, true, "folder"},
    {"map_size", KeyType::size, "bytes", "16 GiB", 1 << 20, 1ll << 46, false, "most"},
    {"wait", KeyType::duration, "ms", "250 ms", 1, 60'000, false, "how long"},
    {"readers", KeyType::integer, "", "256", 1, 1000, false, "how many"},
    {"sync", KeyType::boolean, "", "true", 0, 0, false, "durable"},
    {"label", KeyType::text, "", "none", 0, 0, false, "for people"},
    {"log", KeyType::path, "", "", 0, 0, false, "empty: none"},
};

Status create(Host&, const ConfigValue*, Instance**) noexcept { return {Code::unsupported, 0, "create"}; }

PluginDescriptor descriptor() {
  PluginDescriptor made;
  made.kind = PluginKind::index_store;
  made.name = "lmdb";
  made.version = "1";
  made.summary = "for tests";
  made.keys = kKeys;
  made.key_count = std::size(kKeys);
  made.create = create;
  return made;
}

RawValue raw(const char* key, std::uint32_t line, RawValue::Kind kind, const char* text, std::int64_t integer = 0) {
  RawValue value;
  value.key = key;
  value.line = line;
  value.kind = kind;
  value.text = text;
  value.integer = integer;
  return value;
}

PluginChoice choice(std::vector<RawValue> values) {
  PluginChoice made;
  made.kind = PluginKind::index_store;
  made.plugin = "lmdb";
  made.key = "node.mds0.index";
  made.line = 10;
  made.values = std::move(values);
  return made;
}

using Kind = RawValue::Kind;

}  // namespace

TEST_CASE("values are typed and in the order of the keys") {
  PluginValues values;
  std::vector<Problem> problems;
  const PluginChoice chosen = choice({raw("sync", 14, Kind::boolean, "", 0), raw("path", 11, Kind::text, "here"),
                                      raw("map_size", 12, Kind::text, "1 GiB"), raw("wait", 13, Kind::text, "5 s"),
                                      raw("log", 15, Kind::text, "/abs")});
  REQUIRE(check_plugin_values(descriptor(), chosen, "f", "/cfg", &values, &problems));
  REQUIRE(values.size() == std::size(kKeys));
  PluginValues moved = std::move(values);  // the texts stay where they are
  CHECK(moved[0].text.view() == "/cfg/here");
  CHECK(moved[1].integer == 1 << 30);
  CHECK(moved[2].integer == 5000);
  CHECK(moved[3].integer == 256);
  CHECK(moved[4].integer == 0);
  CHECK(moved[5].text.view() == "none");
  CHECK(moved[6].text.view() == "/abs");
}

TEST_CASE("defaults fill what the file leaves out; a target gives the path") {
  PluginValues values;
  std::vector<Problem> problems;
  PluginChoice chosen = choice({});
  chosen.default_path = "/data/index";
  REQUIRE(check_plugin_values(descriptor(), chosen, "f", "/cfg", &values, &problems));
  CHECK(values[0].text.view() == "/data/index");
  CHECK(values[1].integer == 16ll << 30);
  CHECK(values[2].integer == 250);
  CHECK(values[4].integer == 1);
  CHECK(values[6].text.view().empty());
}

TEST_CASE("all problems at once") {
  PluginValues values;
  std::vector<Problem> problems;
  const PluginChoice chosen =
      choice({raw("map_size", 12, Kind::text, "1 KiB"), raw("wait", 13, Kind::text, "1 us"),
              raw("readers", 14, Kind::text, "7"), raw("sync", 15, Kind::integer, "", 1),
              raw("label", 16, Kind::other, "a list"), raw("maxreaders", 17, Kind::integer, "", 1),
              raw("redaers", 18, Kind::integer, "", 1)});
  CHECK_FALSE(check_plugin_values(descriptor(), chosen, "f", "/cfg", &values, &problems));
  const std::string text = to_text(problems);
  INFO(text);
  for (const char* part :
       {"f:10: node.mds0.index.path: is missing: folder",
        "f:12: node.mds0.index.map_size: is 1 KiB; wants 1 MiB to 64 TiB",
        "f:13: node.mds0.index.wait: wants whole milliseconds",
        "f:14: node.mds0.index.readers: wants a number, not \"7\"",
        "f:15: node.mds0.index.sync: wants true or false, not 1",
        "f:16: node.mds0.index.label: wants text in quotes, not a list",
        "f:17: node.mds0.index.maxreaders: is unknown to the plugin lmdb",
        "f:18: node.mds0.index.redaers: is unknown to the plugin lmdb (did you mean \"readers\"?)"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(problems.size() == 8);
}

TEST_CASE("a cluster's plugins are checked, a missing one is one problem") {
  const PluginDescriptor lmdb = descriptor();
  PluginCatalog catalog({{&lmdb}, {}});
  NewCluster cluster;
  cluster.name = "demo";
  cluster.uuid = *parse_uuid("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  cluster.servers = {{"mds0", Role::mds, 1, {"127.0.0.1:7400"}, ""}, {"oss0", Role::oss, 2, {"127.0.0.1:7410"}, ""}};
  const ConfigResult result = parse_cluster_config(cluster_config_text(cluster), "/cfg/cluster.toml");
  REQUIRE(result.ok());
  std::vector<Problem> problems;
  check_cluster_plugins(result.config, catalog, &problems);
  const std::string text = to_text(problems);
  INFO(text);
  CHECK(problems.size() == 2);  // tcp and raw-file; lmdb is there
  CHECK(text.find("defaults.transport: no transport plugin \"tcp\"") != std::string::npos);
  CHECK(text.find("defaults.objects: no object store plugin \"raw-file\"") != std::string::npos);
}
