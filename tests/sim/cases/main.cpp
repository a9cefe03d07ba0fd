// SPDX-License-Identifier: Apache-2.0
// Runs named cases, as any Catch2 program; --plant B runs them with a mistake in the product, and succeeds when one of
// them finds it (rideau-sim --lists says which mistakes there are).
#define CATCH_CONFIG_RUNNER
#include "tests/sim/hooks.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  Catch::Session session;
  std::string mistake;
  using Catch::clara::Opt;
  session.cli(session.cli() | Opt(mistake, "mistake")["--plant"]("run with this mistake, which must be found"));
  if (const int wrong = session.applyCommandLine(argc, argv); wrong != 0) return wrong;
  if (mistake.empty()) return session.run();
  if (!rideau::sim::plant(mistake)) {
    std::fprintf(stderr, "there is no mistake \"%s\"\n", mistake.c_str());
    return 2;
  }
  const bool found = session.run() > 0;
  std::printf("%s: %s\n", mistake.c_str(), found ? "found" : "NOT FOUND");
  return found ? 0 : 1;
}
