// SPDX-License-Identifier: Apache-2.0
// Finding a provider of libfabric and opening it: what every endpoint of this driver needs, and nothing of links.
#pragma once

#include "limits.hpp"
#include "rideau/buffer.hpp"
#include "rideau/status.hpp"

#include <cstdint>
#include <memory>
#include <string>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

namespace rideau::rdma {

// Which memory-registration bits of libfabric this side offers. Whatever is chosen, every buffer is registered and
// every descriptor passed.
enum class Registration : std::uint8_t {
  automatic,  // every bit that this driver can serve; the provider takes what it needs
  none,       // no bit: addresses are offsets, keys are ours
  basic,      // FI_MR_BASIC: virtual addresses and keys of the provider
};

struct FabricChoice {
  std::string provider;  // "tcp;ofi_rxm", "verbs", "shm"
  Registration registration = Registration::automatic;
};

struct HostPort {
  std::string host;
  std::string port;
};
// "host:port" or "[v6]:port".
Status parse_address(Text text, HostPort* out);

struct InfoFree {
  void operator()(fi_info* info) const noexcept { fi_freeinfo(info); }
};
using InfoPtr = std::unique_ptr<fi_info, InfoFree>;

// What a provider offers for an address: of this side (`own`) or of a peer. Refuses a provider that cannot promise that
// a message does not overtake the write before it. `why` receives a sentence for people. May block on a name server.
Status find_fabric(const FabricChoice& choice, const HostPort& address, bool own, InfoPtr* out, std::string* why);

bool is_shared_memory(const fi_info& info) noexcept;
// The name of the peer in what was found for it; the own one.
std::string address_of_peer(const fi_info& info);
std::string own_address(const fi_info& info);

struct FidClose {
  template <class Fid>
  void operator()(Fid* fid) const noexcept {
    fi_close(&fid->fid);
  }
};
template <class Fid>
using FidPtr = std::unique_ptr<Fid, FidClose>;
using Registered = FidPtr<fid_mr>;

// -libfabric's errors as a Status; `where` is static text.
Status fabric_failure(std::int64_t error, const char* where) noexcept;

// Whether an endpoint of shared memory with this name is open in this process. The provider reaches such a peer by a
// pointer, which nobody tells it to forget when the peer closes.
bool open_in_this_process(Bytes name);

// One open endpoint with what it needs. Closing it (by destruction) ends all remote access through it.
class Fabric {
 public:
  Fabric() = default;
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;
  ~Fabric() { close_endpoint(); }
  // exists: the address is in use.
  static Status open(InfoPtr info, std::unique_ptr<Fabric>* out, std::string* why);

  // Remote operations name the memory with *address and *key. `key_wish` is used where the provider leaves keys to us.
  Status enroll(void* base, std::size_t size, std::uint64_t access, std::uint64_t key_wish, Registered* out) noexcept;
  std::uint64_t remote_address(const void* base) const noexcept;

  fid_ep* ep() noexcept { return ep_.get(); }
  fid_cq* cq() noexcept { return cq_.get(); }
  fid_av* av() noexcept { return av_.get(); }
  int wait_fd() const noexcept { return wait_fd_; }  // -1: the provider cannot be waited for
  // Ends all traffic and remote access; what else is open goes with the object.
  void close_endpoint() noexcept;
  bool may_sleep() noexcept;  // nothing would be missed by waiting on wait_fd() now
  const fi_info& info() const noexcept { return *info_; }
  std::uint64_t write_flags() const noexcept { return write_flags_; }
  bool is_shared_memory() const noexcept { return rdma::is_shared_memory(*info_); }
  Bytes name() const noexcept { return Bytes(name_, name_bytes_); }
  std::string address_text() const;  // "host:port"; empty where addresses are no sockets

 private:
  InfoPtr info_;
  FidPtr<fid_fabric> fabric_;
  FidPtr<fid_domain> domain_;
  FidPtr<fid_av> av_;
  FidPtr<fid_cq> cq_;
  FidPtr<fid_ep> ep_;
  int wait_fd_ = -1;
  std::uint64_t write_flags_ = 0;
  std::uint8_t name_[kNameBytesMax] = {};
  std::size_t name_bytes_ = 0;
};

}  // namespace rideau::rdma
