// SPDX-License-Identifier: Apache-2.0
#include "fabric.hpp"

#include <cerrno>
#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <vector>

namespace rideau::rdma {
namespace {

constexpr std::uint32_t kVersion = FI_VERSION(1, 17);
constexpr std::uint64_t kServedBits = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT;

InfoPtr hints_for(const FabricChoice& choice, bool delivery) {
  InfoPtr hints(fi_allocinfo());
  hints->caps = FI_MSG | FI_RMA;
  hints->mode = FI_CONTEXT | FI_CONTEXT2;
  hints->ep_attr->type = FI_EP_RDM;
  hints->fabric_attr->prov_name = ::strdup(choice.provider.c_str());
  // One thread drives everything, and it polls the completion queue itself.
  hints->domain_attr->threading = FI_THREAD_DOMAIN;
  hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
  hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
  hints->domain_attr->resource_mgmt = FI_RM_ENABLED;
  hints->domain_attr->av_type = FI_AV_UNSPEC;
  switch (choice.registration) {
    case Registration::automatic:
      hints->domain_attr->mr_mode = static_cast<int>(kServedBits);
      break;
    case Registration::none:
      hints->domain_attr->mr_mode = 0;
      break;
    case Registration::basic:
      hints->domain_attr->mr_mode = FI_MR_BASIC;
      break;
  }
  if (delivery) hints->tx_attr->op_flags = FI_DELIVERY_COMPLETE;
  return hints;
}

bool keeps_order(const fi_info& info) noexcept {
  return (info.tx_attr->msg_order & info.rx_attr->msg_order & FI_ORDER_SAW) != 0;
}

int ask(const FabricChoice& choice, const HostPort& address, bool own, bool delivery, fi_info** out) {
  const InfoPtr hints = hints_for(choice, delivery);
  const char* host = address.host.empty() ? nullptr : address.host.c_str();
  return fi_getinfo(kVersion, host, address.port.c_str(), own ? FI_SOURCE : 0, hints.get(), out);
}

// Names of the open endpoints of shared memory; instances may live on different threads.
struct OpenNames {
  std::mutex mutex;
  std::vector<std::string> names;
};
OpenNames& open_names() {
  static OpenNames all;
  return all;
}
std::string text_of(Bytes name) {
  return std::string(reinterpret_cast<const char*>(name.data),
                     ::strnlen(reinterpret_cast<const char*>(name.data), name.size));
}

// The first that fits, alone.
fi_info* take_first(InfoPtr all, bool (*fits)(const fi_info&)) {
  for (fi_info* info = all.get(); info != nullptr; info = info->next) {
    if (fits(*info)) return fi_dupinfo(info);
  }
  return nullptr;
}

}  // namespace

bool open_in_this_process(Bytes name) {
  OpenNames& all = open_names();
  const std::lock_guard lock(all.mutex);
  return std::find(all.names.begin(), all.names.end(), text_of(name)) != all.names.end();
}

Status fabric_failure(std::int64_t error, const char* where) noexcept {
  const int os_error = static_cast<int>(-error);
  if (os_error == FI_EADDRINUSE || os_error == FI_EBUSY) return {Code::exists, EADDRINUSE, where};
  if (os_error == FI_ENOMEM || os_error == FI_EMFILE) return {Code::busy, os_error, where};
  return {Code::io_error, os_error < 256 ? os_error : EIO, where};
}

Status parse_address(Text text, HostPort* out) {
  const std::string_view all = text.view();
  const std::size_t colon = all.rfind(':');
  constexpr Status kBad{Code::invalid, 0, "an address is host:port or [v6]:port"};
  if (colon == std::string_view::npos || colon + 1 == all.size()) return kBad;
  std::string_view host = all.substr(0, colon);
  const std::string_view port = all.substr(colon + 1);
  for (const char digit : port) {
    if (digit < '0' || digit > '9') return kBad;
  }
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return kBad;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return kBad;
  }
  if (host.empty() || host.find(' ') != std::string_view::npos) return kBad;
  out->host = host;
  out->port = port;
  return kOk;
}

Status find_fabric(const FabricChoice& choice, const HostPort& address, bool own, InfoPtr* out, std::string* why) {
  fi_info* found = nullptr;
  const int result = ask(choice, address, own, false, &found);
  if (result != 0) {
    *why = "libfabric has no provider \"" + choice.provider +
           "\" here with FI_EP_RDM, FI_MSG and FI_RMA in the wanted registration mode for " + address.host + ":" +
           address.port + " (" + fi_strerror(-result) + "); `fi_info -l` lists the providers";
    return {Code::not_found, result == -FI_ENODATA ? 0 : -result, "find a libfabric provider"};
  }
  fi_info* chosen = take_first(InfoPtr(found), keeps_order);
  if (chosen == nullptr) {
    found = nullptr;
    if (ask(choice, address, own, true, &found) == 0) {
      chosen = take_first(InfoPtr(found), [](const fi_info&) { return true; });
    }
  }
  if (chosen == nullptr) {
    *why = "provider \"" + choice.provider +
           "\" offers neither FI_ORDER_SAW nor FI_DELIVERY_COMPLETE: a message could overtake the write before it";
    return {Code::unsupported, 0, "find a libfabric provider"};
  }
  out->reset(chosen);
  return kOk;
}

bool is_shared_memory(const fi_info& info) noexcept {
  return info.addr_format == FI_ADDR_STR && std::string_view(info.fabric_attr->prov_name) == "shm";
}

