// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/glimpses.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/rpc/server.hpp"
#include "plugins/fs/codec.hpp"

#include <algorithm>
#include <utility>

namespace rideau::mds {

void Glimpse::tell(fs::Inode& to) const {
  to.flags |= fs::kExact;
  if (RIDEAU_PLANTED_BUG(size_is_not_told)) return;
  // Every byte of the record's size was there before anybody got the lock under which it is written now.
  for (std::size_t i = 0; i < told.size(); ++i) {
    const fs::SizeUpdate& one = told[i];
    if (!one.present) continue;  // gave its part back meanwhile: the record has it
    const bool replaces = i == 0 && !in_parts;
    to.size = replaces ? one.size : std::max(to.size, one.size);
    to.blocks = replaces ? one.blocks : std::max(to.blocks, one.blocks);
    if (one.time_generation != to.time_generation) continue;
    to.mtime_ns = std::max(to.mtime_ns, one.mtime_ns);
    to.ctime_ns = std::max(to.ctime_ns, one.mtime_ns);
  }
}

bool Glimpse::covers(const fs::Inode& now, const std::vector<lock::LockManager::Held>& holders_now,
                     std::uint64_t resizes_now, bool leaving) const {
  if (!in_parts || inode != now.id || resizes != resizes_now) return false;
  const bool cutting = std::any_of(told.begin(), told.end(), [](const fs::SizeUpdate& one) { return one.cutting; });
  if (cutting && !leaving) {
    RIDEAU_MARK(size_was_being_cut);
    return false;
  }
  return std::all_of(holders_now.begin(), holders_now.end(), [this](const lock::LockManager::Held& holder) {
    const auto asked = std::find(holders.begin(), holders.end(), holder);
    return asked != holders.end() && told[static_cast<std::size_t>(asked - holders.begin())].present;
  });
}

Task<Glimpse> Glimpses::ask(const fs::Inode& inode, std::vector<lock::LockManager::Held> holders) {
  Glimpse glimpse;
  glimpse.inode = inode.id;
  glimpse.change = inode.change;
  glimpse.holders = std::move(holders);
  std::vector<QuestionRef> questions;
  for (const lock::LockManager::Held& holder : glimpse.holders) questions.push_back(put(glimpse.inode, holder));
  glimpse.known = true;
  for (const QuestionRef& question : questions) {
    co_await question->answered.wait();
    glimpse.known = glimpse.known && question->told.present;
    glimpse.told.push_back(question->told);
  }
  co_return glimpse;
}

Glimpses::QuestionRef Glimpses::put(fs::InodeId inode, const lock::LockManager::Held& holder) {
  auto question = std::make_shared<Question>(runtime_);
  question->item = {inode, holder.number};
  const auto [asking, begins] = unsent_.try_emplace(holder.holder);
  asking->second.push_back(question);
  if (begins) tasks_.spawn(send(holder.holder));
  ++asked_;
  return question;
}

void Glimpses::settle(std::vector<QuestionRef>& questions, const fs::GlimpseReply& reply) {
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (i < reply.items.size()) questions[i]->told = reply.items[i];
    questions[i]->answered.set();
  }
}

Task<> Glimpses::send(lock::HolderId holder) {
  co_await yield_now(runtime_);  // what is asked together goes together
  for (;;) {
    std::deque<QuestionRef>& unsent = unsent_[holder];
    std::vector<QuestionRef> questions;
    fs::GlimpseRequest request;
    while (!unsent.empty() && questions.size() < limits::kLockItemsMax) {
      request.items.push_back(unsent.front()->item);
      questions.push_back(std::move(unsent.front()));
      unsent.pop_front();
    }
    if (questions.empty()) break;
    const Session* session = sessions_.find(holder);
    fs::GlimpseReply told;
    if (session != nullptr && session->link != nullptr) {
      wire::Encoded body;
      encode(request, body);
      const rpc::Reply reply =
          co_await session->link->call_back(static_cast<std::uint16_t>(fs::MetaCallback::glimpse), body.bytes(), 0);
      const bool read = reply.ok() && decode(reply.body, &told).ok();
      if (reply.status.code == Code::timed_out) evict_(holder, "no answer to a question about a file that it writes");
      if (!read) told.items.clear();
    }
    // Who does not know is asked for the lock.
    settle(questions, told);
  }
  unsent_.erase(holder);
}

}  // namespace rideau::mds
