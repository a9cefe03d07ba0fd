// SPDX-License-Identifier: Apache-2.0
// The calls of a metadata target as functions: encode, call, decode. Where the target wants the caller's groups to
// decide, they are fetched and the call is made once more.
#pragma once

#include "framework/base/result.hpp"
#include "framework/lock/lock_manager.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace rideau::client {

// The supplementary groups of a process of this machine.
using GroupsProvider = std::function<Task<std::vector<std::uint32_t>>(std::int32_t process)>;

// The answer of a call: its body where status is ok, and the transaction that it reports.
template <class Body>
struct MetaReply {
  Status status{};
  std::uint64_t transaction = 0;
  Body body{};
  bool ok() const noexcept { return status.ok(); }
};
struct Nothing {};

class MetaClient {
 public:
  // The session is lent.
  explicit MetaClient(rpc::ClientSession& session) : session_(session) {}
  MetaClient(const MetaClient&) = delete;
  MetaClient& operator=(const MetaClient&) = delete;

  // Without one, a caller is taken to have no supplementary groups.
  void set_groups_provider(GroupsProvider provider) { groups_ = std::move(provider); }
  // Fills in caller.groups; at once when they are known.
  Task<> fetch_groups(fs::Caller& caller);

  // Requests are lent until the call ended; a caller's groups may be filled in.
  Task<MetaReply<fs::InodeReply>> lookup(fs::LookupRequest& request);
  Task<MetaReply<fs::InodeReply>> get_attributes(fs::InodeId inode);
  Task<MetaReply<fs::InodeReply>> set_attributes(fs::SetAttributesRequest& request);
  Task<MetaReply<fs::MakeReply>> make(fs::MakeRequest& request);
  Task<MetaReply<fs::OpenReply>> open(fs::OpenRequest& request);
  Task<MetaReply<Nothing>> close(fs::CloseRequest& request);
  Task<MetaReply<fs::ReadInlineReply>> read_inline(fs::InodeId inode);
  Task<MetaReply<fs::ReadLinkReply>> read_link(fs::InodeId inode);
  Task<MetaReply<fs::InodeReply>> link(fs::LinkRequest& request);
  Task<MetaReply<fs::RemoveReply>> remove(fs::RemoveRequest& request);
  Task<MetaReply<fs::RenameReply>> rename(fs::RenameRequest& request);
  Task<MetaReply<fs::ReadDirectoryReply>> read_directory(fs::ReadDirectoryRequest& request);
  Task<MetaReply<fs::GetAttributeReply>> get_attribute(fs::GetAttributeRequest& request);
  Task<MetaReply<Nothing>> set_attribute(fs::SetAttributeRequest& request);
  Task<MetaReply<fs::ListAttributesReply>> list_attributes(fs::ListAttributesRequest& request);
  Task<MetaReply<Nothing>> remove_attribute(fs::RemoveAttributeRequest& request);
  Task<MetaReply<fs::StatFileSystemReply>> stat_file_system();
  // Ends when every change up to `transaction` is durable (0: everything so far).
  Task<Status> sync(std::uint64_t transaction);
  // Waits for as long as it takes.
  Task<MetaReply<fs::LockReply>> take_lock(fs::InodeId inode, lock::Mode mode);
  Task<MetaReply<fs::LockExtentReply>> take_extent(fs::LockExtentRequest request);
  Task<Status> give_back_locks(const std::vector<fs::LockItem>& locks, const std::vector<fs::ExtentItem>& extents);
  Task<MetaReply<fs::SetAdvisoryLockReply>> set_advisory_lock(const fs::SetAdvisoryLockRequest& request);
  Task<MetaReply<fs::TestAdvisoryLockReply>> test_advisory_lock(const fs::TestAdvisoryLockRequest& request);
  Task<MetaReply<fs::CancelAdvisoryLockReply>> cancel_advisory_lock(std::uint64_t ticket);

  // The highest transaction that any answer reported.
  std::uint64_t highest_transaction() const noexcept { return highest_; }
  // The highest that any answer called durable.
  std::uint64_t durable() const noexcept { return durable_; }
  // What this client could wait for is gone with the old epoch.
  void on_new_epoch() noexcept { highest_ = durable_ = 0; }

 private:
  template <class Body, class Request>
  Task<MetaReply<Body>> call(fs::MetaMethod method, Request& request, bool modifies, std::uint32_t deadline_ms = 0);
  template <class Body, class Request>
  Task<MetaReply<Body>> call_once(fs::MetaMethod method, const Request& request, bool modifies,
                                  std::uint32_t deadline_ms);

  rpc::ClientSession& session_;
  GroupsProvider groups_;
  std::uint64_t highest_ = 0;
  std::uint64_t durable_ = 0;
};

}  // namespace rideau::client
