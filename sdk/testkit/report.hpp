// SPDX-License-Identifier: Apache-2.0
// Report: the result of a conformance suite, rule by rule. A suite names a rule and then checks it:
//
//   report.rule("index.snapshot.sees-one-state");
//   report.equal(status.code, Code::ok, "snapshot");
//   report.check(seen == expected, "a later batch is invisible");
//
// A rule passed when all of its checks held, and it had at least one: a rule that checks nothing fails, so that nothing
// is skipped in silence. What a plugin does not declare is reported with unsupported(), and the suite checks that the
// call answers Code::unsupported. The card calls such rules not applicable, and says why.
#pragma once

#include "rideau/status.hpp"

#include <cstdint>
#include <cstdio>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

enum class Verdict : std::uint8_t { passed, failed, unsupported };

struct Rule {
  std::string name;  // "<suite>.<part>.<what holds>"
  Verdict verdict = Verdict::failed;
  std::uint64_t checks = 0;
  std::uint64_t failures = 0;
  std::string detail;  // the first failures, or why it does not apply
  std::string note;    // what was gone through, where that is not obvious
};

class Report {
 public:
  using Where = std::source_location;

  // With `live`, a rule that failed is printed as soon as it is decided.
  explicit Report(std::FILE* live = nullptr) : live_(live) {}

  // Starts a rule (and decides the one before). Naming the same rule again continues it.
  void rule(std::string_view name);
  // The whole rule does not apply, because the plugin does not declare the capability.
  void unsupported(std::string_view name, std::string_view why);

  // Stands behind the rule on the card.
  void note(std::string text) { current().note = std::move(text); }

  // Each returns whether the check held, so that a suite can stop where going on makes no sense.
  bool check(bool holds, std::string_view what, Where where = Where::current());
  bool equal(Code actual, Code expected, std::string_view what, Where where = Where::current());
  bool equal(std::uint64_t actual, std::uint64_t expected, std::string_view what, Where where = Where::current());
  bool ok(Status status, std::string_view what, Where where = Where::current());
  void fail(std::string_view what, Where where = Where::current()) { check(false, what, where); }

  // Decides the last rule; call it before the results are read.
  void finish();
  const std::vector<Rule>& rules() const noexcept { return rules_; }
  std::size_t count(Verdict verdict) const noexcept;
  // 0 when every rule passed or is unsupported and at least one passed, else 1.
  int exit_status() const noexcept;
  // The report card: a line for each rule, the reasons of failures, the sums.
  void print(std::FILE* out) const;

 private:
  Rule& current();
  void add_detail(Rule& rule, std::string_view text, Where where);

  std::FILE* live_;
  std::vector<Rule> rules_;
  std::size_t open_ = SIZE_MAX;  // index of the rule that checks belong to
};

// "timed out (errno 110) in connect", for messages.
std::string describe(Status status);

}  // namespace rideau
