// SPDX-License-Identifier: Apache-2.0
// TcpFactory: instances of transports/tcp with given settings, for tests that make them without a configuration file.
#pragma once

#include "rideau/sdk.hpp"
#include "sdk/testkit/transport_suite.hpp"
#include "transports/tcp/descriptor.hpp"

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace rideau {

class TcpFactory final : public TransportFactory {
 public:
  // Keys that are not set here have the defaults of the descriptor; numbers only.
  explicit TcpFactory(Host& host, std::map<std::string, std::int64_t> settings = {},
                      std::string address = "127.0.0.1:0")
      : host_(host), settings_(std::move(settings)), address_(std::move(address)) {}

  Result<Transport*> make() override {
    const PluginDescriptor& plugin = tcp::kDescriptor;
    std::vector<ConfigValue> values(plugin.key_count);
    for (std::uint32_t i = 0; i < plugin.key_count; ++i) {
      const auto set = settings_.find(plugin.keys[i].name);
      values[i].integer = set != settings_.end() ? set->second : default_of(plugin.keys[i]);
    }
    Instance* instance = nullptr;
    const Status status = plugin.create(host_, values.data(), &instance);
    if (!status.ok()) return status;
    return static_cast<Transport*>(instance);
  }
  std::uint64_t capabilities() const noexcept override { return tcp::kDescriptor.capabilities; }
  std::string listen_address() const override { return address_; }

 private:
  static std::int64_t default_of(const ConfigKey& key) {
    char* unit = nullptr;
    const std::int64_t number = std::strtoll(key.default_value, &unit, 10);
    const std::string text = unit;
    if (text == " KiB") return number * 1024;
    if (text == " MiB") return number * 1024 * 1024;
    if (text == " s") return number * 1000;
    return number;
  }

  Host& host_;
  std::map<std::string, std::int64_t> settings_;
  std::string address_;
};

}  // namespace rideau
