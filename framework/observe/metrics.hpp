// SPDX-License-Identifier: Apache-2.0
// Metrics: what a process tells about itself. Parts of a node count in plain members on the node's thread; when
// somebody asks, each registered source writes its figures into a list. Nothing is counted in two places, and a hot
// path pays an addition. The registry is passed to whoever has figures; there is no global one.
//
// Names and units follow Prometheus: counters end in _total, times are seconds, sizes bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rideau {

// How long something took, in steps of two from a microsecond on.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 24;  // bucket i: at most 2^i microseconds, up to 8.4 s; then one for the rest

  void add(std::uint64_t ns) noexcept;
  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t sum_ns() const noexcept { return sum_ns_; }
  // Of one bucket alone; kBuckets: those over the last bound.
  std::uint64_t in_bucket(std::size_t bucket) const noexcept { return buckets_[bucket]; }
  static double bound_seconds(std::size_t bucket) noexcept { return 1e-6 * static_cast<double>(1ull << bucket); }

 private:
  std::array<std::uint64_t, kBuckets + 1> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ns_ = 0;
};

struct MetricLabel {
  std::string name;
  std::string value;
};
using MetricLabels = std::vector<MetricLabel>;

enum class MetricKind { counter, gauge, histogram };

struct Metric {
  const char* name;  // static text
  const char* help;  // static text, one line
  MetricKind kind = MetricKind::counter;
  MetricLabels labels;
  double value = 0;
  std::optional<LatencyHistogram> histogram;
};

// The figures of one moment, in the order in which they were written.
class MetricList {
 public:
  void counter(const char* name, const char* help, MetricLabels labels, std::uint64_t value);
  void counter_seconds(const char* name, const char* help, MetricLabels labels, double value);
  void gauge(const char* name, const char* help, MetricLabels labels, double value);
  void histogram(const char* name, const char* help, MetricLabels labels, const LatencyHistogram& value);
  const std::vector<Metric>& all() const noexcept { return metrics_; }

 private:
  std::vector<Metric> metrics_;
};

// Called on the node's thread.
class MetricSource {
 public:
  virtual void collect(MetricList& to) const = 0;

 protected:
  ~MetricSource() = default;
};

class MetricsRegistry {
 public:
  MetricsRegistry() = default;
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;
  MetricList collect() const;

 private:
  friend class MetricRegistration;
  std::vector<const MetricSource*> sources_;
};

// A source is asked for as long as this lives.
class MetricRegistration {
 public:
  MetricRegistration(MetricsRegistry& registry, const MetricSource& source);
  ~MetricRegistration();
  MetricRegistration(const MetricRegistration&) = delete;
  MetricRegistration& operator=(const MetricRegistration&) = delete;

 private:
  MetricsRegistry& registry_;
  const MetricSource& source_;
};

// "rideau_server_calls_total{method=\"make\",target=\"1\"}": how one figure is called in JSON and in the text of
// Prometheus.
std::string metric_key(const Metric& metric);
// The text format of Prometheus, version 0.0.4.
std::string prometheus_text(const MetricList& metrics);

}  // namespace rideau
