// SPDX-License-Identifier: Apache-2.0
// Figures as text: for Prometheus, whose own library writes its format, and as keys of JSON. The only file that knows
// prometheus-cpp.
#include "framework/observe/metrics.hpp"

#include <limits>
#include <map>

#include <prometheus/text_serializer.h>

namespace rideau {
namespace {

prometheus::MetricType type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter:
      return prometheus::MetricType::Counter;
    case MetricKind::gauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::histogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram histogram_of(const LatencyHistogram& from) {
  prometheus::ClientMetric::Histogram to;
  to.sample_count = from.count();
  to.sample_sum = 1e-9 * static_cast<double>(from.sum_ns());
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i <= LatencyHistogram::kBuckets; ++i) {
    cumulative += from.in_bucket(i);
    const double bound =
        i < LatencyHistogram::kBuckets ? LatencyHistogram::bound_seconds(i) : std::numeric_limits<double>::infinity();
    to.bucket.push_back({cumulative, bound});
  }
  return to;
}

prometheus::ClientMetric client_metric(const Metric& metric) {
  prometheus::ClientMetric made;
  for (const MetricLabel& label : metric.labels) made.label.push_back({label.name, label.value});
  switch (metric.kind) {
    case MetricKind::counter:
      made.counter.value = metric.value;
      break;
    case MetricKind::gauge:
      made.gauge.value = metric.value;
      break;
    case MetricKind::histogram:
      made.histogram = histogram_of(*metric.histogram);
      break;
  }
  return made;
}

}  // namespace

std::string metric_key(const Metric& metric) {
  std::string key = metric.name;
  if (metric.labels.empty()) return key;
  char before = '{';
  for (const MetricLabel& label : metric.labels) {
    key += before + label.name + "=\"";
    for (const char c : label.value) {
      if (c == '"' || c == '\\') key += '\\';
      key += c;
    }
    key += '"';
    before = ',';
  }
  return key + "}";
}

std::string prometheus_text(const MetricList& metrics) {
  // All figures of one name stand together.
  std::vector<prometheus::MetricFamily> families;
  std::map<std::string, std::size_t> places;
  for (const Metric& metric : metrics.all()) {
    const auto [place, added] = places.try_emplace(metric.name, families.size());
    if (added) families.push_back({metric.name, metric.help, type_of(metric.kind), {}});
    families[place->second].metric.push_back(client_metric(metric));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace rideau
