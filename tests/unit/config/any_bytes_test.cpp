// SPDX-License-Identifier: Apache-2.0
// Goal: any bytes as a configuration give a config or problems, each on one printable line, and never an abort (S61).
#include "framework/config/cluster_config.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>

using namespace rideau;

namespace {

// Pieces that reach deep into the parser and the schema.
const char* const kPieces[] = {
    "[",
    "]",
    "[[",
    "]]",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "\n",
    "#",
    "{",
    "}",
    ",",
    ".",
    "\\u0000",
    "\\uD800",
    "\xff",
    "\xc3\x28",
    "[node.mds0]\n",
    "[[node.mds0.target]]\n",
    "[node]\n",
    "node = 1\n",
    "cluster = []\n",
    "roles = [\"mds\", [1], {a=1}]\n",
    "id = 99999999999999999999\n",
    "id = -1\n",
    "id = 0x7fffffff\n",
    "listen = \"a:b:c\"\n",
    "1979-05-27T07:32:00Z",
    "nan",
    "-inf",
    "1e400",
    "true",
    "[client]\ncache = \"8191 PiB\"\n",
    "[defaults]\nindex = {plugin = {}}\n",
    "transport = {plugin = \"\", \"\\u001b[2J\" = 1}\n",
    "transport = [\"tcp\", {plugin = \"zmq\", a = [1]}, 7, []]\n",
    "transport = []\n",
    "listen = [\"\", \"a:1\", 2]\n",
    "address = [[]]\n",
    "[node.\"\\n\"]\n",
    "[node.\"../..\"]\n",
};

void try_bytes(const std::string& bytes) {
  const ConfigResult result = parse_cluster_config(bytes, "f");
  for (const Problem& problem : result.problems) {
    const std::string text = to_text(problem);
    CHECK_FALSE(problem.message.empty());
    const bool printable = std::all_of(text.begin(), text.end(),
                                       [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    CHECK(printable);
  }
}

}  // namespace

TEST_CASE("mutations of a good file") {
  NewCluster cluster;
  cluster.name = "demo";
  cluster.servers = {{"mds0", Role::mds, 1, {"127.0.0.1:7400"}, ""},
                     {"oss0", Role::oss, 2, {"127.0.0.1:7410"}, "/dev/x"}};
  std::mt19937_64 random(20);
  for (int round = 0; round < 3000; ++round) {
    cluster.single_process = round % 2 == 0;
    std::string text = cluster_config_text(cluster);
    const int changes = 1 + static_cast<int>(random() % 8);
    for (int i = 0; i < changes; ++i) {
      const std::size_t at = random() % (text.size() + 1);
      switch (random() % 5) {
        case 0:
          text.insert(at, kPieces[random() % std::size(kPieces)]);
          break;
        case 1:
          text.erase(at, random() % 40);
          break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(random());
          break;
        case 3:
          text.insert(at, text.substr(random() % text.size(), random() % 60));
          break;
        default:
          text.resize(at);
          break;
      }
      if (text.empty()) text = "\n";
    }
    try_bytes(text);
  }
}

TEST_CASE("bytes that were never a configuration") {
  std::mt19937_64 random(21);
  for (int round = 0; round < 1000; ++round) {
    std::string text(random() % 400, '\0');
    for (char& c : text) c = static_cast<char>(random());
    try_bytes(text);
    std::string pieces;
    for (int i = 0; i < 12; ++i) pieces += kPieces[random() % std::size(kPieces)];
    try_bytes(pieces);
  }
}

TEST_CASE("what nests deeper than any configuration is refused") {
  try_bytes("a = " + std::string(100'000, '['));
  std::string inline_tables = "a = ";
  for (int i = 0; i < 20'000; ++i) inline_tables += "{a=";
  try_bytes(inline_tables);
  std::string dotted = "a";
  for (int i = 0; i < 20'000; ++i) dotted += ".a";
  try_bytes(dotted + " = 1");
  try_bytes("[" + dotted + "]");
  std::string many_lines = "a = ";
  std::string part = "{";
  for (int i = 0; i < 60; ++i) part += "a.";
  for (int i = 0; i < 250; ++i) many_lines += "[\n" + part + "a = ";
  try_bytes(many_lines);
  std::string closed = many_lines + "1";
  for (int i = 0; i < 250; ++i) closed += "}]";
  try_bytes(closed);
}
