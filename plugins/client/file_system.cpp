// SPDX-License-Identifier: Apache-2.0
// The life of a client's file system: its sessions, what their turns mean, and the calls about all of it.
#include "plugins/client/file_system.hpp"

#include "framework/base/sim_hooks.hpp"
#include "plugins/client/file_system_impl.hpp"
#include "plugins/fs/codec.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {
namespace {

rpc::SessionOptions session_options(const FileSystemOptions& options, const TargetAddress& address) {
  rpc::SessionOptions session;
  session.address = address.address;
  session.cluster = options.cluster;
  session.target = address.target;
  session.client = options.client;
  session.client_name = options.client_name;
  session.patient = true;
  return session;
}

DataOptions data_options(const FileSystemOptions& options, Logger& log) {
  DataOptions data;
  data.log = &log;
  data.cache_bytes = options.cache_bytes;
  data.dirty_bytes_max = options.dirty_bytes_max;
  data.unstable_bytes_max = options.unstable_bytes_max;
  data.dirty_age_ms = options.dirty_age_ms;
  data.read_ahead_bytes = options.read_ahead_bytes;
  data.client = static_cast<std::uint16_t>(options.client.bytes[0] << 8 | options.client.bytes[1]);
  data.lendable = options.lendable;
  data.memory = options.memory;
  return data;
}

}  // namespace

FileSystem::Impl::ObjectTarget::ObjectTarget(Impl& owner, const TargetAddress& address)
    : impl(owner),
      target(address.target),
      session(owner.runtime, *address.transport, owner.log, *this, session_options(owner.options, address)) {}

Task<rpc::CallbackReply> FileSystem::Impl::ObjectTarget::on_callback(std::uint16_t, Bytes, std::uint64_t) {
  rpc::CallbackReply reply;
  reply.status = Status{Code::unsupported, 0, "object targets have nothing to ask of clients"};
  co_return reply;
}

void FileSystem::Impl::ObjectTarget::on_new_epoch(std::uint64_t boot_epoch, bool kept_all) {
  impl.log.warning("object target %u has a new epoch %llu%s", target, static_cast<unsigned long long>(boot_epoch),
                   kept_all ? "; it has lost nothing" : "");
  impl.plane.on_new_epoch(target, kept_all);
  if (impl.started && !impl.stopped) impl.tasks->spawn(impl.plane.take_grant(target));
}

FileSystem::Impl::Impl(Runtime& host, Logger& logger, FileSystemOptions wanted)
    : runtime(host),
      log(logger),
      options(std::move(wanted)),
      tasks(std::in_place, host),
      meta_session(host, *options.meta.transport, logger, *this, session_options(options, options.meta)),
      meta(meta_session),
      plane(host, *tasks, data_options(options, logger)),
      advisory(host, logger, meta),
      inodes(options.cached_inodes,
             [this](Node& node) {
               if (node.kernel_attributes && kernel != nullptr) kernel->expire_attributes(node.inode.id);
               node.kernel_attributes = false;
               if (std::exchange(node.kept_open, 0) != 0) --kept_opens;  // with the session that had it open
             }),
      names(2 * options.cached_inodes,
            [this](fs::InodeId directory) {
              if (Node* node = inodes.find(directory); node != nullptr) node->names_complete = false;
            }),
      answered(host),
      gate_changed(host),
      sent(host),
      targets_learned(host),
      close_alarm(host, [this] {
        if (!sending) tasks->spawn(send_ready());
      }) {
  plane.set_inline_home(*this);
  for (const TargetAddress& address : options.objects) {
    targets.push_back(std::make_unique<ObjectTarget>(*this, address));
    plane.add_target(address.target, targets.back()->session);
  }
}

FileSystem::Impl::~Impl() { tasks.reset(); }

Task<rpc::CallbackReply> FileSystem::Impl::on_callback(std::uint16_t method, Bytes body, std::uint64_t) {
  rpc::CallbackReply reply;
  switch (static_cast<fs::MetaCallback>(method)) {
    case fs::MetaCallback::revoke: {
      fs::RevokeRequest request;
      reply.status = fs::decode(body, &request);
      if (!reply.status.ok()) break;
      const std::uint64_t before = epoch;
      co_await yield_now(runtime);  // answers that came before are looked at before
      if (epoch != before) break;
      for (const fs::LockItem& item : request.items) on_revoke(item);
      for (const fs::ExtentItem& item : request.extents) on_revoke_part(item);
      if (request.budget != 0) {
        lock_budget = request.budget;
        keep_within_bounds();
      }
      break;
    }
    case fs::MetaCallback::advisory_locks_granted: {
      fs::AdvisoryLocksGrantedRequest request;
      reply.status = fs::decode(body, &request);
      if (reply.status.ok()) advisory.granted(request.tickets);
      break;
    }
    case fs::MetaCallback::glimpse: {
      fs::GlimpseRequest request;
      reply.status = fs::decode(body, &request);
      if (!reply.status.ok()) break;
      co_await yield_now(runtime);  // answers that came before are looked at before
      fs::GlimpseReply told;
      for (const fs::LockItem& item : request.items) told.items.push_back(glimpse(item));
      fs::encode(told, reply.body);
      break;
    }
    default:
      reply.status = Status{Code::unsupported, 0, "a callback this client does not know"};
  }
  co_return reply;
}

