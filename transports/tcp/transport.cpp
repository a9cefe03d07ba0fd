// SPDX-License-Identifier: Apache-2.0
#include "transport.hpp"

#include "acceptor.hpp"
#include "bundle.hpp"
#include "connector.hpp"
#include "link.hpp"
#include "listener.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rideau::tcp {

TcpTransport::TcpTransport(Host& host, const Config& config, std::unique_ptr<TlsKeys> tls)
    : host_(host),
      config_(config),
      tls_(std::move(tls)),
      chunks_(config.chunk_bytes),
      drain_(new std::uint8_t[kDrainBytes]) {}

TcpTransport::~TcpTransport() {
  destroying_ = true;
  for (Connector* connector : connectors_) delete connector;
  for (Acceptor* acceptor : acceptors_) delete acceptor;
  for (TcpLink* link : links_) delete link;
  for (Bundle* bundle : bundles_) delete bundle;
  listeners_.clear();
  while (free_frames_ != nullptr) {
    LentFrame* frame = free_frames_;
    free_frames_ = static_cast<LentFrame*>(frame->next);
    delete frame;
  }
}

Submitted TcpTransport::start(Completion& done) noexcept { return done.finish(kOk); }

Submitted TcpTransport::stop(Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  stopped_ = true;
  for (auto& listener : listeners_) listener->close();
  for (Connector* connector : connectors_) connector->end({Code::closed, 0, "the transport was stopped"});
  for (Acceptor* acceptor : acceptors_) acceptor->end(nullptr);
  for (TcpLink* link : links_) link->close();  // what has several of them ends with the first
  if (quiet()) return done.finish(kOk);
  stopping_ = &done;
  return Submitted::pending;
}

bool TcpTransport::quiet() const noexcept {
  return connectors_.empty() && acceptors_.empty() &&
         std::all_of(links_.begin(), links_.end(), [](TcpLink* link) { return link->quiet(); }) &&
         std::all_of(bundles_.begin(), bundles_.end(), [](Bundle* bundle) { return bundle->quiet(); }) &&
         std::all_of(listeners_.begin(), listeners_.end(), [](const auto& listener) { return listener->quiet(); });
}

void TcpTransport::check_stopped() noexcept {
  if (stopping_ == nullptr || !quiet()) return;
  host_.complete(*std::exchange(stopping_, nullptr), kOk, 0);
}

void TcpTransport::cancel(Completion& pending) noexcept {
  if (pending.plugin_slot[0] != nullptr) static_cast<Pending*>(pending.plugin_slot[0])->cancel();
}

void TcpTransport::destroy() noexcept { delete this; }

TransportLimits TcpTransport::limits() const noexcept {
  TransportLimits limits;
  limits.head_bytes_max = config_.head_bytes;
  limits.eager_bytes_max = config_.eager_bytes;
  limits.parts_max = kPartsMax;
  limits.bulk_bytes_max = kBulkBytesMax;
  return limits;
}

Status TcpTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  if (stopped_) return {Code::closed, 0, "listen"};
  HostPort name;
  if (const Status status = parse_address(address, &name); !status.ok()) return status;
  std::vector<Address> addresses;
  if (const Status status = resolve(name, true, &addresses); !status.ok()) return status;
  int fd = -1;
  Address actual;
  Status status;
  for (const Address& candidate : addresses) {
    status = open_listener(candidate, &fd, &actual);
    if (status.ok()) break;
  }
  if (!status.ok()) return status;
  const std::string text = address_text(actual);
  if (text.size() > bound.size) {
    close_socket(fd);
    return {Code::too_large, 0, "listen: no room for the bound address"};
  }
  std::memcpy(bound.data, text.data(), text.size());
  *bound_size = text.size();
  const bool loopback = text.rfind("127.", 0) == 0 || text.rfind("[::1]", 0) == 0;
  if (tls_ == nullptr && !loopback) {
    log(Level::warning, "%s is open to whoever can reach it: `rideau keys --help` tells how a cluster gets keys",
        text.c_str());
  }
  listeners_.push_back(std::make_unique<Listener>(*this, fd, events, false));
  listeners_.back()->wait();
  if (config_.local) listen_local(actual, events);
  return kOk;
}

// Without it everybody comes over TCP.
void TcpTransport::listen_local(const Address& bound, LinkEvents& events) noexcept {
  int fd = -1;
  const Status status = open_local_listener(bound, config_.socket, &fd);
  if (!status.ok()) {
    log(Level::info, "no Unix socket beside %s (errno %d)", address_text(bound).c_str(), status.os_error);
    return;
  }
  listeners_.push_back(std::make_unique<Listener>(*this, fd, events, true));
  listeners_.back()->wait();
}

bool TcpTransport::offer(SharedMemory& memory) noexcept {
  if (config_.local) offered_ = &memory;
  return config_.local;
}

void TcpTransport::on_cut() noexcept {
  for (TcpLink* link : links_) link->on_cut();
}

Submitted TcpTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  if (stopped_) return done.finish({Code::closed, 0, "connect"});
  HostPort name;
  if (const Status status = parse_address(address, &name); !status.ok()) return done.finish(status);
  if (links_.size() + connectors_.size() >= config_.links_max)
    return done.finish({Code::busy, 0, "connect: too many links"});
  auto* connector = new Connector(*this, events, out, done);
  connectors_.push_back(connector);
  connector->begin(name);
  return Submitted::pending;
}