std::string address_of_peer(const fi_info& info) {
  std::string name(static_cast<const char*>(info.dest_addr), info.dest_addrlen);
  if (info.addr_format == FI_ADDR_STR && (name.empty() || name.back() != '\0')) name.push_back('\0');
  return name;
}

std::string own_address(const fi_info& info) {
  return std::string(static_cast<const char*>(info.src_addr), info.src_addrlen);
}

Status Fabric::open(InfoPtr info, std::unique_ptr<Fabric>* out, std::string* why) {
  auto made = std::make_unique<Fabric>();
  made->info_ = std::move(info);
  fi_info& chosen = *made->info_;
  if (!keeps_order(chosen)) made->write_flags_ = FI_DELIVERY_COMPLETE;
  int result = 0;
  auto failed = [&](const char* where) {
    *why = std::string(where) + " of provider " + chosen.fabric_attr->prov_name + ": " + fi_strerror(-result);
    return fabric_failure(result, where);
  };
  fid_fabric* fabric = nullptr;
  if ((result = fi_fabric(chosen.fabric_attr, &fabric, nullptr)) != 0) return failed("open the fabric");
  made->fabric_.reset(fabric);
  fid_domain* domain = nullptr;
  if ((result = fi_domain(fabric, &chosen, &domain, nullptr)) != 0) return failed("open the domain");
  made->domain_.reset(domain);
  fi_av_attr places{};
  places.type = FI_AV_TABLE;
  fid_av* av = nullptr;
  if ((result = fi_av_open(domain, &places, &av, nullptr)) != 0) return failed("open the address vector");
  made->av_.reset(av);
  fi_cq_attr queue{};
  queue.format = FI_CQ_FORMAT_MSG;
  queue.wait_obj = FI_WAIT_FD;
  fid_cq* cq = nullptr;
  result = fi_cq_open(domain, &queue, &cq, nullptr);
  if (result == 0) {
    result = fi_control(&cq->fid, FI_GETWAIT, &made->wait_fd_);
    if (result != 0) made->wait_fd_ = -1;
  } else {
    queue.wait_obj = FI_WAIT_NONE;
    if ((result = fi_cq_open(domain, &queue, &cq, nullptr)) != 0) return failed("open the completion queue");
  }
  made->cq_.reset(cq);
  fid_ep* ep = nullptr;
  if ((result = fi_endpoint(domain, &chosen, &ep, nullptr)) != 0) return failed("open the endpoint");
  made->ep_.reset(ep);
  if ((result = fi_ep_bind(ep, &av->fid, 0)) != 0) return failed("bind the address vector");
  if ((result = fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV)) != 0) return failed("bind the completion queue");
  if ((result = fi_enable(ep)) != 0) return failed("enable the endpoint");
  made->name_bytes_ = sizeof made->name_;
  if ((result = fi_getname(&ep->fid, made->name_, &made->name_bytes_)) != 0) return failed("name the endpoint");
  if (made->is_shared_memory()) {
    OpenNames& all = open_names();
    const std::lock_guard lock(all.mutex);
    all.names.push_back(text_of(made->name()));
  }
  *out = std::move(made);
  return kOk;
}

void Fabric::close_endpoint() noexcept {
  if (ep_ == nullptr) return;
  if (is_shared_memory()) {
    OpenNames& all = open_names();
    const std::lock_guard lock(all.mutex);
    const auto own = std::find(all.names.begin(), all.names.end(), text_of(name()));
    if (own != all.names.end()) all.names.erase(own);
  }
  ep_.reset();
}

Status Fabric::enroll(void* base, std::size_t size, std::uint64_t access, std::uint64_t key_wish,
                      Registered* out) noexcept {
  const int mode = info_->domain_attr->mr_mode;
  const std::size_t key_bytes = info_->domain_attr->mr_key_size;
  if (key_bytes < sizeof key_wish) key_wish &= (std::uint64_t{1} << (8 * key_bytes)) - 1;
  fid_mr* region = nullptr;
  int result = fi_mr_reg(domain_.get(), base, size, access, 0, key_wish, 0, &region, nullptr);
  if (result != 0) return fabric_failure(result, "register memory");
  Registered made(region);
  if ((mode & FI_MR_ENDPOINT) != 0) {
    result = fi_mr_bind(region, &ep_->fid, 0);
    if (result == 0) result = fi_mr_enable(region);
    if (result != 0) return fabric_failure(result, "bind registered memory");
  }
  *out = std::move(made);
  return kOk;
}

std::uint64_t Fabric::remote_address(const void* base) const noexcept {
  const int mode = info_->domain_attr->mr_mode;
  const bool is_virtual = (mode & FI_MR_BASIC) != 0 || (mode & FI_MR_VIRT_ADDR) != 0;
  return is_virtual ? reinterpret_cast<std::uintptr_t>(base) : 0;
}

bool Fabric::may_sleep() noexcept {
  fid* waits[] = {&cq_->fid};
  return fi_trywait(fabric_.get(), waits, 1) == FI_SUCCESS;
}

std::string Fabric::address_text() const {
  if (info_->addr_format == FI_ADDR_STR) return {};
  char text[kNameBytesMax] = {};
  std::size_t size = sizeof text;
  fi_av_straddr(av_.get(), name_, text, &size);
  std::string_view all(text);
  const std::size_t scheme = all.find("://");
  if (scheme != std::string_view::npos) all.remove_prefix(scheme + 3);
  return std::string(all);
}

}  // namespace rideau::rdma
