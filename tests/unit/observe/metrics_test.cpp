// SPDX-License-Identifier: Apache-2.0
// Goal: latencies fall into the right steps, a registry asks exactly those who are registered, and the text is what
// Prometheus reads.
#include "framework/observe/metrics.hpp"

#include <catch2/catch.hpp>

namespace rideau {
namespace {

std::uint64_t bucket_of(std::uint64_t ns) {
  LatencyHistogram histogram;
  histogram.add(ns);
  for (std::size_t i = 0; i <= LatencyHistogram::kBuckets; ++i) {
    if (histogram.in_bucket(i) == 1) return i;
  }
  return ~0ull;
}

struct OneFigure final : MetricSource {
  void collect(MetricList& to) const override { to.counter("answers_total", "Answers.", {{"to", "a \"b\""}}, 42); }
};

TEST_CASE("a latency is in the step that just holds it") {
  CHECK(bucket_of(0) == 0);
  CHECK(bucket_of(1'000) == 0);
  CHECK(bucket_of(1'001) == 1);
  CHECK(bucket_of(2'000) == 1);
  CHECK(bucket_of(2'001) == 2);
  CHECK(bucket_of(1'000'000) == 10);
  CHECK(bucket_of((1ull << 23) * 1000) == 23);
  CHECK(bucket_of((1ull << 23) * 1000 + 1) == LatencyHistogram::kBuckets);
  CHECK(bucket_of(~0ull / 2) == LatencyHistogram::kBuckets);
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const auto bound_ns = static_cast<std::uint64_t>(1e9 * LatencyHistogram::bound_seconds(i) + 0.5);
    CHECK(bucket_of(bound_ns) == i);
    CHECK(bucket_of(bound_ns + 1) == i + 1);
  }
}

TEST_CASE("a registry asks whoever is registered") {
  MetricsRegistry registry;
  const OneFigure first;
  CHECK(registry.collect().all().empty());
  {
    const MetricRegistration registration(registry, first);
    const MetricList list = registry.collect();
    REQUIRE(list.all().size() == 1);
    CHECK(metric_key(list.all().front()) == R"(answers_total{to="a \"b\""})");
    CHECK(list.all().front().value == 42);
  }
  CHECK(registry.collect().all().empty());
}

TEST_CASE("the text of Prometheus: one family for each name, histograms cumulative") {
  MetricList list;
  LatencyHistogram took;
  took.add(1'500);
  took.add(3'000);
  list.counter("calls_total", "Calls.", {{"method", "make"}}, 7);
  list.gauge("bytes", "Bytes.", {}, 1.5);
  list.counter("calls_total", "Calls.", {{"method", "open"}}, 8);
  list.histogram("call_seconds", "Time.", {}, took);
  const std::string text = prometheus_text(list);
  const auto has = [&text](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  CHECK(has("# TYPE calls_total counter"));
  CHECK(text.find("# TYPE calls_total", text.find("# TYPE calls_total") + 1) == std::string::npos);
  CHECK(has("calls_total{method=\"make\"} 7"));
  CHECK(has("calls_total{method=\"open\"} 8"));
  CHECK(has("bytes 1.5"));
  CHECK(has("call_seconds_bucket{le=\"+Inf\"} 2"));
  CHECK(has("call_seconds_count 2"));
  CHECK(text.find("call_seconds_bucket{le=\"2e-06\"} 1") != std::string::npos);
  CHECK(text.find("call_seconds_bucket{le=\"4e-06\"} 2") != std::string::npos);
}

}  // namespace
}  // namespace rideau
