// SPDX-License-Identifier: Apache-2.0
// Goal: a cluster.toml gives exactly what it says, defaults included; every mistake in it is reported at once with its
// line and key, and with the nearest word that would have been right (S61).
#include "framework/config/cluster_config.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

using namespace rideau;

namespace {

constexpr const char* kGood = R"(
[cluster]
name = "demo"
uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

[defaults]
stripe_count = 2
stripe_size = "4 MiB"
locks_max = 5000
spin = "20 us"

[defaults.transport]
plugin = "tcp"
eager_bytes = "16 KiB"

[client]
cache = "512 MiB"
dirty_age = "2 s"
cached_inodes = 4096

[node.mds0]
roles = ["mds"]
id = 1
listen = "127.0.0.1:7400"
data = "mds0"
index = { plugin = "lmdb", map_size = "1 GiB", sync = true }

[node.oss0]
roles = ["oss"]
listen = ["0.0.0.0:7410", "0.0.0.0:7411"]
address = ["10.0.0.1:7410", "10.0.0.1:7411"]
log_level = "debug"
events = false
transport = ["zmq", "tcp"]

[[node.oss0.target]]
id = 2
data = "/srv/a"

[[node.oss0.target]]
id = 3
data = "/srv/b"
objects = "block-device"

[node.client0]
roles = ["client"]
client = { cache = "1 GiB", default_permissions = true }
)";

std::string problems_of(const std::string& text) {
  const ConfigResult result = parse_cluster_config(text, "/cfg/cluster.toml");
  return to_text(result.problems);
}

