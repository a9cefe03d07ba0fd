// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/report.hpp"

#include "framework/base/result.hpp"

#include <algorithm>

namespace rideau {
namespace {

constexpr std::uint64_t kDetailsKept = 5;

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "pass";
    case Verdict::failed:
      return "FAIL";
    case Verdict::unsupported:
      return "n/a ";
  }
  return "?";
}

void print_rule(std::FILE* out, const Rule& rule) {
  if (rule.verdict == Verdict::unsupported) {
    std::fprintf(out, "%s  %s: %s\n", verdict_name(rule.verdict), rule.name.c_str(), rule.detail.c_str());
    return;
  }
  std::fprintf(out, "%s  %s (%llu checks%s%s)\n", verdict_name(rule.verdict), rule.name.c_str(),
               static_cast<unsigned long long>(rule.checks), rule.note.empty() ? "" : ": ", rule.note.c_str());
  if (rule.verdict == Verdict::failed) std::fputs(rule.detail.c_str(), out);
  std::fflush(out);
}

}  // namespace

void Report::rule(std::string_view name) {
  if (open_ != SIZE_MAX && rules_[open_].name == name) return;
  finish();
  const auto known = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) { return rule.name == name; });
  open_ = static_cast<std::size_t>(known - rules_.begin());
  if (known == rules_.end()) {
    rules_.emplace_back();
    rules_.back().name = name;
  }
}

void Report::unsupported(std::string_view name, std::string_view why) {
  finish();
  Rule skipped;
  skipped.name = name;
  skipped.verdict = Verdict::unsupported;
  skipped.detail = why;
  rules_.push_back(std::move(skipped));
}

void Report::finish() {
  if (open_ == SIZE_MAX) return;
  Rule& rule = rules_[open_];
  if (rule.checks == 0) rule.detail = "      it checked nothing\n";
  rule.verdict = rule.checks > 0 && rule.failures == 0 ? Verdict::passed : Verdict::failed;
  if (live_ != nullptr && rule.verdict == Verdict::failed) print_rule(live_, rule);
  open_ = SIZE_MAX;
}

Rule& Report::current() {
  if (open_ == SIZE_MAX) rule("checks outside of any rule");
  return rules_[open_];
}

void Report::add_detail(Rule& rule, std::string_view text, Where where) {
  if (rule.failures > kDetailsKept) return;
  const std::string_view path = where.file_name();
  const std::size_t slash = path.rfind('/');
  rule.detail += "      ";
  rule.detail += slash == std::string_view::npos ? path : path.substr(slash + 1);
  rule.detail += ":" + std::to_string(where.line()) + ": ";
  rule.detail += text;
  rule.detail += '\n';
}

bool Report::check(bool holds, std::string_view what, Where where) {
  Rule& rule = current();
  ++rule.checks;
  if (holds) return true;
  ++rule.failures;
  add_detail(rule, what, where);
  return false;
}

bool Report::equal(Code actual, Code expected, std::string_view what, Where where) {
  if (actual == expected) return check(true, what, where);
  return check(false, std::string(what) + ": answered " + code_name(actual) + ", expected " + code_name(expected),
               where);
}

bool Report::equal(std::uint64_t actual, std::uint64_t expected, std::string_view what, Where where) {
  if (actual == expected) return check(true, what, where);
  return check(false, std::string(what) + ": is " + std::to_string(actual) + ", expected " + std::to_string(expected),
               where);
}

bool Report::ok(Status status, std::string_view what, Where where) {
  if (status.ok()) return check(true, what, where);
  return check(false, std::string(what) + ": " + describe(status), where);
}

std::size_t Report::count(Verdict verdict) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(rules_.begin(), rules_.end(), [&](const Rule& rule) { return rule.verdict == verdict; }));
}

int Report::exit_status() const noexcept { return count(Verdict::failed) == 0 && count(Verdict::passed) > 0 ? 0 : 1; }

void Report::print(std::FILE* out) const {
  for (const Rule& rule : rules_) print_rule(out, rule);
  std::fprintf(out, "%zu passed, %zu failed, %zu not applicable\n", count(Verdict::passed), count(Verdict::failed),
               count(Verdict::unsupported));
}

std::string describe(Status status) {
  std::string text = code_name(status.code);
  if (status.os_error != 0) text += " (errno " + std::to_string(status.os_error) + ")";
  if (status.where != nullptr) text += std::string(" in ") + status.where;
  return text;
}

}  // namespace rideau
