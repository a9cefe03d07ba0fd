// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/recovery.hpp"

#include "framework/rpc/server.hpp"

namespace rideau::mds {

Recovery::Recovery(Runtime& runtime, std::uint32_t share_ms)
    : runtime_(runtime),
      share_ns_(share_ms * kMillisecond),
      whole_ns_(share_ns_ + limits::kRecoveryLimitMs * kMillisecond),
      changed_(runtime),
      due_(runtime, [this] { changed_.wake_all(); }) {}

void Recovery::begin(const std::vector<std::uint64_t>& sessions) {
  open_ = true;
  began_ns_ = runtime_.now_ns();
  for (const std::uint64_t session : sessions) awaited_.try_emplace(session);
}

void Recovery::end() {
  open_ = false;
  due_.clear();
  changed_.wake_all();
}

void Recovery::settled(std::uint64_t session, bool claimed) {
  if (awaited_.erase(session) == 0) return;
  ++(claimed ? came_ : given_up_);
  changed_.wake_all();
}

std::vector<std::uint64_t> Recovery::late(const SessionTable& sessions) {
  std::vector<std::uint64_t> found;
  const std::uint64_t elapsed = runtime_.now_ns() - began_ns_;
  for (auto& [id, awaited] : awaited_) {
    const Session* session = sessions.find(id);
    const bool here = session != nullptr && session->link != nullptr && session->link->connected();
    if (awaited.told_late || elapsed < (here ? whole_ns_ : share_ns_)) continue;
    awaited.told_late = true;
    found.push_back(id);
  }
  return found;
}

Task<> Recovery::wait() {
  const std::uint64_t elapsed = runtime_.now_ns() - began_ns_;
  if (elapsed < share_ns_) {
    due_.set(share_ns_ - elapsed);
  } else if (elapsed < whole_ns_) {
    due_.set(whole_ns_ - elapsed);
  }
  co_await changed_.wait();
}

Task<bool> Recovery::until_over(const Session& session) {
  while (open_ && !session.closing) co_await changed_.wait();
  co_return !session.closing;
}

std::uint64_t Recovery::elapsed_ms() const noexcept { return (runtime_.now_ns() - began_ns_) / kMillisecond; }

std::string Recovery::describe() const {
  if (!open_) return {};
  const std::uint64_t elapsed = elapsed_ms();
  const std::uint64_t end = (elapsed * kMillisecond < share_ns_ ? share_ns_ : whole_ns_) / kMillisecond;
  return "recovering for " + std::to_string(elapsed) + " ms: " + std::to_string(came_) + " clients are back, " +
         std::to_string(awaited_.size()) + " awaited, " + std::to_string(given_up_) + " given up; ends within " +
         std::to_string(end > elapsed ? end - elapsed : 0) + " ms";
}

}  // namespace rideau::mds
