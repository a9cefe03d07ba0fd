// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls about advisory locks.
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

void fill(schema::SetAdvisoryLockRequest::Builder to, const SetAdvisoryLockRequest& from) {
  to.setInode(from.inode);
  to.setOwner(from.owner);
  to.setFamily(from.family);
  to.setMode(from.mode);
  to.setFirst(from.first);
  to.setLast(from.last);
  to.setWait(from.wait);
  to.setTicket(from.ticket);
  to.setProcess(from.process);
}
void take(schema::SetAdvisoryLockRequest::Reader from, SetAdvisoryLockRequest* to) {
  to->inode = from.getInode();
  to->owner = from.getOwner();
  to->family = from.getFamily();
  to->mode = from.getMode();
  to->first = from.getFirst();
  to->last = from.getLast();
  to->wait = from.getWait();
  to->ticket = from.getTicket();
  to->process = from.getProcess();
}

void encode(const SetAdvisoryLockRequest& from, wire::Encoded& to) {
  encode_root<schema::SetAdvisoryLockRequest>(to, [&](auto root) { fill(root, from); });
}
Status decode(Bytes body, SetAdvisoryLockRequest* to) {
  return decode_root<schema::SetAdvisoryLockRequest>(body, [to](auto root) {
    take(root, to);
    return true;
  });
}

void encode(const SetAdvisoryLockReply& from, wire::Encoded& to) {
  encode_root<schema::SetAdvisoryLockReply>(to, [&](auto root) { root.setWaits(from.waits); });
}
Status decode(Bytes body, SetAdvisoryLockReply* to) {
  return decode_root<schema::SetAdvisoryLockReply>(body, [to](auto root) {
    to->waits = root.getWaits();
    return true;
  });
}

void encode(const TestAdvisoryLockRequest& from, wire::Encoded& to) {
  encode_root<schema::TestAdvisoryLockRequest>(to, [&](auto root) {
    root.setInode(from.inode);
    root.setOwner(from.owner);
    root.setFamily(from.family);
    root.setMode(from.mode);
    root.setFirst(from.first);
    root.setLast(from.last);
  });
}
Status decode(Bytes body, TestAdvisoryLockRequest* to) {
  return decode_root<schema::TestAdvisoryLockRequest>(body, [to](auto root) {
    to->inode = root.getInode();
    to->owner = root.getOwner();
    to->family = root.getFamily();
    to->mode = root.getMode();
    to->first = root.getFirst();
    to->last = root.getLast();
    return true;
  });
}

void encode(const TestAdvisoryLockReply& from, wire::Encoded& to) {
  encode_root<schema::TestAdvisoryLockReply>(to, [&](auto root) {
    root.setMode(from.mode);
    root.setFirst(from.first);
    root.setLast(from.last);
    root.setProcess(from.process);
  });
}
Status decode(Bytes body, TestAdvisoryLockReply* to) {
  return decode_root<schema::TestAdvisoryLockReply>(body, [to](auto root) {
    to->mode = root.getMode();
    to->first = root.getFirst();
    to->last = root.getLast();
    to->process = root.getProcess();
    return true;
  });
}

void encode(const CancelAdvisoryLockRequest& from, wire::Encoded& to) {
  encode_root<schema::CancelAdvisoryLockRequest>(to, [&](auto root) { root.setTicket(from.ticket); });
}
Status decode(Bytes body, CancelAdvisoryLockRequest* to) {
  return decode_root<schema::CancelAdvisoryLockRequest>(body, [to](auto root) {
    to->ticket = root.getTicket();
    return true;
  });
}

void encode(const CancelAdvisoryLockReply& from, wire::Encoded& to) {
  encode_root<schema::CancelAdvisoryLockReply>(to, [&](auto root) { root.setCancelled(from.cancelled); });
}
Status decode(Bytes body, CancelAdvisoryLockReply* to) {
  return decode_root<schema::CancelAdvisoryLockReply>(body, [to](auto root) {
    to->cancelled = root.getCancelled();
    return true;
  });
}

void encode(const AdvisoryLocksGrantedRequest& from, wire::Encoded& to) {
  encode_root<schema::AdvisoryLocksGrantedRequest>(to, [&](auto root) {
    auto tickets = root.initTickets(static_cast<std::uint32_t>(from.tickets.size()));
    for (std::uint32_t i = 0; i < tickets.size(); ++i) tickets.set(i, from.tickets[i]);
  });
}
Status decode(Bytes body, AdvisoryLocksGrantedRequest* to) {
  return decode_root<schema::AdvisoryLocksGrantedRequest>(body, [to](auto root) {
    const auto tickets = root.getTickets();
    if (tickets.size() > limits::kAdvisoryGrantsMax) return false;
    to->tickets.resize(tickets.size());
    for (std::uint32_t i = 0; i < tickets.size(); ++i) to->tickets[i] = tickets[i];
    return true;
  });
}

}  // namespace rideau::fs
