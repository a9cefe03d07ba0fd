// SPDX-License-Identifier: Apache-2.0
// Goal: of the account of a run, the page about its failure has what the call waited for and what befell everybody, and
// nothing of others.
#include "tests/sim/failure_story.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace rideau::sim {
namespace {

const std::string kAccount =
    "   0.100000 client1  [1 to 2] client1.0 lookup 7/a = No such file or directory\n"
    "   0.200000 client1  client1.0 calls [3 to never] client1.0 mkdir 7/b\n"
    "   0.200001 client1  kernel: MAKE 7\n"
    "   0.200002 mds0     from client1: call make, slot 1.2, trace 00000000000000aa\n"
    "   0.200003 mds0     from client0: call link, slot 1.9, trace 00000000000000bb\n"
    "   0.200004 client0  kernel: GETATTR 7\n"
    "   0.200005 world    fault 0 begins: kills\n"
    "   0.200006 mds0     info: killed\n"
    "   0.200007 client0  from mds0: callback revoke, slot 0.1, trace 00000000000000aa\n"
    "   0.200008 mds0     debug: something small\n"
    "   0.300000 client1  [3 to 9] client1.0 mkdir 7/b = Input/output error\n"
    "   0.400000 mds0     info: much later\n";

}  // namespace

TEST_CASE("a call that returned: its kernel, its traces on all nodes, and what befell everybody") {
  const std::string page = tell_failure(kAccount, "names are wrong: fits none of\n  [3 to 9] client1.0 mkdir 7/b");
  CHECK(page.find("kernel: MAKE 7") != std::string::npos);
  CHECK(page.find("call make") != std::string::npos);
  CHECK(page.find("callback revoke") != std::string::npos);
  CHECK(page.find("fault 0 begins") != std::string::npos);
  CHECK(page.find("info: killed") != std::string::npos);
  CHECK(page.find("[3 to 9] client1.0") != std::string::npos);
  for (const char* other : {"call link", "GETATTR", "something small", "much later"}) {
    CHECK(page.find(other) == std::string::npos);
  }
}

TEST_CASE("a call that never returned is told to the end, and without a call what befell everybody is") {
  const std::string until_it_returned = kAccount.substr(0, kAccount.find("   0.300000"));
  const std::string later = kAccount.substr(kAccount.find("   0.400000"));
  const std::string stuck = tell_failure(until_it_returned + later, "stuck\n  [3 to never] client1.0 mkdir 7/b");
  CHECK(stuck.find("kernel: MAKE 7") != std::string::npos);
  CHECK(stuck.find("much later") != std::string::npos);
  const std::string bare = tell_failure(kAccount, "the file system check: orphan");
  CHECK(bare.find("kernel: MAKE") == std::string::npos);
  CHECK(bare.find("info: killed") != std::string::npos);
}

TEST_CASE("it is one page") {
  std::string account = "   0.100000 client1  client1.0 calls [3 to never] client1.0 mkdir 7/b\n";
  for (int i = 0; i < 500; ++i) account += "   0.200000 client1  kernel: LOOKUP " + std::to_string(i) + "\n";
  const std::string page = tell_failure(account, "[3 to never] client1.0 mkdir 7/b");
  CHECK(std::count(page.begin(), page.end(), '\n') == 61);
  CHECK(page.find("LOOKUP 499") != std::string::npos);
}

}  // namespace rideau::sim
