// SPDX-License-Identifier: Apache-2.0
#include "transport.hpp"

#include "link.hpp"
#include "shared_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rideau::rdma {
namespace {

constexpr std::uint64_t kListenAgainNs = 100'000'000;
constexpr int kPortTries = 16;

}  // namespace

RdmaTransport::RdmaTransport(Host& host, Config config) : host_(host), config_(std::move(config)) {}

RdmaTransport::~RdmaTransport() = default;

Submitted RdmaTransport::start(Completion& done) noexcept { return done.finish(kOk); }

Submitted RdmaTransport::stop(Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  stopped_ = true;
  lost_listeners_.clear();
  if (again_.pending) host_.cancel(again_);
  for (auto& connector : connectors_) connector->cancel();
  for (auto& endpoint : endpoints_) endpoint->stop();
  if (quiet()) return done.finish(kOk);
  stopping_ = &done;
  return Submitted::pending;
}

bool RdmaTransport::quiet() const noexcept {
  return connectors_.empty() && !again_.pending &&
         std::all_of(endpoints_.begin(), endpoints_.end(), [](const auto& endpoint) { return endpoint->quiet(); });
}

void RdmaTransport::check_stopped() noexcept {
  if (stopping_ == nullptr || !quiet()) return;
  host_.complete(*std::exchange(stopping_, nullptr), kOk, 0);
}

void RdmaTransport::cancel(Completion& pending) noexcept {
  if (pending.plugin_slot[0] != nullptr) static_cast<Pending*>(pending.plugin_slot[0])->cancel();
}

void RdmaTransport::destroy() noexcept { delete this; }

TransportLimits RdmaTransport::limits() const noexcept {
  TransportLimits limits;
  limits.head_bytes_max = config_.head_bytes;
  limits.eager_bytes_max = config_.eager_bytes;
  limits.parts_max = kPartsMax;
  limits.bulk_bytes_max = kBulkBytesMax;
  return limits;
}

Status RdmaTransport::add_endpoint(InfoPtr info, LinkEvents* events, const std::string& address, Endpoint** out) {
  std::unique_ptr<Fabric> fabric;
  std::string why;
  const Status status = Fabric::open(std::move(info), &fabric, &why);
  if (!status.ok()) {
    if (status.code != Code::exists) log(Level::warning, "%s", why.c_str());
    return status;
  }
  std::string name = fabric->address_text();
  if (name.empty()) name = address;
  endpoints_.push_back(std::make_unique<Endpoint>(*this, std::move(fabric), events, name));
  *out = endpoints_.back().get();
  return (*out)->begin();
}

Status RdmaTransport::open_listener(const HostPort& address, LinkEvents& events, Endpoint** out) {
  InfoPtr info;
  std::string why;
  const Status status = find_fabric(config_.fabric, address, true, &info, &why);
  if (!status.ok()) {
    log(Level::error, "%s", why.c_str());
    return status;
  }
  if (is_shared_memory(*info)) {
    // The provider says so too, and takes the name from the one who has it.
    const std::string name = own_address(*info);
    free_name(name);
    const std::uint32_t owner = process_behind(name);
    if (owner != 0 && owner != kUnknownProcess) return {Code::exists, EADDRINUSE, "listen"};
  }
  return add_endpoint(std::move(info), &events, address.host + ":" + address.port, out);
}

Status RdmaTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  if (stopped_) return {Code::closed, 0, "listen"};
  HostPort name;
  if (const Status status = parse_address(address, &name); !status.ok()) return status;
  // Where addresses are names and no ports, any port is one that nobody has.
  const bool any_name = name.port == "0" && config_.fabric.provider == "shm";
  Endpoint* endpoint = nullptr;
  Status status;
  for (int i = 0; i < kPortTries; ++i) {
    if (any_name) name.port = std::to_string(10'000 + token() % 50'000);
    status = open_listener(name, events, &endpoint);
    if (!any_name || status.code != Code::exists) break;
  }
  if (!status.ok()) return status;
  const std::string& text = endpoint->address();
  if (text.size() > bound.size) {
    endpoint->stop();
    return {Code::too_large, 0, "listen: no room for the bound address"};
  }
  std::memcpy(bound.data, text.data(), text.size());
  *bound_size = text.size();
  return kOk;
}

void RdmaTransport::listen_again(const std::string& address, LinkEvents& events) {
  lost_listeners_.push_back({address, &events});
  if (!again_.pending) again_.pending = host_.sleep(kListenAgainNs, again_) == Submitted::pending;
}

