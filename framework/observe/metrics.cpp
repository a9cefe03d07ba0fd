// SPDX-License-Identifier: Apache-2.0
#include "framework/observe/metrics.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace rideau {

void LatencyHistogram::add(std::uint64_t ns) noexcept {
  const std::uint64_t us = (ns + 999) / 1000;
  const auto bucket = us <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(us - 1));
  ++buckets_[std::min(bucket, kBuckets)];
  ++count_;
  sum_ns_ += ns;
}

void MetricList::counter(const char* name, const char* help, MetricLabels labels, std::uint64_t value) {
  metrics_.push_back({name, help, MetricKind::counter, std::move(labels), static_cast<double>(value), {}});
}

void MetricList::counter_seconds(const char* name, const char* help, MetricLabels labels, double value) {
  metrics_.push_back({name, help, MetricKind::counter, std::move(labels), value, {}});
}

void MetricList::gauge(const char* name, const char* help, MetricLabels labels, double value) {
  metrics_.push_back({name, help, MetricKind::gauge, std::move(labels), value, {}});
}

void MetricList::histogram(const char* name, const char* help, MetricLabels labels, const LatencyHistogram& value) {
  metrics_.push_back({name, help, MetricKind::histogram, std::move(labels), 0, value});
}

MetricList MetricsRegistry::collect() const {
  MetricList list;
  for (const MetricSource* source : sources_) source->collect(list);
  return list;
}

MetricRegistration::MetricRegistration(MetricsRegistry& registry, const MetricSource& source)
    : registry_(registry), source_(source) {
  registry_.sources_.push_back(&source_);
}

MetricRegistration::~MetricRegistration() { std::erase(registry_.sources_, &source_); }

}  // namespace rideau
