// SPDX-License-Identifier: Apache-2.0
#include "plugins/roles/roles.hpp"

#include "framework/node/node.hpp"
#include "framework/rpc/client_session.hpp"
#include "plugins/mds/object_target_calls.hpp"
#include "plugins/mds/mds.hpp"
#include "plugins/oss/oss.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <unistd.h>

namespace rideau::roles {
namespace {

class OssRole final : public RoleInstance {
 public:
  explicit OssRole(const RoleContext& context)
      : id_(context.target.id), oss_(context.runtime, context.log, *context.objects, context.index, options(context)) {}

  Task<Status> start() override {
    const Status formatted = co_await oss_.format();
    if (!formatted.ok() && formatted.code != Code::exists) co_return formatted;
    co_return co_await oss_.start();
  }
  rpc::Service& service() override { return oss_; }
  std::uint64_t boot_epoch() const override { return oss_.boot_epoch(); }
  std::uint64_t kept_from() const override { return oss_.kept_from(); }
  void on_listening() override {}
  void grow(const ClusterConfig& grown) override { oss_.set_device_shares(targets_of_host(grown, id_)); }
  Task<> stop() override {
    const Status stopped = co_await oss_.stop();
    static_cast<void>(stopped);  // it has logged what is not durable
  }
  void collect(MetricList& to) const override { oss_.collect(to); }
  Task<Status> backup(ByteSink&) override { co_return Status{Code::unsupported, 0, "backup of an object target"}; }
  std::string problem() const override { return oss_.last_problem(); }

 private:
  static oss::OssOptions options(const RoleContext& context) {
    oss::OssOptions options;
    options.cluster = context.cluster.uuid;
    options.target = context.target.id;
    options.grants.device_shares = targets_of_host(context.cluster, context.target.id);
    options.checksums = (context.objects_capabilities & kObjectChecksums) != 0;
    if ((context.objects_capabilities & kObjectOutlivesProcess) != 0)
      options.machine_boot = context.runtime.machine_boot();
    return options;
  }
  // Targets of one host may lie on one device; none of them can know.
  static std::uint32_t targets_of_host(const ClusterConfig& cluster, std::uint32_t id) {
    std::set<std::string> own;
    for (const NodeConfig& node : cluster.nodes) {
      for (const TargetConfig& target : node.targets) {
        if (target.role == Role::oss && target.id == id) own = hosts_of(node);
      }
    }
    std::uint32_t count = 0;
    for (const NodeConfig& node : cluster.nodes) {
      const std::set<std::string> hosts = hosts_of(node);
      const auto is_own = [&own](const std::string& host) { return own.contains(host); };
      if (std::none_of(hosts.begin(), hosts.end(), is_own)) continue;
      for (const TargetConfig& target : node.targets) count += target.role == Role::oss ? 1 : 0;
    }
    return std::max(count, 1u);
  }
  static std::set<std::string> hosts_of(const NodeConfig& node) {
    std::set<std::string> hosts;
    for (const Way& way : node.ways) {
      if (!way.address.empty()) hosts.insert(way.address.substr(0, way.address.rfind(':')));
    }
    return hosts;
  }
  const std::uint32_t id_;
  oss::Oss oss_;
};

// A session of the metadata server with one object target: it destroys objects there.
class ObjectSession final : rpc::SessionEvents {
 public:
  ObjectSession(const RoleContext& context, fs::TargetId target, const NodeTransports::Reached& way, const Uuid& client,
                mds::ObjectTargetCalls& calls)
      : runtime_(context.runtime),
        calls_(calls),
        log_(context.log),
        target_(target),
        stop_wanted_(context.runtime),
        session_(context.runtime, *way.transport, context.log, *this,
                 {way.address, context.cluster.uuid, target, client, "mds of node " + context.node.name}) {}

  rpc::ClientSession& session() { return session_; }
  fs::TargetId target() const noexcept { return target_; }
  // Until it is connected once; the session looks after itself from then on.
  Task<> keep_trying() {
    while (!stopping_) {
      const Status connected = co_await session_.connect();
      if (connected.ok()) break;
      log_.warning("object target %u cannot be reached yet: %s", target_, session_.last_refusal().c_str());
      if (!stopping_) co_await sleep_for(runtime_, 200 * kMillisecond);
    }
    connected_or_given_up_ = true;
    stop_wanted_.wake_all();
  }
  Task<> stop() {
    if (std::exchange(stopping_, true)) co_return;
    while (!connected_or_given_up_) co_await stop_wanted_.wait();
    co_await session_.close();
  }
  void never_started() { connected_or_given_up_ = true; }

 private:
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t, bool kept_all) override {
    if (!kept_all) calls_.note_loss(target_);
  }

  Runtime& runtime_;
  mds::ObjectTargetCalls& calls_;
  Logger& log_;
  fs::TargetId target_;
  WaitQueue stop_wanted_;
  bool stopping_ = false;
  bool connected_or_given_up_ = false;
  rpc::ClientSession session_;
};

class MdsRole final : public RoleInstance {
 public:
  explicit MdsRole(const RoleContext& context)
      : context_(context),
        tasks_(context.runtime),
        destroy_(context.target.id),
        mds_(context.runtime, context.log, context.index, options(context), destroy_) {
    std::array<std::uint8_t, 16> random{};
    context.runtime.random(MutableBytes(random.data(), random.size()));
    client_ = make_uuid(random);
    meet_object_targets(context.cluster);
  }