// The text with one piece replaced; the piece must be there.
std::string changed(const std::string& piece, const std::string& with) {
  std::string text = kGood;
  const std::size_t at = text.find(piece);
  REQUIRE(at != std::string::npos);
  return text.replace(at, piece.size(), with);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a good file gives what it says") {
  const ConfigResult result = parse_cluster_config(kGood, "/cfg/cluster.toml");
  INFO(to_text(result.problems));
  REQUIRE(result.ok());
  const ClusterConfig& config = result.config;
  CHECK(config.name == "demo");
  CHECK(to_text(config.uuid) == "6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  CHECK(config.stripe_count == 2);
  CHECK(config.stripe_size == 4u << 20);
  CHECK(config.locks_max == 5000);
  CHECK(config.any_client.client.cached_inodes == 4096);
  REQUIRE(config.nodes.size() == 3);
  CHECK(config.nodes[0].name == "mds0");
  CHECK(config.nodes[2].name == "client0");

  const NodeConfig& mds = *config.find("mds0");
  CHECK(mds.has(Role::mds));
  CHECK_FALSE(mds.has(Role::oss));
  CHECK(mds.ways.at(0).listen == "127.0.0.1:7400");
  CHECK(mds.ways.at(0).address == "127.0.0.1:7400");
  CHECK(mds.data == "/cfg/mds0");
  CHECK(mds.spin_ns == 20'000);
  CHECK(mds.ways.at(0).transport.plugin == "tcp");
  REQUIRE(mds.ways.at(0).transport.values.size() == 1);
  CHECK(mds.ways.at(0).transport.values[0].key == "eager_bytes");
  CHECK(mds.ways.at(0).transport.values[0].line == 14);
  REQUIRE(mds.targets.size() == 1);
  CHECK(mds.targets[0].id == 1);
  CHECK(mds.targets[0].role == Role::mds);
  CHECK(mds.targets[0].data == "/cfg/mds0");
  CHECK(mds.targets[0].index.plugin == "lmdb");
  CHECK(mds.targets[0].index.values.size() == 2);
  CHECK(mds.targets[0].index.default_path == "/cfg/mds0/index");

  const NodeConfig& oss = *config.find("oss0");
  CHECK(oss.ways.at(0).address == "10.0.0.1:7410");
  CHECK(oss.log_level == Level::debug);
  CHECK(mds.events);
  CHECK_FALSE(oss.events);
  CHECK(oss.ways.at(0).transport.plugin == "zmq");
  CHECK(oss.ways.at(0).transport.values.empty());  // those were tcp's
  REQUIRE(oss.ways.size() == 2);
  CHECK(oss.ways[1].transport.plugin == "tcp");
  CHECK(oss.ways[1].transport.values.size() == 1);
  CHECK(oss.ways[1].listen == "0.0.0.0:7411");
  CHECK(oss.ways[1].address == "10.0.0.1:7411");
  REQUIRE(oss.targets.size() == 2);
  CHECK(oss.targets[0].objects.plugin == "raw-file");
  CHECK(oss.targets[0].objects.default_path == "/srv/a/objects");
  CHECK(oss.targets[1].objects.plugin == "block-device");
  CHECK(oss.targets[1].id == 3);

  CHECK(config.find("client0")->client.cache_bytes == 1u << 30);
  CHECK(config.find("client0")->client.dirty_age_ms == 2000);
  CHECK(config.find("client0")->client.default_permissions);
  CHECK_FALSE(config.any_client.client.default_permissions);
  CHECK(config.any_client.client.cache_bytes == 512u << 20);
  CHECK(config.any_client.ways.at(0).transport.plugin == "tcp");
  CHECK(config.find("nobody") == nullptr);
}

TEST_CASE("every mistake is one line with file, line and key") {
  const std::string text = problems_of(R"([cluster]
name = "de mo"
uuid = "no"
[defaults]
stripe_cuont = 1
stripe_size = "100 KiB"
spin = 20
[node.mds0]
roles = ["msd"]
id = 0
listen = "127.0.0.1:0"
data = 7
[node.oss0]
role = ["oss"]
)");
  INFO(text);
  const char* expected[] = {
      "/cfg/cluster.toml:2: cluster.name: wants letters",
      "/cfg/cluster.toml:3: cluster.uuid: wants a UUID",
      "/cfg/cluster.toml:5: defaults.stripe_cuont: is unknown here (did you mean \"stripe_count\"?)",
      "/cfg/cluster.toml:6: defaults.stripe_size: wants a multiple of 64 KiB",
      "/cfg/cluster.toml:7: defaults.spin: wants a duration with its unit",
      "/cfg/cluster.toml:9: node.mds0.roles: has no role \"msd\" (did you mean \"mds\"?)",
      "/cfg/cluster.toml:10: node.mds0.id: is 0; wants 1 to",
      "/cfg/cluster.toml:8: node.mds0.listen: wants a fixed port",
      "/cfg/cluster.toml:12: node.mds0.data: wants text in quotes, not a number",
      "/cfg/cluster.toml:13: node.oss0.roles: is missing",
      "/cfg/cluster.toml:14: node.oss0.role: is unknown here (did you mean \"roles\"?)",
  };
  for (const char* part : expected) {
    INFO(part);
    CHECK(contains(text, part));
  }
}

TEST_CASE("what is missing is said where it belongs") {
  CHECK(contains(problems_of(""), "/cfg/cluster.toml: cluster: is missing"));
  CHECK(contains(problems_of(""), "/cfg/cluster.toml: node: is missing"));
  CHECK(contains(problems_of(changed("name = \"demo\"\n", "")), ":2: cluster.name: is missing"));
  CHECK(contains(problems_of(changed("id = 1\n", "")), "node.mds0.id: is missing"));
  CHECK(contains(problems_of(changed("listen = \"127.0.0.1:7400\"\n", "")), "node.mds0.listen: is missing"));
  CHECK(contains(problems_of(changed("data = \"mds0\"\n", "")), "node.mds0.data: is missing"));
  CHECK(contains(problems_of(changed("address = [\"10.0.0.1:7410\", \"10.0.0.1:7411\"]\n", "")),
                 "node.oss0.address: is missing"));
  CHECK(contains(problems_of(changed("roles = [\"mds\"]", "roles = [\"client\"]")), "node.mds0.id: is for nodes with"));
}

TEST_CASE("what must be unique is") {
  CHECK(contains(problems_of(changed("id = 3", "id = 1")), "target id 1 is taken by node.mds0.id in line 21"));
  CHECK(contains(problems_of(changed("\"/srv/b\"", "\"/srv/a\"")), "the folder /srv/a is taken by"));
  CHECK(contains(problems_of(changed("10.0.0.1:7410", "127.0.0.1:7400")), "the address 127.0.0.1:7400 is taken by"));
  CHECK(
      contains(problems_of(changed("roles = [\"client\"]", "roles = [\"client\", \"client\"]")), "names client twice"));
}

TEST_CASE("a cluster has one metadata server") {
  const std::string second = "\n[node.mds1]\nroles = [\"mds\"]\nid = 9\nlisten = \"127.0.0.1:7401\"\ndata = \"mds1\"\n";
  const std::string told = problems_of(kGood + second);
  INFO(told);
  CHECK(contains(told, "node.mds1.roles: mds: mds0 in line "));
  CHECK(contains(told, " is the metadata server; more than one: not in this version"));
}

TEST_CASE("a cluster that runs may get object servers, and nothing else may change") {
  const ClusterConfig before = parse_cluster_config(kGood, "/cfg/cluster.toml").config;
  const auto why_not = [&before](const std::string& text) {
    const ConfigResult after = parse_cluster_config(text, "/cfg/cluster.toml");
    INFO(to_text(after.problems));
    REQUIRE(after.ok());
    std::string why;
    const bool grown = has_grown_only(before, after.config, &why);
    CHECK(grown == why.empty());
    return why;
  };
  const auto more = [](const char* id) {
    return std::string(kGood) + "\n[node.oss9]\nroles = [\"oss\"]\nid = " + id +
           "\nlisten = \"127.0.0.1:7499\"\ndata = \"oss9\"\n";
  };
  CHECK(why_not(kGood).empty());
  CHECK(why_not(more("77")).empty());
  CHECK(contains(why_not(changed("id = 3", "id = 4")), "node.oss0 had target 3 and has it no more"));
  CHECK(contains(why_not(changed("\"10.0.0.1:7410\"", "\"10.0.0.2:7410\"")),
                 "node.oss0 was at zmq 10.0.0.1:7410, tcp 10.0.0.1:7411 and is at zmq 10.0.0.2:7410"));
  CHECK(contains(why_not(changed("[node.mds0]", "[node.mds1]")), "node.mds0 is there no more"));
  std::string why;
  ClusterConfig low = parse_cluster_config(more("77"), "/cfg/cluster.toml").config;
  low.nodes.back().targets.front().id = 0;
  CHECK_FALSE(has_grown_only(before, low, &why));
  CHECK(contains(why, "only object targets with ids above 3 may join"));
}

TEST_CASE("targets belong to pools, and those that were removed do not come back") {
  const ConfigResult good =
      parse_cluster_config(changed("id = 3", "id = 3\npools = [\"fast\", \"new\"]"), "/cfg/c.toml");
  INFO(to_text(good.problems));
  REQUIRE(good.ok());
  CHECK(good.config.find("oss0")->targets[1].pools == std::vector<std::string>{"fast", "new"});
  CHECK(good.config.find("oss0")->targets[0].pools.empty());
  CHECK(contains(problems_of(changed("id = 3", "id = 3\npools = [\"a b\"]")), "pools: wants names of letters"));
  CHECK(contains(problems_of(changed("id = 3", "id = 3\npools = [\"none\"]")), "and not \"none\""));
  CHECK(contains(problems_of(changed("id = 3", "id = 3\npools = [\"a\", \"a\"]")), "names a twice"));
  CHECK(contains(problems_of(changed("id = 3", "id = 3\npools = true")), "wants a list of names"));
  CHECK(contains(problems_of(changed("id = 1\n", "id = 1\npools = [\"a\"]\n")), "is for targets of the role oss"));
  CHECK(contains(problems_of(changed("name = \"demo\"", "name = \"demo\"\nremoved = [3]")),
                 "3 was the id of a target that was removed"));
  CHECK(contains(problems_of(changed("name = \"demo\"", "name = \"demo\"\nremoved = [\"3\"]")),
                 "cluster.removed: wants ids of object targets"));
}

TEST_CASE("a server that was drained is taken out of the file, and nothing else") {
  const std::string path = std::filesystem::temp_directory_path() / ("shrink-" + std::to_string(::getpid()) + ".toml");
  NewCluster made;
  made.name = "demo";
  made.uuid = *parse_uuid("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::string name = i == 0 ? "mds0" : "oss" + std::to_string(i - 1);
    made.servers.push_back(
        {name, i == 0 ? Role::mds : Role::oss, i + 1, {"127.0.0.1:" + std::to_string(7400 + i)}, ""});
  }
  std::string why;
  std::filesystem::remove(path);
  REQUIRE(write_cluster_config(path, made, &why));
  const ClusterConfig before = load_cluster_config(path).config;
  REQUIRE(shrink_cluster_config(path, *before.find("oss1"), &why));
  const ConfigResult after = load_cluster_config(path);
  INFO(to_text(after.problems));
  REQUIRE(after.ok());
  CHECK(after.config.removed == std::vector<std::uint32_t>{3});
  CHECK(after.config.find("oss1") == nullptr);
  CHECK(after.config.nodes.size() == before.nodes.size() - 1);
  CHECK(has_grown_only(before, after.config, &why));
  REQUIRE(shrink_cluster_config(path, *after.config.find("oss2"), &why));
  const ClusterConfig last = load_cluster_config(path).config;
  CHECK(last.removed == std::vector<std::uint32_t>{3, 4});
  // Without its only object server it would be no cluster.
  CHECK_FALSE(shrink_cluster_config(path, *last.find("oss0"), &why));
  CHECK(contains(why, "take it out by hand"));
  CHECK(load_cluster_config(path).config.find("oss0") != nullptr);
  // New ids are above those that were there, also when these are gone.
  ClusterConfig reused = last;
  reused.nodes.push_back(*before.find("oss2"));
  CHECK_FALSE(has_grown_only(last, reused, &why));
  std::filesystem::remove(path);
}

TEST_CASE("what is no TOML is one problem with its line") {
  const std::string text = problems_of("[cluster]\nname = \n");
  CHECK(contains(text, "/cfg/cluster.toml:2: not TOML"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("a file that is missing, or a folder, is a problem") {
  CHECK(contains(to_text(load_cluster_config("/nowhere/cluster.toml").problems),
                 "/nowhere/cluster.toml: cannot be read: No such"));
  CHECK(contains(to_text(load_cluster_config("/").problems), "directory"));
}

TEST_CASE("a node has several transports, and is reached by the first that both have") {
  const ConfigResult result = parse_cluster_config(R"(
[cluster]
name = "mixed"
uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
[defaults]
transport = ["rdma", { plugin = "tcp", keepalive = "3 s" }]
[node.mds0]
roles = ["mds"]
id = 1
data = "mds0"
listen = ["10.1.0.1:7500", "0.0.0.0:7400"]
address = ["10.1.0.1:7500", "10.0.0.1:7400"]
[node.oss0]
roles = ["oss"]
id = 2
data = "oss0"
transport = "tcp"
listen = "10.0.0.2:7400"
[node.oss1]
roles = ["oss"]
id = 3
data = "oss1"
listen = ["10.1.0.3:7500", ""]
[node.client0]
roles = ["client"]
[node.client1]
roles = ["client"]
transport = [{ plugin = "tcp", keepalive = "4 s" }, "rdma"]
)",
                                                   "/cfg/cluster.toml");
  INFO(to_text(result.problems));
  REQUIRE(result.ok());
  const auto way = [&](const char* from, const char* to) {
    const NodeConfig& connecting = *result.config.find(from);
    const auto chosen = ways_between(connecting, *result.config.find(to));
    REQUIRE_FALSE(chosen.empty());
    return connecting.ways.at(chosen.front().number).transport.plugin + " " + chosen.front().address;
  };
  CHECK(way("client0", "mds0") == "rdma 10.1.0.1:7500");
  CHECK(way("client0", "oss0") == "tcp 10.0.0.2:7400");
  CHECK(way("client0", "oss1") == "rdma 10.1.0.3:7500");
  CHECK(way("client1", "mds0") == "tcp 10.0.0.1:7400");
  CHECK(way("client1", "oss1") == "rdma 10.1.0.3:7500");
  CHECK(way("mds0", "oss0") == "tcp 10.0.0.2:7400");
  CHECK(result.config.find("client0")->ways.at(1).transport.values.at(0).text == "3 s");
  CHECK(result.config.find("client1")->ways.at(0).transport.values.at(0).text == "4 s");
  CHECK(result.config.find("oss0")->ways.at(0).transport.values.at(0).text == "3 s");
  CHECK(result.config.find("oss0")->ways.size() == 1);
  CHECK(result.config.any_client.ways.size() == 2);
  CHECK(ways_between(*result.config.find("client1"), *result.config.find("mds0")).size() == 2);
  CHECK(result.config.out_of_reach(result.config.any_client) == nullptr);
  const auto choice_of = [](const char* plugin) {
    PluginChoice choice;
    choice.plugin = plugin;
    return choice;
  };
  NodeConfig stranger = result.config.any_client;
  stranger.ways = {{choice_of("zmq"), {}, {}}};
  REQUIRE(result.config.out_of_reach(stranger) != nullptr);
  CHECK(result.config.out_of_reach(stranger)->name == "mds0");
  stranger.ways = {{choice_of("rdma"), {}, {}}};
  REQUIRE(result.config.out_of_reach(stranger) != nullptr);
  CHECK(result.config.out_of_reach(stranger)->name == "oss0");
}

TEST_CASE("transports that do not fit together are problems") {
  const auto problems = [](const std::string& defaults, const std::string& server, const std::string& client) {
    return to_text(parse_cluster_config("[cluster]\nname = \"m\"\nuuid = \"6ba7b810-9dad-41d1-80b4-00c04fd430c8\"\n"
                                        "[defaults]\n" +
                                            defaults + "\n[node.all0]\nroles = [\"mds\", \"oss\"]\n" + server +
                                            "\n[[node.all0.target]]\nrole = \"mds\"\nid = 1\ndata = \"a\"\n"
                                            "[[node.all0.target]]\nrole = \"oss\"\nid = 2\ndata = \"b\"\n"
                                            "[node.client0]\nroles = [\"client\"]\n" +
                                            client + "\n",
                                        "/cfg/cluster.toml")
                       .problems);
  };
  const std::string one = "listen = \"127.0.0.1:7400\"";
  CHECK(problems("", one, "") == "");
  CHECK(contains(problems("", one, "transport = \"zmq\""), "names no transport on which node.all0 listens (tcp)"));
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]", one, ""),
                 "wants a list of 2 addresses, one for each transport"));
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]", "listen = [\"127.0.0.1:7400\"]", ""), "wants 2 addresses"));
  CHECK(contains(problems("transport = [\"tcp\", \"tcp\"]", "listen = [\"a:1\", \"b:2\"]", ""), "names tcp twice"));
  CHECK(contains(problems("transport = []", one, ""), "wants one to 8 transports"));
  CHECK(contains(problems("transport = [7]", one, ""), "wants the name of a plugin or a table, not"));
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]", "listen = [\"127.0.0.1:7400\", \"127.0.0.1:7400\"]", ""),
                 "is taken by"));
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]", "listen = [\"127.0.0.1:7400\", \"0.0.0.0:7500\"]", ""),
                 "peers cannot connect"));
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]", "listen = [\"\", \"\"]", ""), "is empty"));
  CHECK(
      contains(problems("transport = [\"tcp\", \"zmq\"]",
                        "listen = [\"127.0.0.1:7400\", \"\"]\naddress = [\"127.0.0.1:7400\", \"127.0.0.1:7500\"]", ""),
               "is empty for zmq, and peers would connect to 127.0.0.1:7500"));
  // What one would not say of itself: it listens there, and nobody is told.
  CHECK(contains(problems("transport = [\"tcp\", \"zmq\"]",
                          "listen = [\"127.0.0.1:7400\", \"127.0.0.1:7500\"]\naddress = [\"127.0.0.1:7400\", \"\"]",
                          "transport = \"zmq\""),
                 "names no transport on which node.all0 listens (tcp)"));
}

