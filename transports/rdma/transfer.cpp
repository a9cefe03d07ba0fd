// SPDX-License-Identifier: Apache-2.0
#include "transfer.hpp"

#include "endpoint.hpp"
#include "link.hpp"
#include "transport.hpp"

#include <algorithm>

namespace rideau::rdma {

void Transfer::cancel() noexcept { link->cancel_transfer(*this); }

Status Transfer::prepare(Fabric& fabric, const IoVec* parts, std::uint32_t count, RdmaTransport& keys) noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (parts[i].size == 0) continue;
    Registered registered;
    const Status status =
        fabric.enroll(parts[i].base, parts[i].size, reads ? FI_READ : FI_WRITE, keys.token(), &registered);
    if (!status.ok()) return status;
    local_.push_back(parts[i]);
    descriptors_.push_back(fi_mr_desc(registered.get()));
    registrations_.push_back(std::move(registered));
  }
  return kOk;
}

void Transfer::skip_remote(std::uint64_t bytes) noexcept {
  while (bytes >= region->parts[remote_index_].bytes) bytes -= region->parts[remote_index_++].bytes;
  remote_offset_ = bytes;
}

bool Transfer::issue(Endpoint& endpoint) noexcept {
  Fabric& fabric = endpoint.fabric();
  const std::size_t pieces_max = std::min<std::size_t>(kLocalPartsAtOnce, fabric.info().tx_attr->iov_limit);
  while (left > 0) {
    const RemotePart& remote = region->parts[remote_index_];
    const std::uint64_t most = std::min({left, remote.bytes - remote_offset_, fabric.info().ep_attr->max_msg_size});
    if (most == 0) {
      ++remote_index_;
      remote_offset_ = 0;
      continue;
    }
    iovec pieces[kLocalPartsAtOnce];
    void* descriptors[kLocalPartsAtOnce];
    std::size_t count = 0;
    std::uint64_t covered = 0;
    std::size_t at = local_index_;
    std::size_t offset = local_offset_;
    while (count < pieces_max && covered < most) {
      const std::size_t take = std::min<std::uint64_t>(local_[at].size - offset, most - covered);
      pieces[count] = {static_cast<std::uint8_t*>(local_[at].base) + offset, take};
      descriptors[count++] = descriptors_[at];
      covered += take;
      offset += take;
      if (offset == local_[at].size) {
        ++at;
        offset = 0;
      }
    }
    fi_rma_iov far{remote.address + remote_offset_, covered, remote.key};
    fi_msg_rma message{};
    message.msg_iov = pieces;
    message.desc = descriptors;
    message.iov_count = count;
    message.addr = link->fabric_address();
    message.rma_iov = &far;
    message.rma_iov_count = 1;
    TransferOp* op = endpoint.take_op();
    op->transfer = this;
    message.context = &op->context;
    const std::int64_t result = !endpoint.can_reach(link->peer()) ? -FI_ENOTCONN
                                : reads                           ? fi_readmsg(fabric.ep(), &message, FI_COMPLETION)
                                        : fi_writemsg(fabric.ep(), &message, FI_COMPLETION | fabric.write_flags());
    if (result != 0) {
      endpoint.put_op(op);
      if (result == -FI_EAGAIN) return false;
      failure = fabric_failure(result, reads ? "remote read" : "remote write");
      left = 0;
      return true;
    }
    endpoint.made_call();
    begun = true;
    ++ops;
    left -= covered;
    remote_offset_ += covered;
    local_index_ = at;
    local_offset_ = offset;
  }
  return true;
}

}  // namespace rideau::rdma