  Task<Status> start() override {
    const Status formatted = co_await mds_.format();
    if (!formatted.ok()) co_return formatted;
    co_return co_await mds_.start();
  }
  rpc::Service& service() override { return mds_; }
  std::uint64_t boot_epoch() const override { return mds_.boot_epoch(); }
  std::vector<std::string> evictions() const override { return mds_.evictions(); }
  std::string recovery() const override { return mds_.recovery(); }
  void on_listening() override {
    listening_ = true;
    for (auto& session : sessions_) tasks_.spawn(session->keep_trying());
  }
  void grow(const ClusterConfig& grown) override {
    const std::size_t known = sessions_.size();
    meet_object_targets(grown);
    for (std::size_t i = known; i < sessions_.size(); ++i) {
      mds_.add_object_target(sessions_[i]->target());
      tasks_.spawn(sessions_[i]->keep_trying());
    }
    mds_.set_pools(pools_of(grown));
    for (const std::uint32_t id : grown.removed) {
      if (has(id)) tasks_.spawn(take_out(id));
    }
  }
  // Only what is empty may go.
  std::string refuses(const ClusterConfig& grown) const override {
    for (const std::uint32_t id : grown.removed) {
      const auto drain = mds_.drains().find(id);
      const bool drained = drain != mds_.drains().end() && drain->second.state != fs::DrainState::draining;
      if (has(id) && !drained) {
        return "cluster.removed lists target " + std::to_string(id) + ", which is not drained: `rideau drain` first";
      }
    }
    return {};
  }
  Task<std::string> drain(Drain what, std::uint32_t target, std::uint64_t bytes_per_second) override {
    std::string problem;
    if (what == Drain::begin) problem = co_await mds_.mover().begin(target, bytes_per_second);
    if (what == Drain::cancel) problem = co_await mds_.mover().cancel(target);
    if (what == Drain::remove) problem = co_await remove(target);
    co_return problem;
  }
  Task<> stop() override {
    // An object target that is away is not waited for: what it was to be asked stands in the index for the next start.
    for (auto& session : sessions_) session->session().leave(kSecond / kMillisecond);
    co_await mds_.stop();
    for (auto& session : sessions_) {
      if (!listening_) session->never_started();
      co_await session->stop();
    }
    co_await tasks_.join();
  }
  void collect(MetricList& to) const override { mds_.collect(to); }
  Task<Status> backup(ByteSink& to) override { return mds_.backup(to); }
  std::string problem() const override { return "see the lines above"; }

 private:
  bool has(std::uint32_t id) const {
    return std::any_of(sessions_.begin(), sessions_.end(),
                       [id](const auto& session) { return session->target() == id; });
  }
  Task<std::string> remove(std::uint32_t id) {
    std::string problem = co_await mds_.mover().remove(id);
    for (auto& session : sessions_) {
      if (!problem.empty() || session->target() != id) continue;
      session->session().leave(0);  // whether it is there still or not
      tasks_.spawn(session->stop());
    }
    co_return problem;
  }
  Task<> take_out(std::uint32_t id) {
    const std::string problem = co_await remove(id);
    if (!problem.empty()) context_.log.warning("%s", problem.c_str());
  }
  static std::map<std::string, std::vector<fs::TargetId>> pools_of(const ClusterConfig& cluster) {
    std::map<std::string, std::vector<fs::TargetId>> pools;
    for (const NodeConfig& node : cluster.nodes) {
      for (const TargetConfig& target : node.targets) {
        for (const std::string& pool : target.pools) pools[pool].push_back(target.id);
      }
    }
    return pools;
  }
  // A session with each that has none.
  void meet_object_targets(const ClusterConfig& cluster) {
    for (const NodeConfig& node : cluster.nodes) {
      for (const TargetConfig& target : node.targets) {
        const auto is_this = [&target](const auto& session) { return session->target() == target.id; };
        if (target.role != Role::oss || std::any_of(sessions_.begin(), sessions_.end(), is_this)) continue;
        // A configuration without a way is refused when it is read.
        const NodeTransports::Reached way = context_.transports.reach(node);
        sessions_.push_back(std::make_unique<ObjectSession>(context_, target.id, way, client_, destroy_));
        destroy_.add_target(target.id, sessions_.back()->session());
      }
    }
  }
  static mds::Options options(const RoleContext& context) {
    mds::Options options;
    options.cluster = context.cluster.uuid;
    options.target = context.target.id;
    for (const NodeConfig& node : context.cluster.nodes) {
      for (const TargetConfig& target : node.targets) {
        if (target.role == Role::oss) options.object_targets.push_back(target.id);
      }
    }
    std::sort(options.object_targets.begin(), options.object_targets.end());
    options.pools = pools_of(context.cluster);
    options.stripe_count = context.cluster.stripe_count == 0 ? fs::kStripeAll : context.cluster.stripe_count;
    options.stripe_size = static_cast<std::uint32_t>(context.cluster.stripe_size);
    static_assert(ClusterConfig::kInlineMax == fs::kInlineBytesMax);
    if (context.cluster.inline_max) options.inline_max = static_cast<std::uint32_t>(*context.cluster.inline_max);
    options.locks_max = context.cluster.locks_max;
    options.commit_first = context.cluster.commit_first;
    options.recovery_ms = static_cast<std::uint32_t>(context.cluster.recovery_ns / kMillisecond);
    // A file system belongs to whoever starts it first.
    options.root_uid = ::geteuid();
    options.root_gid = ::getegid();
    return options;
  }

  const RoleContext context_;
  Uuid client_{};  // of the sessions with object targets
  TaskGroup tasks_;
  mds::ObjectTargetCalls destroy_;
  std::vector<std::unique_ptr<ObjectSession>> sessions_;
  mds::Mds mds_;
  bool listening_ = false;
};

}  // namespace

void add_roles(Node& node) {
  node.add_role(Role::oss, [](const RoleContext& context) { return std::make_unique<OssRole>(context); });
  node.add_role(Role::mds, [](const RoleContext& context) { return std::make_unique<MdsRole>(context); });
}

}  // namespace rideau::roles