TEST_CASE("what was said of a transport holds where it is named again") {
  const auto transports = [](const std::string& defaults, const std::string& own) {
    const ConfigResult result =
        parse_cluster_config("[cluster]\nname = \"m\"\nuuid = \"6ba7b810-9dad-41d1-80b4-00c04fd430c8\"\n[defaults]\n" +
                                 defaults + "\n[node.client0]\nroles = [\"client\"]\n" + own + "\n",
                             "/cfg/cluster.toml");
    std::string text;
    for (const Way& way : result.config.find("client0")->ways) {
      text += way.transport.plugin;
      for (const RawValue& value : way.transport.values) text += " " + value.key + "=" + value.text;
      text += "; ";
    }
    return text;
  };
  const std::string two =
      "transport = [{ plugin = \"rdma\", provider = \"verbs\" }, { plugin = \"tcp\", keepalive = \"3 s\" }]";
  CHECK(transports(two, "") == "rdma provider=verbs; tcp keepalive=3 s; ");
  CHECK(transports(two, "transport = \"tcp\"") == "tcp keepalive=3 s; ");
  CHECK(transports(two, "transport = [\"tcp\", \"zmq\"]") == "tcp keepalive=3 s; zmq; ");
  CHECK(transports(two, "transport = { provider = \"shm\" }") == "rdma provider=shm; ");
  CHECK(transports(two, "transport = { plugin = \"tcp\", keepalive = \"4 s\" }") == "tcp keepalive=4 s; ");
  CHECK(transports(two, "transport = \"zmq\"") == "zmq; ");
}

