// SPDX-License-Identifier: Apache-2.0
// Instances of a linked transport with given settings, for tests that make them without a configuration file.
#pragma once

#include "rideau/sdk.hpp"
#include "sdk/testkit/transport_suite.hpp"

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rideau {

class LinkedTransportFactory : public TransportFactory {
 public:
  using Settings = std::map<std::string, std::int64_t>;
  using Texts = std::map<std::string, std::string>;

  // Keys that are not set here have the defaults of the descriptor.
  LinkedTransportFactory(const PluginDescriptor& plugin, Host& host, Settings settings, std::string address,
                         Texts texts = {})
      : plugin_(plugin),
        host_(host),
        settings_(std::move(settings)),
        texts_(std::move(texts)),
        address_(std::move(address)) {}

  Result<Transport*> make() override { return make_on(host_); }
  Result<GatedTransport> make_gated() override {
    gates_.push_back(std::make_unique<HostGate>(host_));
    const Result<Transport*> made = make_on(*gates_.back());
    if (!made.ok()) return made.status();
    return GatedTransport{*made, gates_.back().get()};
  }
  std::uint64_t capabilities() const noexcept override { return plugin_.capabilities; }
  std::string listen_address() const override { return address_; }
  bool seals() const override { return seals_; }
  void set_seals() noexcept { seals_ = true; }

 protected:
  virtual Result<Transport*> make_on(Host& host) { return make_of(plugin_, host); }
  Result<Transport*> make_of(const PluginDescriptor& plugin, Host& host) {
    std::vector<ConfigValue> values(plugin.key_count);
    for (std::uint32_t i = 0; i < plugin.key_count; ++i) {
      const ConfigKey& key = plugin.keys[i];
      const auto set = settings_.find(key.name);
      const auto text = texts_.find(key.name);
      values[i].integer = set != settings_.end() ? set->second : default_of(key);
      values[i].text = text != texts_.end() ? Text(text->second) : Text(key.default_value);
    }
    Instance* instance = nullptr;
    const Status status = plugin.create(host, values.data(), &instance);
    if (!status.ok()) return status;
    return static_cast<Transport*>(instance);
  }

 private:
  static std::int64_t default_of(const ConfigKey& key) {
    char* unit = nullptr;
    const std::int64_t number = std::strtoll(key.default_value, &unit, 10);
    const std::string text = unit;
    if (text == " KiB") return number * 1024;
    if (text == " MiB") return number * 1024 * 1024;
    if (text == " s") return number * 1000;
    if (text == "true") return 1;
    return number;
  }

  const PluginDescriptor& plugin_;
  Host& host_;
  Settings settings_;
  Texts texts_;
  std::string address_;
  bool seals_ = false;
  std::vector<std::unique_ptr<HostGate>> gates_;
};

}  // namespace rideau