void FileSystem::Impl::break_lost_handles() {
  for (auto& [id, handle] : handles) {
    const bool dirty = handle->data != nullptr && handle->data->dirty();
    const bool lost = handle->node->transaction > meta.durable();
    if (handle->wrote && (dirty || handle->node->changed || lost)) {
      handle->broken = true;
    } else if (lost) {
      handle->lost_changes = true;
    }
  }
  // Numbers that were lost are given out again: they mean nothing any more.
  inodes.for_each([this](Node& node) {
    if (node.inode.is_directory() && node.transaction > meta.durable()) lost_names.insert(node.inode.id);
    node.transaction = 0;
  });
}

// Others may have got these locks meanwhile, so what they protected is not for these programs to touch any more.
void FileSystem::Impl::break_lost_locks() {
  std::size_t files = 0;
  for (const fs::HandleId id : advisory.on_new_epoch()) {
    const HandleRef handle = find_handle(id);
    if (handle == nullptr) continue;
    handle->lost_locks = true;
    ++files;
  }
  if (files != 0) log.warning("locks of flock and fcntl on %zu open files were lost with the session", files);
}

// Everything that was known under the lost session goes. What other clients did since is not known, so bytes that were
// not written back are lost too, and the handles they came through say so.
void FileSystem::Impl::on_new_epoch(std::uint64_t boot_epoch, bool) {
  bool holds = !handles.empty() || !closes.empty() || !changed.empty();
  inodes.for_each([&holds](Node& node) { holds = holds || node.lock.mode != Mode::none || node.transaction != 0; });
  if (!holds) {
    // It was a session without anything under it: the calls that are under way go on under the new one.
    tell_lock_session();
    return;
  }
  RIDEAU_MARK(client_lost_its_session);
  log.warning("the metadata server has a new epoch %llu: caches are dropped",
              static_cast<unsigned long long>(boot_epoch));
  break_lost_handles();
  break_lost_locks();
  ++epoch;
  closes.clear();
  changed.clear();
  close_alarm.clear();
  for (const GiveBack& one : std::exchange(give_backs, {})) {
    if (one.node) --one.node->lock.giving_back;
  }
  give_backs_parts.clear();
  names.clear();
  inodes.drop_all();
  locks_held = 0;
  lock_budget = UINT64_MAX;
  plane.discard_all();
  meta.on_new_epoch();
  tell_lock_session();
  if (kernel != nullptr) {
    kernel->expire_names();
    for (auto& [inode, pages] : paged) pages.lost = true;
    tasks->spawn(drop_all_pages());
  }
  gate_changed.wake_all();
  answered.wake_all();
  sent.wake_all();
}

// Whoever finds another one at it waits for him, and then looks at the list again: it may be a newer one.
Task<> FileSystem::Impl::learn_targets() {
  while (learning) co_await targets_learned.wait();
  if (!options.objects_now || stopped) co_return;
  learning = true;
  for (const TargetAddress& address : options.objects_now()) {
    const auto is_this = [&address](const auto& known) { return known->target == address.target; };
    if (stopped || std::any_of(targets.begin(), targets.end(), is_this)) continue;
    joining = std::make_unique<ObjectTarget>(*this, address);
    joining->session.set_lock_sessions({{options.meta.target, meta_session.id()}});
    Status status = co_await joining->session.connect();
    const std::string refusal = joining->session.last_refusal();
    if (status.ok()) {
      plane.add_target(address.target, joining->session);
      targets.push_back(std::move(joining));
      tell_lock_session();
      status = co_await plane.ask_limit(address.target);
    } else {
      co_await joining->session.close();
      joining.reset();
    }
    if (status.ok()) {
      log.info("object target %u at %s is new in the cluster", address.target, address.address.c_str());
    } else {
      log.error("object target %u at %s is new in the cluster and does not answer: %s", address.target,
                address.address.c_str(), refusal.c_str());
    }
  }
  learning = false;
  targets_learned.wake_all();
}

void FileSystem::Impl::forget_targets(const fs::StatFileSystemReply& told) {
  for (const fs::StatFileSystemReply::Drain& drain : told.drains) {
    if (drain.state != fs::DrainState::removed) continue;
    for (const auto& known : targets) {
      if (known->target != drain.target || std::exchange(known->removed, true)) continue;
      log.info("object target %u is none of the cluster any more", known->target);
      plane.remove_target(known->target);
      known->session.leave(0);  // whether it is there still or not
      tasks->spawn(known->session.close());
    }
  }
}

bool FileSystem::Impl::misses_a_target() const {
  return std::any_of(targets.begin(), targets.end(),
                     [](const auto& target) { return !target->removed && !target->session.connected(); });
}

// Nobody waits for a target that is away for ever.
Task<> FileSystem::Impl::ask_for_removed() {
  const auto told = co_await meta.stat_file_system();
  if (told.ok() && !stopped) forget_targets(told.body);
}

