// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: the declared limits hold, one byte below and one above.
#include "sdk/testkit/index_suite_tools.hpp"

#include <algorithm>

namespace rideau::index_suite {
namespace {

// A call over a limit is refused whole: its first batch, which is fine, must not be applied either.
Task<> expect_refused(Suite& suite, Call& call, Code code, const ModelIndex& model, std::string_view what) {
  co_await suite.commit(call);
  suite.report.equal(call.status().code, code, what);
  suite.same(model, what);
}

Task<> check_keys(Suite& suite, ModelIndex& model) {
  Report& report = suite.report;
  report.rule("index.limits.keys");
  const std::size_t most = suite.store().limits().key_bytes_max;
  const std::string longest(most, 'k');
  const std::string too_long(most + 1, 'k');
  Call fits;
  fits.batch().put(longest, "longest").put(longest.substr(1), "one shorter").put(std::string(1, '\0'), "one zero");
  fits.batch().equals(longest, "longest").put("x", "");
  co_await suite.commit(fits);
  report.ok(fits.status(), "keys up to the limit");
  report.ok(fits.result(1).status, "a check on the longest key");
  fits.apply_to(model);
  suite.same(model, "keys up to the limit");

  Call over_put;
  over_put.batch().put("before", "1");
  over_put.batch().put(too_long, "1");
  co_await expect_refused(suite, over_put, Code::too_large, model, "put of a key over the limit");
  Call over_erase;
  over_erase.batch().put("before", "1");
  over_erase.batch().erase(too_long);
  co_await expect_refused(suite, over_erase, Code::too_large, model, "erase of a key over the limit");
  Call over_check;
  over_check.batch().put("before", "1");
  over_check.batch().absent(too_long);
  co_await expect_refused(suite, over_check, Code::too_large, model, "check of a key over the limit");

  Call empty_put;
  empty_put.batch().put("before", "1");
  empty_put.batch().put("", "1");
  co_await expect_refused(suite, empty_put, Code::invalid, model, "put of the empty key");
  Call empty_erase;
  empty_erase.batch().put("before", "1");
  empty_erase.batch().erase("");
  co_await expect_refused(suite, empty_erase, Code::invalid, model, "erase of the empty key");
  Call empty_check;
  empty_check.batch().put("before", "1");
  empty_check.batch().absent("");
  co_await expect_refused(suite, empty_check, Code::invalid, model, "check of the empty key");
}

Task<> check_values(Suite& suite, ModelIndex& model) {
  Report& report = suite.report;
  report.rule("index.limits.values");
  const std::size_t most = suite.store().limits().value_bytes_max;
  const std::string largest(most, 'v');
  const std::string too_large(most + 1, 'v');
  IndexSpace space;
  report.ok(suite.store().space(&space), "space");
  Call fits;
  fits.batch().put("largest", largest);
  fits.batch().equals("largest", largest).put("seen", "");
  co_await suite.commit(fits);
  if (fits.status().code == Code::no_space && space.bytes_free < 4 * most) {
    report.check(true, "the store is too small for its largest value");
  } else {
    report.ok(fits.status(), "a value at the limit");
    report.ok(fits.result(1).status, "a check of a value at the limit");
  }
  fits.apply_to(model);
  suite.same(model, "a value at the limit");
  Call over;
  over.batch().put("before", "1");
  over.batch().put("over", too_large);
  co_await expect_refused(suite, over, Code::too_large, model, "a value over the limit");
}

// Fills `call` with puts that hold `bytes` of keys and values together. They share one value, so that the test does
// not need that much memory itself.
void fill(Call& call, std::uint64_t bytes, const std::string& value) {
  std::uint64_t number = 0;
  Batch* batch = &call.batch();
  while (bytes > 0) {
    const std::string key = numbered("fill", number++);
    if (bytes >= 2 * (key.size() + value.size())) {
      batch->put_shared(key, value);
      bytes -= key.size() + value.size();
      continue;
    }
    if (bytes <= key.size() + value.size()) {
      batch->put(key, std::string_view(value).substr(0, bytes > key.size() ? bytes - key.size() : 0));
      return;
    }
    const std::uint64_t half = bytes / 2;
    batch->put(key, std::string_view(value).substr(0, half - key.size()));
    bytes -= half;
  }
}

Task<> check_batch_bytes(Suite& suite, ModelIndex& model) {
  Report& report = suite.report;
  report.rule("index.limits.commit-bytes");
  const IndexLimits limits = suite.store().limits();
  const std::string value(std::min<std::uint64_t>(limits.value_bytes_max, limits.batch_bytes_max / 4), 'f');
  Call over;
  fill(over, limits.batch_bytes_max + 1, value);
  co_await expect_refused(suite, over, Code::too_large, model, "a commit over the limit");
  IndexSpace space;
  report.ok(suite.store().space(&space), "space");
  Call fits;
  fill(fits, limits.batch_bytes_max, value);
  co_await suite.commit(fits);
  if (fits.status().code == Code::no_space && space.bytes_free < 4 * limits.batch_bytes_max) {
    report.check(true, "the store is too small for its largest commit");
  } else {
    report.ok(fits.status(), "a commit at the limit");
  }
  fits.apply_to(model);
  suite.same(model, "after a commit at the limit");
}

}  // namespace

Task<> check_limits(Suite& suite) {
  suite.report.rule("index.limits.keys");
  if (!co_await suite.open(true)) co_return;
  ModelIndex model;
  co_await check_keys(suite, model);
  co_await check_values(suite, model);
  co_await check_batch_bytes(suite, model);
  co_await suite.close();
}

}  // namespace rideau::index_suite