TEST_CASE("what is written for a new cluster is accepted") {
  NewCluster cluster;
  cluster.name = "demo";
  cluster.uuid = *parse_uuid("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  cluster.servers = {{"mds0", Role::mds, 1, {"127.0.0.1:7400"}, ""},
                     {"oss0", Role::oss, 2, {"127.0.0.1:7410"}, ""},
                     {"oss1", Role::oss, 3, {"127.0.0.1:7411"}, "/dev/\"x\\\n"}};
  cluster.transport_values = {{.key = "key", .text = "keys/\"node\".key"},
                              {.key = "local", .kind = RawValue::Kind::boolean, .integer = 0}};
  const bool single = GENERATE(false, true);
  cluster.single_process = single;
  const ConfigResult result = parse_cluster_config(cluster_config_text(cluster), "/cfg/cluster.toml");
  INFO(cluster_config_text(cluster) << to_text(result.problems));
  REQUIRE(result.ok());
  CHECK(result.config.uuid == cluster.uuid);
  CHECK(result.config.nodes.size() == (single ? 1u : 4u));
  std::vector<TargetConfig> targets;
  for (const NodeConfig& node : result.config.nodes)
    targets.insert(targets.end(), node.targets.begin(), node.targets.end());
  REQUIRE(targets.size() == 3);
  CHECK(targets[0].role == Role::mds);
  CHECK(targets[2].id == 3);
  CHECK(targets[2].data == "/cfg/oss1");
  REQUIRE(targets[2].objects.values.size() == 1);
  CHECK(targets[2].objects.values[0].text == "/dev/\"x\\\n");
  const PluginChoice& transport = result.config.nodes[0].ways.at(0).transport;
  CHECK(transport.plugin == "tcp");
  REQUIRE(transport.values.size() == 2);
  CHECK(transport.values[0].text == "keys/\"node\".key");
  CHECK((transport.values[1].kind == RawValue::Kind::boolean && transport.values[1].integer == 0));
}

