// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/meta_client.hpp"

#include "plugins/fs/codec.hpp"

#include <algorithm>
#include <type_traits>

namespace rideau::client {

using fs::MetaMethod;

template <class Body, class Request>
Task<MetaReply<Body>> MetaClient::call_once(MetaMethod method, const Request& request, bool modifies,
                                            std::uint32_t deadline_ms) {
  wire::Encoded encoded;
  rpc::Request message;
  if constexpr (!std::is_same_v<Request, Nothing>) {
    fs::encode(request, encoded);
    message.body = encoded.bytes();
  }
  if constexpr (requires { request.caller; }) message.trace_id = request.caller.trace_id;
  message.method = static_cast<std::uint16_t>(method);
  message.modifies = modifies;
  message.deadline_ms = deadline_ms;

  if (modifies && session_.keeps_too_much()) {
    const Status durable = co_await sync(0);
    if (!durable.ok()) co_return MetaReply<Body>{durable};
  }
  const rpc::Reply reply = co_await session_.call(message);
  MetaReply<Body> result;
  result.status = reply.status;
  if (!reply.ok()) co_return result;
  result.transaction = reply.transaction;
  highest_ = std::max(highest_, reply.transaction);
  durable_ = std::max(durable_, reply.durable);
  if constexpr (!std::is_same_v<Body, Nothing>) result.status = fs::decode(reply.body, &result.body);
  co_return result;
}

template <class Body, class Request>
Task<MetaReply<Body>> MetaClient::call(MetaMethod method, Request& request, bool modifies, std::uint32_t deadline_ms) {
  MetaReply<Body> result = co_await call_once<Body>(method, request, modifies, deadline_ms);
  if constexpr (requires { request.caller; }) {
    if (fs::groups_wanted(result.status) && !request.caller.groups_known) {
      co_await fetch_groups(request.caller);
      result = co_await call_once<Body>(method, request, modifies, deadline_ms);
    }
    if (fs::groups_wanted(result.status)) result.status = posix_error(EACCES, "groups wanted twice");
  }
  co_return result;
}

Task<> MetaClient::fetch_groups(fs::Caller& caller) {
  if (caller.groups_known) co_return;
  if (groups_) {
    std::vector<std::uint32_t> groups = co_await groups_(caller.process);
    caller.groups = std::move(groups);
  }
  caller.groups_known = true;
}

Task<MetaReply<fs::InodeReply>> MetaClient::lookup(fs::LookupRequest& request) {
  return call<fs::InodeReply>(MetaMethod::lookup, request, false);
}

Task<MetaReply<fs::InodeReply>> MetaClient::get_attributes(fs::InodeId inode) {
  fs::GetAttributesRequest request;
  request.inode = inode;
  auto reply = co_await call<fs::InodeReply>(MetaMethod::get_attributes, request, false);
  co_return reply;
}

Task<MetaReply<fs::InodeReply>> MetaClient::set_attributes(fs::SetAttributesRequest& request) {
  return call<fs::InodeReply>(MetaMethod::set_attributes, request, true);
}

Task<MetaReply<fs::MakeReply>> MetaClient::make(fs::MakeRequest& request) {
  return call<fs::MakeReply>(MetaMethod::make, request, true);
}

Task<MetaReply<fs::OpenReply>> MetaClient::open(fs::OpenRequest& request) {
  return call<fs::OpenReply>(MetaMethod::open, request, true);
}

Task<MetaReply<Nothing>> MetaClient::close(fs::CloseRequest& request) {
  return call<Nothing>(MetaMethod::close, request, true);
}

Task<MetaReply<fs::ReadInlineReply>> MetaClient::read_inline(fs::InodeId inode) {
  fs::ReadInlineRequest request;
  request.inode = inode;
  auto reply = co_await call<fs::ReadInlineReply>(MetaMethod::read_inline, request, false);
  co_return reply;
}

Task<MetaReply<fs::ReadLinkReply>> MetaClient::read_link(fs::InodeId inode) {
  fs::ReadLinkRequest request;
  request.inode = inode;
  auto reply = co_await call<fs::ReadLinkReply>(MetaMethod::read_link, request, false);
  co_return reply;
}

Task<MetaReply<fs::InodeReply>> MetaClient::link(fs::LinkRequest& request) {
  return call<fs::InodeReply>(MetaMethod::link, request, true);
}

Task<MetaReply<fs::RemoveReply>> MetaClient::remove(fs::RemoveRequest& request) {
  return call<fs::RemoveReply>(MetaMethod::remove, request, true);
}

Task<MetaReply<fs::RenameReply>> MetaClient::rename(fs::RenameRequest& request) {
  return call<fs::RenameReply>(MetaMethod::rename, request, true);
}

Task<MetaReply<fs::ReadDirectoryReply>> MetaClient::read_directory(fs::ReadDirectoryRequest& request) {
  return call<fs::ReadDirectoryReply>(MetaMethod::read_directory, request, false);
}

Task<MetaReply<fs::GetAttributeReply>> MetaClient::get_attribute(fs::GetAttributeRequest& request) {
  return call<fs::GetAttributeReply>(MetaMethod::get_attribute, request, false);
}

Task<MetaReply<Nothing>> MetaClient::set_attribute(fs::SetAttributeRequest& request) {
  return call<Nothing>(MetaMethod::set_attribute, request, true);
}

Task<MetaReply<fs::ListAttributesReply>> MetaClient::list_attributes(fs::ListAttributesRequest& request) {
  return call<fs::ListAttributesReply>(MetaMethod::list_attributes, request, false);
}

Task<MetaReply<Nothing>> MetaClient::remove_attribute(fs::RemoveAttributeRequest& request) {
  return call<Nothing>(MetaMethod::remove_attribute, request, true);
}

Task<MetaReply<fs::StatFileSystemReply>> MetaClient::stat_file_system() {
  Nothing request;
  auto reply = co_await call<fs::StatFileSystemReply>(MetaMethod::stat_file_system, request, false);
  co_return reply;
}

Task<Status> MetaClient::sync(std::uint64_t transaction) {
  fs::SyncRequest request;
  request.transaction = transaction;
  const auto reply = co_await call<Nothing>(MetaMethod::sync, request, false);
  co_return reply.status;
}

Task<MetaReply<fs::LockReply>> MetaClient::take_lock(fs::InodeId inode, lock::Mode mode) {
  fs::LockRequest request;
  request.resource = inode;
  request.mode = static_cast<std::uint32_t>(mode);
  request.knows_parts = true;
  auto reply = co_await call<fs::LockReply>(MetaMethod::lock, request, false, rpc::kNoDeadline);
  co_return reply;
}

Task<MetaReply<fs::LockExtentReply>> MetaClient::take_extent(fs::LockExtentRequest request) {
  auto reply = co_await call<fs::LockExtentReply>(MetaMethod::lock_extent, request, false, rpc::kNoDeadline);
  co_return reply;
}

Task<Status> MetaClient::give_back_locks(const std::vector<fs::LockItem>& locks,
                                         const std::vector<fs::ExtentItem>& extents) {
  fs::UnlockRequest request;
  request.items = locks;
  request.extents = extents;
  const auto reply = co_await call<Nothing>(MetaMethod::unlock, request, false);
  co_return reply.status;
}

Task<MetaReply<fs::SetAdvisoryLockReply>> MetaClient::set_advisory_lock(const fs::SetAdvisoryLockRequest& request) {
  return call_once<fs::SetAdvisoryLockReply>(MetaMethod::set_advisory_lock, request, true, 0);
}

Task<MetaReply<fs::TestAdvisoryLockReply>> MetaClient::test_advisory_lock(const fs::TestAdvisoryLockRequest& request) {
  return call_once<fs::TestAdvisoryLockReply>(MetaMethod::test_advisory_lock, request, false, 0);
}

Task<MetaReply<fs::CancelAdvisoryLockReply>> MetaClient::cancel_advisory_lock(std::uint64_t ticket) {
  fs::CancelAdvisoryLockRequest request;
  request.ticket = ticket;
  auto reply = co_await call_once<fs::CancelAdvisoryLockReply>(MetaMethod::cancel_advisory_lock, request, true, 0);
  co_return reply;
}

}  // namespace rideau::client
