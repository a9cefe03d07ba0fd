// SPDX-License-Identifier: Apache-2.0
#include "listeners.hpp"

#include "transport.hpp"

#include <map>
#include <utility>

namespace rideau::inproc {
namespace {

struct Table {
  std::mutex mutex;
  std::map<std::string, Listener*> listeners;
  std::uint64_t last_number = 0;  // that was given to a listener that asked for any
};

Table& table() {
  // Never destroyed: nodes of other threads may end after the static objects of the program.
  static Table* const the_table = new Table;
  return *the_table;
}

void refuse(Pipe& pipe) noexcept {
  const Status why{Code::closed, 0, "the listener closed"};
  const std::lock_guard lock(pipe.mutex);
  pipe.close(1, why, why);
}

}  // namespace

Status Listener::open(std::string name) {
  const std::lock_guard lock(table().mutex);
  if (name.ends_with(":0")) name = name.substr(0, name.size() - 1) + std::to_string(++table().last_number);
  if (!table().listeners.emplace(name, this).second) {
    return {Code::exists, 0, "listen: somebody in this process listens there already"};
  }
  name_ = std::move(name);
  is_open_ = true;
  return kOk;
}

void Listener::close() noexcept {
  if (!is_open_) return;
  std::vector<std::shared_ptr<Pipe>> refused;
  {
    const std::lock_guard lock(table().mutex);
    table().listeners.erase(name_);
    refused.swap(arrived_);
    is_open_ = false;
  }
  for (const auto& pipe : refused) refuse(*pipe);
}

bool Listener::quiet() const noexcept {
  const std::lock_guard lock(table().mutex);
  return !is_open_ && !arrive_queued_;
}

bool knock(const std::string& name, const std::shared_ptr<Pipe>& pipe) {
  const std::lock_guard lock(table().mutex);
  const auto found = table().listeners.find(name);
  if (found == table().listeners.end()) return false;
  Listener& listener = *found->second;
  listener.arrived_.push_back(pipe);
  if (!std::exchange(listener.arrive_queued_, true)) {
    listener.transport_.host().complete(listener.arrive_, kOk, 0);
  }
  return true;
}

void Listener::on_arrive() noexcept {
  std::vector<std::shared_ptr<Pipe>> taken;
  {
    const std::lock_guard lock(table().mutex);
    taken.swap(arrived_);
    arrive_queued_ = false;
  }
  for (const auto& pipe : taken) {
    InprocLink* link = transport_.add_link(pipe, 1);
    if (link == nullptr) {
      refuse(*pipe);
      continue;
    }
    link->begin(events_.on_link(*link));
  }
  transport_.check_stopped();
}

}  // namespace rideau::inproc