TEST_CASE("a server of several transports is added with an address for each") {
  std::string folder = (std::filesystem::temp_directory_path() / "rideau-config-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/cluster.toml";
  std::ofstream(path)
      << "[cluster]\nname = \"m\"\nuuid = \"6ba7b810-9dad-41d1-80b4-00c04fd430c8\"\n"
         "[defaults]\ntransport = [\"tcp\", \"zmq\"]\n"
         "[node.mds0]\nroles = [\"mds\"]\nid = 1\ndata = \"mds0\"\nlisten = [\"127.0.0.1:7400\", \"\"]\n";
  NewCluster more;
  more.clients = 0;
  more.servers = {{"oss0", Role::oss, 2, {"127.0.0.1:7410", "127.0.0.1:7510"}, ""}};
  std::string why;
  CHECK(grow_cluster_config(path, more, &why));
  const ConfigResult grown = load_cluster_config(path);
  INFO(to_text(grown.problems));
  REQUIRE(grown.ok());
  const NodeConfig& server = *grown.config.find("oss0");
  REQUIRE(server.ways.size() == 2);
  CHECK(server.ways[0].listen == "127.0.0.1:7410");
  CHECK(server.ways[1].address == "127.0.0.1:7510");
  std::filesystem::remove_all(folder);
}

TEST_CASE("writing refuses to replace a file") {
  std::string folder = (std::filesystem::temp_directory_path() / "rideau-config-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  NewCluster cluster;
  cluster.name = "demo";
  std::string why;
  CHECK(write_cluster_config(folder + "/cluster.toml", cluster, &why));
  CHECK_FALSE(write_cluster_config(folder + "/cluster.toml", cluster, &why));
  CHECK(contains(why, "File exists"));
  CHECK_FALSE(write_cluster_config(folder + "/none/cluster.toml", cluster, &why));
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("the nearest word is near") {
  CHECK(nearest("lmbd", {"lmdb", "raw-file"}) == "lmdb");
  CHECK(nearest("stripe-count", {"stripe_count", "stripe_size"}) == "stripe_count");
  CHECK(nearest("xyz", {"lmdb", "raw-file"}).empty());
  CHECK(nearest(std::string(1000, 'a'), {"aa"}).empty());
}

TEST_CASE("what a client keeps until it is durable lies between what is dirty and its cache") {
  const std::string said = changed("cache = \"512 MiB\"", "cache = \"512 MiB\"\nunstable_max = \"100 MiB\"");
  const ConfigResult result = parse_cluster_config(said, "/cfg/cluster.toml");
  INFO(to_text(result.problems));
  REQUIRE(result.ok());
  CHECK(result.config.any_client.client.unstable_bytes_max == 100u << 20);
  CHECK(result.config.find("client0")->client.unstable_bytes_max == 100u << 20);
  for (const char* bad : {"63 MiB", "513 MiB"}) {
    const std::string text =
        changed("cache = \"512 MiB\"", std::string("cache = \"512 MiB\"\nunstable_max = \"") + bad + "\"");
    CHECK(contains(problems_of(text), "client.unstable_max: is not between dirty_max and cache"));
  }
}