void RdmaTransport::on_listen_again() noexcept {
  for (const Listening& lost : std::exchange(lost_listeners_, {})) {
    if (stopped_) break;
    HostPort name;
    Endpoint* endpoint = nullptr;
    Status status = parse_address(Text(lost.address), &name);
    if (status.ok()) status = open_listener(name, *lost.events, &endpoint);
    if (!status.ok()) listen_again(lost.address, *lost.events);
  }
  check_stopped();
}

RdmaTransport::Connector::Connector(RdmaTransport& its_transport, LinkEvents& its_events, Link** its_out,
                                    Completion& its_done) noexcept
    : transport(its_transport), events(its_events), out(its_out), done(&its_done) {
  its_done.plugin_slot[0] = static_cast<Pending*>(this);
}

void RdmaTransport::Connector::cancel() noexcept {
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  const Code code = transport.stopped_ ? Code::closed : Code::cancelled;
  transport.host_.complete(*taken, {code, 0, "connect"}, 0);
}

void RdmaTransport::Connector::on_found() noexcept { transport.connect_found(*this); }

Submitted RdmaTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  if (stopped_) return done.finish({Code::closed, 0, "connect"});
  HostPort name;
  if (const Status status = parse_address(address, &name); !status.ok()) return done.finish(status);
  if (!room_for_link()) return done.finish({Code::busy, 0, "connect: too many links"});
  std::erase_if(endpoints_, [](const auto& endpoint) { return endpoint->quiet() && endpoint->deserted(); });
  connectors_.push_back(std::make_unique<Connector>(*this, events, out, done));
  Connector& connector = *connectors_.back();
  connector.job.choice = config_.fabric;
  connector.job.address = name;
  connector.job.run = [](Job* job) noexcept {
    auto* self = static_cast<Connector::FindJob*>(job);
    self->status = find_fabric(self->choice, self->address, false, &self->info, &self->why);
    if (!self->status.ok() || !is_shared_memory(*self->info)) return;
    self->process = process_behind(address_of_peer(*self->info));
    if (self->process == 0) self->status = {Code::refused, ECONNREFUSED, "connect: nobody is there"};
  };
  connector.found.pending = true;
  host_.run_blocking(connector.job, connector.found);
  return Submitted::pending;
}

void RdmaTransport::connect_found(Connector& connector) noexcept {
  Completion* done = std::exchange(connector.done, nullptr);
  if (done != nullptr) {
    done->plugin_slot[0] = nullptr;
    Status status = connector.job.status;
    Endpoint* endpoint = nullptr;
    if (status.ok()) {
      for (auto& one : endpoints_) {
        if (one->serves(*connector.job.info)) endpoint = one.get();
      }
    } else {
      if (!connector.job.why.empty()) log(Level::warning, "%s", connector.job.why.c_str());
    }
    // The address of the peer stays with us; what is left opens an endpoint of our own.
    std::string far;
    if (status.ok()) {
      far = address_of_peer(*connector.job.info);
      if (endpoint == nullptr) status = add_endpoint(std::move(connector.job.info), nullptr, "", &endpoint);
    }
    if (status.ok()) {
      endpoint->connect(Bytes(far.data(), far.size()), connector.job.process, connector.events, connector.out, *done);
    } else {
      host_.complete(*done, status, 0);
    }
  }
  remove(connector);
}

void RdmaTransport::remove(Connector& connector) noexcept {
  std::erase_if(connectors_, [&](const auto& one) { return one.get() == &connector; });
  check_stopped();
}

std::uint64_t RdmaTransport::token() noexcept {
  std::uint64_t token = 0;
  while (token == 0) {
    if (tokens_left_ == 0) {
      host_.random(MutableBytes(tokens_, sizeof tokens_));
      tokens_left_ = sizeof tokens_ / sizeof tokens_[0];
    }
    token = std::exchange(tokens_[--tokens_left_], 0);
  }
  return token;
}

void RdmaTransport::log(Level level, const char* format, ...) noexcept {
  char line[512] = "rdma: ";
  constexpr std::size_t kPrefix = 6;
  va_list arguments;
  va_start(arguments, format);
  const int wanted = std::vsnprintf(line + kPrefix, sizeof line - kPrefix, format, arguments);
  va_end(arguments);
  if (wanted < 0) return;
  host_.log(level, Text(line, std::min(sizeof line - 1, kPrefix + static_cast<std::size_t>(wanted))));
}

}  // namespace rideau::rdma