// What this client does at object targets rests on the locks of its session at the metadata target.
void FileSystem::Impl::tell_lock_session() {
  for (const auto& target : targets) {
    if (!target->removed) target->session.set_lock_sessions({{options.meta.target, meta_session.id()}});
  }
}

FileSystem::FileSystem(Runtime& runtime, Logger& log, FileSystemOptions options)
    : impl_(std::make_unique<Impl>(runtime, log, std::move(options))) {}

FileSystem::~FileSystem() = default;

void FileSystem::set_kernel_cache(KernelCache* cache) { impl_->kernel = cache; }

void FileSystem::set_groups_provider(GroupsProvider provider) { impl_->meta.set_groups_provider(std::move(provider)); }

Task<Status> FileSystem::start() {
  Status status = co_await impl_->meta_session.connect();
  if (!status.ok()) {
    impl_->log.error("metadata target %u at %s: %s", impl_->options.meta.target, impl_->options.meta.address.c_str(),
                     impl_->meta_session.last_refusal().c_str());
    co_return status;
  }
  impl_->tell_lock_session();
  for (const auto& target : impl_->targets) {
    status = co_await target->session.connect();
    if (status.ok()) continue;
    // The file of this machine may be older than the cluster.
    co_await impl_->ask_for_removed();
    if (target->removed) continue;
    impl_->log.error("object target %u: %s", target->target, target->session.last_refusal().c_str());
    co_return status;
  }
  for (const auto& target : impl_->targets) {
    if (target->removed) continue;
    status = co_await impl_->plane.ask_limit(target->target);
    if (!status.ok()) co_return status;
    co_await impl_->plane.take_grant(target->target);
  }
  impl_->started = true;
  co_return kOk;
}

void FileSystem::leave() {
  impl_->advisory.stop_waiting();
  for (const auto& target : impl_->targets) target->session.leave();
  if (impl_->joining != nullptr) impl_->joining->session.leave();
  impl_->meta_session.leave();
}

bool FileSystem::waits_for_server() const noexcept {
  return !impl_->meta_session.connected() || impl_->misses_a_target();
}

bool FileSystem::trusted() const noexcept { return impl_->meta_session.trusted(); }
Task<> FileSystem::until_trusted() { return impl_->meta_session.until_trusted(); }

Task<Status> FileSystem::stop() {
  Impl& impl = *impl_;
  if (impl.stopped) co_return kOk;
  leave();
  Status status = kOk;
  if (impl.started) {
    status = co_await sync_all();
    const Status sent = co_await impl.send_everything();
    if (status.ok()) status = sent;
  }
  impl.stopped = true;
  impl.close_alarm.clear();
  impl.handles.clear();
  impl.gate_changed.wake_all();
  while (impl.learning) co_await impl.targets_learned.wait();
  for (const auto& target : impl.targets) {
    if (!target->removed) co_await target->session.close();
  }
  co_await impl.meta_session.close();
  co_await impl.tasks->join();
  co_return status;
}

Task<> FileSystem::learn_targets() {
  co_await impl_->ask_for_removed();
  co_await impl_->learn_targets();
}

Task<Status> FileSystem::sync_directory(fs::InodeId directory) {
  if (impl_->lost_names.erase(directory) != 0) {
    co_return Status{Code::io_error, EIO, "names in this directory were lost with the metadata server"};
  }
  const Node* node = impl_->inodes.find(directory);
  const std::uint64_t transaction =
      node != nullptr && node->transaction != 0 ? node->transaction : impl_->meta.highest_transaction();
  if (transaction <= impl_->meta_session.durable()) co_return kOk;
  const Status status = co_await impl_->meta.sync(transaction);
  co_return status;
}

Task<Status> FileSystem::sync_all() {
  Impl& impl = *impl_;
  Status status{};
  std::uint64_t before = 0;
  std::uint64_t refusals = 0;
  do {  // what the metadata server has no room for goes to object targets
    refusals = impl.refusals;
    do {
      before = impl.plane.epochs();
      status = co_await impl.plane.flush_all();
      if (impl.misses_a_target()) co_await impl.ask_for_removed();
      const Status durable = co_await impl.plane.sync_targets();
      if (status.ok()) status = durable;
    } while (status.ok() && before != impl.plane.epochs());
    const Status sizes = co_await impl.send_everything();
    if (status.ok()) status = sizes;
  } while (status.ok() && refusals != impl.refusals);
  const Status names = co_await impl.meta.sync(0);
  if (status.ok()) status = names;
  co_return status;
}

Task<Result<StatFileSystem>> FileSystem::stat_file_system() {
  const auto meta = co_await impl_->meta.stat_file_system();
  if (!meta.ok()) co_return meta.status;
  impl_->forget_targets(meta.body);
  StatFileSystem result;
  result.inodes_used = meta.body.inodes_used;
  result.inodes_free = meta.body.inodes_free;
  const auto space = co_await impl_->plane.space();
  if (!space.ok()) co_return space.status();
  result.bytes_total = space->bytes_total;
  result.bytes_free = space->bytes_free;
  co_return result;
}

}  // namespace rideau::client