std::uint64_t TcpTransport::token() noexcept {
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

LentFrame* TcpTransport::take_frame() {
  LentFrame* frame = free_frames_;
  if (frame == nullptr) return new LentFrame;
  free_frames_ = static_cast<LentFrame*>(frame->next);
  --free_frame_count_;
  *frame = LentFrame{};
  return frame;
}

void TcpTransport::put_frame(LentFrame* frame) noexcept {
  if (free_frame_count_ == kFreeFramesKept) {
    delete frame;
    return;
  }
  frame->next = free_frames_;
  free_frames_ = frame;
  ++free_frame_count_;
}

TcpLink* TcpTransport::add_link(int fd, PeerInfo peer, std::unique_ptr<TlsSession> tls) {
  if (links_.size() >= config_.links_max || stopped_) {
    log(Level::warning, "connection with %s dropped: %zu links are open", peer.name.c_str(), links_.size());
    close_socket(fd);
    return nullptr;
  }
  links_.push_back(new TcpLink(*this, fd, std::move(peer), std::move(tls)));
  return links_.back();
}

// Who opens connections and says nothing costs others nothing: the oldest of too many has to go.
void TcpTransport::accept_tls(int fd, PeerInfo peer, LinkEvents& events) {
  const auto open = [](const Acceptor* acceptor) { return !acceptor->ended(); };
  if (std::count_if(acceptors_.begin(), acceptors_.end(), open) >= kHandshakesMax) {
    (*std::find_if(acceptors_.begin(), acceptors_.end(), open))->end("too many handshakes of TLS at a time");
  }
  std::unique_ptr<TlsSession> session = TlsSession::make(*tls_, fd, TlsSession::Side::accepts, {});
  if (session == nullptr) {
    log_refusal("connection with %s dropped: no memory for TLS", peer.name.c_str());
    close_socket(fd);
    return;
  }
  auto* acceptor = new Acceptor(*this, fd, std::move(peer), events);
  acceptors_.push_back(acceptor);
  acceptor->begin(std::move(session));
}

void TcpTransport::remove_acceptor(Acceptor& acceptor) noexcept {
  acceptors_.erase(std::find(acceptors_.begin(), acceptors_.end(), &acceptor));
  delete &acceptor;
  check_stopped();
}

void TcpTransport::remove_link(TcpLink& link) noexcept {
  if (destroying_) return;
  links_.erase(std::find(links_.begin(), links_.end(), &link));
  delete &link;
}

void TcpTransport::begin_accepted(TcpLink& link, LinkEvents& listener) noexcept {
  if (config_.connections > 1) {
    link.begin_undecided(listener);
  } else {
    link.begin(listener.on_link(link));
  }
}

Bundle& TcpTransport::add_bundle(Connector& connector, LinkEvents& events) {
  bundles_.push_back(new Bundle(*this, connector, events));
  return *bundles_.back();
}

Connector& TcpTransport::add_lane_connector(Bundle& bundle, std::uint32_t lane) {
  connectors_.push_back(new Connector(*this, bundle, lane));
  return *connectors_.back();
}

bool TcpTransport::join_bundle(TcpLink& link, const BundleHead& head, LinkEvents& listener) {
  if (head.count < 2 || head.count > config_.connections || head.index >= head.count) return false;
  const auto named = [&](const Bundle* bundle) { return bundle->is_named(head); };
  const auto found = std::find_if(bundles_.begin(), bundles_.end(), named);
  if (found != bundles_.end()) return (*found)->join(link, head);
  // Any of them may come first.
  bundles_.push_back(new Bundle(*this, head, listener));
  return bundles_.back()->join(link, head);
}

void TcpTransport::remove_bundle(Bundle& bundle) noexcept {
  if (destroying_) return;
  bundles_.erase(std::find(bundles_.begin(), bundles_.end(), &bundle));
  delete &bundle;
  check_stopped();
}

void TcpTransport::remove_connector(Connector& connector) noexcept {
  connectors_.erase(std::find(connectors_.begin(), connectors_.end(), &connector));
  delete &connector;
  check_stopped();
}

void TcpTransport::log(Level level, const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  log_line(level, format, arguments);
  va_end(arguments);
}

void TcpTransport::log_refusal(const char* format, ...) noexcept {
  const std::uint64_t now = host_.now_ns();
  if (now - refusals_since_ns_ >= kRefusalsNs) {
    refusals_since_ns_ = now;
    refusals_logged_ = 0;
    const std::uint64_t kept_back = std::exchange(refusals_kept_back_, 0);
    if (kept_back > 0)
      log(Level::warning, "%llu refusals more were not logged", static_cast<unsigned long long>(kept_back));
  }
  if (refusals_logged_ == kRefusalsLogged) {
    ++refusals_kept_back_;
    return;
  }
  ++refusals_logged_;
  va_list arguments;
  va_start(arguments, format);
  log_line(Level::warning, format, arguments);
  va_end(arguments);
}

void TcpTransport::log_line(Level level, const char* format, std::va_list arguments) noexcept {
  char line[512] = "tcp: ";
  constexpr std::size_t kPrefix = 5;
  const int wanted = std::vsnprintf(line + kPrefix, sizeof line - kPrefix, format, arguments);
  if (wanted < 0) return;
  host_.log(level, Text(line, std::min(sizeof line - 1, kPrefix + static_cast<std::size_t>(wanted))));
}

}  // namespace rideau::tcp
