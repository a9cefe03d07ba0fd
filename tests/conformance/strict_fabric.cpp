// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/strict_fabric.hpp"

#include <cstddef>
#include <map>
#include <memory>

#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

extern "C" {
int __real_fi_getinfo(std::uint32_t, const char*, const char*, std::uint64_t, const fi_info*, fi_info**);
int __real_fi_fabric(fi_fabric_attr*, fid_fabric**, void*);
int __wrap_fi_getinfo(std::uint32_t, const char*, const char*, std::uint64_t, const fi_info*, fi_info**);
int __wrap_fi_fabric(fi_fabric_attr*, fid_fabric**, void*);
}

namespace rideau::strict_fabric {
namespace {

constexpr int kDemanded = static_cast<int>(FI_MR_LOCAL | FI_MR_ENDPOINT);

struct Registration {
  const std::uint8_t* base = nullptr;
  std::size_t size = 0;
  std::uint64_t access = 0;
  bool bound = false;
  bool enabled = false;
};

// The tables of an object: the provider's, and ours in their place.
struct Tables {
  fi_ops* real = nullptr;
  fi_ops own{};
  fi_ops_fabric fabric{};
  fi_ops_fabric* real_fabric = nullptr;
  fi_ops_domain domain{};
  fi_ops_domain* real_domain = nullptr;
  fi_ops_mr mr{};
  fi_ops_mr* real_mr = nullptr;
  fi_ops_msg msg{};
  fi_ops_msg* real_msg = nullptr;
  fi_ops_rma rma{};
  fi_ops_rma* real_rma = nullptr;
  std::uint64_t binds = 0;  // of an endpoint
  bool has_places = false;
};

bool demanding = false;
Seen state;
std::map<const void*, Registration> registrations;  // by descriptor
std::map<const fid*, std::unique_ptr<Tables>> tables;

int fault(const char* what) {
  if (state.faults.size() < 20) state.faults.emplace_back(what);
  return -FI_EINVAL;
}

Tables& of(const void* object) { return *tables.at(static_cast<const fid*>(object)); }

bool good(const void* descriptor, const void* base, std::size_t size, std::uint64_t access) {
  const auto found = registrations.find(descriptor);
  if (descriptor == nullptr || found == registrations.end()) return fault("a descriptor of no registration"), false;
  const Registration& one = found->second;
  if (demanding && (!one.bound || !one.enabled)) return fault("memory that is bound to no endpoint"), false;
  if ((one.access & access) == 0) return fault("memory without the right for the operation"), false;
  const auto* begin = static_cast<const std::uint8_t*>(base);
  if (begin < one.base || begin + size > one.base + one.size) return fault("memory outside of its registration"), false;
  return true;
}

ssize_t strict_send(fid_ep* ep, const void* data, std::size_t size, void* descriptor, fi_addr_t to, void* context) {
  if (!good(descriptor, data, size, FI_SEND)) return -FI_EINVAL;
  ++state.messages;
  return of(&ep->fid).real_msg->send(ep, data, size, descriptor, to, context);
}

ssize_t strict_recv(fid_ep* ep, void* data, std::size_t size, void* descriptor, fi_addr_t from, void* context) {
  if (!good(descriptor, data, size, FI_RECV)) return -FI_EINVAL;
  return of(&ep->fid).real_msg->recv(ep, data, size, descriptor, from, context);
}

bool good_parts(const fi_msg_rma& message, std::uint64_t access) {
  for (std::size_t i = 0; i < message.iov_count; ++i) {
    const void* descriptor = message.desc != nullptr ? message.desc[i] : nullptr;
    if (!good(descriptor, message.msg_iov[i].iov_base, message.msg_iov[i].iov_len, access)) return false;
  }
  return true;
}

ssize_t strict_readmsg(fid_ep* ep, const fi_msg_rma* message, std::uint64_t flags) {
  if (!good_parts(*message, FI_READ)) return -FI_EINVAL;
  ++state.reads;
  return of(&ep->fid).real_rma->readmsg(ep, message, flags);
}

ssize_t strict_writemsg(fid_ep* ep, const fi_msg_rma* message, std::uint64_t flags) {
  if (!good_parts(*message, FI_WRITE)) return -FI_EINVAL;
  ++state.writes;
  return of(&ep->fid).real_rma->writemsg(ep, message, flags);
}

int close_any(fid* object) {
  const std::unique_ptr<Tables> gone = std::move(tables.at(object));
  tables.erase(object);
  object->ops = gone->real;
  if (object->fclass == FI_CLASS_MR) {
    registrations.erase(fi_mr_desc(reinterpret_cast<fid_mr*>(object)));
    --state.open_registrations;
  }
  return gone->real->close(object);
}

int bind_region(fid* object, fid* to, std::uint64_t flags) {
  if (to->fclass != FI_CLASS_EP || flags != 0) return fault("memory is bound to endpoints");
  registrations.at(fi_mr_desc(reinterpret_cast<fid_mr*>(object))).bound = true;
  return 0;
}

int control_region(fid* object, int command, void* argument) {
  if (command != FI_ENABLE) return of(object).real->control(object, command, argument);
  Registration& one = registrations.at(fi_mr_desc(reinterpret_cast<fid_mr*>(object)));
  if (!one.bound) return fault("memory was enabled before it was bound");
  one.enabled = true;
  return 0;
}

int bind_endpoint(fid* object, fid* to, std::uint64_t flags) {
  Tables& own = of(object);
  if (to->fclass == FI_CLASS_CQ) own.binds |= flags;
  if (to->fclass == FI_CLASS_AV) own.has_places = true;
  return own.real->bind(object, to, flags);
}

int control_endpoint(fid* object, int command, void* argument) {
  Tables& own = of(object);
  if (command == FI_ENABLE && (!own.has_places || own.binds != (FI_TRANSMIT | FI_RECV)))
    return fault("an endpoint was enabled unbound");
  return own.real->control(object, command, argument);
}

// Puts the provider's table of the object aside and a copy in its place.
Tables& take_over(fid& object) {
  auto& place = tables[&object];
  place = std::make_unique<Tables>();
  place->real = object.ops;
  place->own = *object.ops;
  place->own.close = close_any;
  object.ops = &place->own;
  return *place;
}

int strict_register(fid* domain, const void* base, std::size_t size, std::uint64_t access, std::uint64_t offset,
                    std::uint64_t key, std::uint64_t flags, fid_mr** out, void* context) {
  const int result = of(domain).real_mr->reg(domain, base, size, access, offset, key, flags, out, context);
  if (result != 0) return result;
  Tables& own = take_over((*out)->fid);
  own.own.bind = bind_region;
  own.own.control = control_region;
  registrations[fi_mr_desc(*out)] = Registration{static_cast<const std::uint8_t*>(base), size, access};
  ++state.registrations;
  ++state.open_registrations;
  return 0;
}

int strict_endpoint(fid_domain* domain, fi_info* info, fid_ep** out, void* context) {
  const int mode = info->domain_attr->mr_mode;
  if (demanding) info->domain_attr->mr_mode &= ~kDemanded;
  const int result = of(&domain->fid).real_domain->endpoint(domain, info, out, context);
  info->domain_attr->mr_mode = mode;
  if (result != 0) return result;
  Tables& own = take_over((*out)->fid);
  own.own.bind = bind_endpoint;
  own.own.control = control_endpoint;
  own.real_msg = (*out)->msg;
  own.msg = *own.real_msg;
  own.msg.send = strict_send;
  own.msg.recv = strict_recv;
  (*out)->msg = &own.msg;
  own.real_rma = (*out)->rma;
  own.rma = *own.real_rma;
  own.rma.readmsg = strict_readmsg;
  own.rma.writemsg = strict_writemsg;
  (*out)->rma = &own.rma;
  return 0;
}

int strict_domain(fid_fabric* fabric, fi_info* info, fid_domain** out, void* context) {
  const int mode = info->domain_attr->mr_mode;
  if (demanding) info->domain_attr->mr_mode &= ~kDemanded;
  const int result = of(&fabric->fid).real_fabric->domain(fabric, info, out, context);
  info->domain_attr->mr_mode = mode;
  if (result != 0) return result;
  Tables& own = take_over((*out)->fid);
  own.real_domain = (*out)->ops;
  own.domain = *own.real_domain;
  own.domain.endpoint = strict_endpoint;
  (*out)->ops = &own.domain;
  own.real_mr = (*out)->mr;
  own.mr = *own.real_mr;
  own.mr.reg = strict_register;
  (*out)->mr = &own.mr;
  return 0;
}

}  // namespace

void begin(bool demand) {
  demanding = demand;
  const std::uint64_t open = state.open_registrations;
  state = Seen{};
  state.open_registrations = open;
}

const Seen& seen() { return state; }

}  // namespace rideau::strict_fabric

using namespace rideau::strict_fabric;

int __wrap_fi_getinfo(std::uint32_t version, const char* node, const char* service, std::uint64_t flags,
                      const fi_info* hints, fi_info** out) {
  const int result = __real_fi_getinfo(version, node, service, flags, hints, out);
  if (result != 0 || !demanding) return result;
  for (fi_info* info = *out; info != nullptr; info = info->next) info->domain_attr->mr_mode |= kDemanded;
  return 0;
}

int __wrap_fi_fabric(fi_fabric_attr* attributes, fid_fabric** out, void* context) {
  const int result = __real_fi_fabric(attributes, out, context);
  if (result != 0) return result;
  Tables& own = take_over((*out)->fid);
  own.real_fabric = (*out)->ops;
  own.fabric = *own.real_fabric;
  own.fabric.domain = strict_domain;
  (*out)->ops = &own.fabric;
  return 0;
}
