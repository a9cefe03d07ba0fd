// SPDX-License-Identifier: Apache-2.0
// The life of an object target, and the way from a method number to its operation.
#include "plugins/oss/oss.hpp"

namespace rideau::oss {

Oss::Oss(Runtime& runtime, Logger& log, ObjectStore& store, IndexStore& index, OssOptions options)
    : options_(options),
      index_(index, options.destroyed_max),
      target_{runtime, log, store, index_, {}, Grants(options.grants), Fences(runtime, log, index_), options.checksums},
      tasks_(runtime) {}

Task<Status> Oss::format() {
  const Status done = co_await index_.format(options_.cluster, options_.target, &last_problem_);
  // A target that is there already is the usual case: start() then looks whose it is.
  const bool failed = !done.ok() && done.code != Code::exists;
  if (failed) target_.log.error("target %u: %s", options_.target, last_problem_.c_str());
  co_return done;
}

Task<Status> Oss::start() {
  const Status opened = co_await index_.open(options_.cluster, options_.target, options_.machine_boot, &last_problem_);
  if (!opened.ok()) {
    target_.log.error("target %u: %s", options_.target, last_problem_.c_str());
    co_return opened;
  }
  target_.log.info("target %u: object target of cluster %s, boot epoch %llu", options_.target,
                   to_text(options_.cluster).c_str(), static_cast<unsigned long long>(boot_epoch()));
  co_return kOk;
}

Task<Status> Oss::stop() {
  co_await tasks_.join();
  const fs::ObjectSyncRequest everything;
  const Status synced = co_await sync(target_, everything);
  if (!synced.ok()) co_return synced;
  co_return co_await index_.close();
}

Task<> Oss::handle(rpc::ServerCall& call) {
  switch (static_cast<fs::ObjectMethod>(call.method())) {
    case fs::ObjectMethod::read:
      return handle_read(target_, call);
    case fs::ObjectMethod::write:
      return handle_write(target_, call);
    case fs::ObjectMethod::truncate:
      return handle_truncate(target_, call);
    case fs::ObjectMethod::punch:
      return handle_punch(target_, call);
    case fs::ObjectMethod::stat:
      return handle_stat(target_, call);
    case fs::ObjectMethod::sync:
      return handle_sync(target_, call);
    case fs::ObjectMethod::destroy:
      return handle_destroy(target_, call);
    case fs::ObjectMethod::stat_file_system:
      return handle_stat_file_system(target_, call);
    case fs::ObjectMethod::list:
      return handle_list(target_, call);
    case fs::ObjectMethod::allocate:
      return handle_allocate(target_, call);
    case fs::ObjectMethod::find_data:
      return handle_find_data(target_, call);
    case fs::ObjectMethod::fence:
      return handle_fence(target_, call);
    case fs::ObjectMethod::verify:
      return handle_verify(target_, call);
  }
  constexpr Status kUnknown{Code::unsupported, 0, "method of an object target"};
  return call.reply(kUnknown, Bytes{});
}

Status Oss::admit(const Uuid& client, const std::vector<wire::LockSession>& lock_sessions, std::string* why) {
  return target_.fences.admit(client, lock_sessions, why);
}

void Oss::on_session(rpc::ServerSession& session) {
  target_.fences.add(session);
  target_.log.info("target %u: session %llu of %s", options_.target, static_cast<unsigned long long>(session.id()),
                   session.client_name().c_str());
}

void Oss::on_session_end(rpc::ServerSession& session) {
  target_.fences.remove(session);
  target_.grants.forget(session.id());
  tasks_.spawn(end_session(session.id()));
}

Task<> Oss::end_session(std::uint64_t session) {
  const Status erased = co_await index_.end_session(session);
  // The next start erases what is left.
  if (!erased.ok()) {
    target_.log.warning("target %u: records of session %llu stay: %s", options_.target,
                        static_cast<unsigned long long>(session), code_name(erased.code));
  }
}

std::uint64_t Oss::next_session_id() { return boot_epoch() << 32 | next_session_++; }

}  // namespace rideau::oss
