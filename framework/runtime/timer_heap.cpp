// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/timer_heap.hpp"

namespace rideau {
namespace {

// The place is stored plus one, so that a null slot means "not in the heap".
std::size_t place_of(const Completion& sleeper) noexcept {
  return reinterpret_cast<std::size_t>(sleeper.host_slot[0]) - 1;
}

}  // namespace

bool TimerHeap::before(std::size_t a, std::size_t b) const noexcept {
  if (entries_[a].deadline_ns != entries_[b].deadline_ns) return entries_[a].deadline_ns < entries_[b].deadline_ns;
  return entries_[a].order < entries_[b].order;
}

void TimerHeap::place(std::size_t index, const Entry& entry) noexcept {
  entries_[index] = entry;
  entry.sleeper->host_slot[0] = reinterpret_cast<void*>(index + 1);
}

void TimerHeap::swap(std::size_t a, std::size_t b) noexcept {
  const Entry held = entries_[a];
  place(a, entries_[b]);
  place(b, held);
}

void TimerHeap::sift_up(std::size_t index) noexcept {
  while (index > 0 && before(index, (index - 1) / 2)) {
    swap(index, (index - 1) / 2);
    index = (index - 1) / 2;
  }
}

void TimerHeap::sift_down(std::size_t index) noexcept {
  for (;;) {
    std::size_t least = index;
    for (const std::size_t child : {2 * index + 1, 2 * index + 2}) {
      if (child < entries_.size() && before(child, least)) least = child;
    }
    if (least == index) return;
    swap(index, least);
    index = least;
  }
}

void TimerHeap::add(Completion& sleeper, std::uint64_t deadline_ns) {
  entries_.push_back({deadline_ns, next_order_++, &sleeper});
  place(entries_.size() - 1, entries_.back());
  sift_up(entries_.size() - 1);
}

void TimerHeap::remove_at(std::size_t index) noexcept {
  entries_[index].sleeper->host_slot[0] = nullptr;
  const std::size_t last = entries_.size() - 1;
  if (index != last) place(index, entries_[last]);
  entries_.pop_back();
  if (index != last) {
    sift_up(index);
    sift_down(index);
  }
}

bool TimerHeap::remove(Completion& sleeper) noexcept {
  if (sleeper.host_slot[0] == nullptr) return false;
  const std::size_t index = place_of(sleeper);
  if (index >= entries_.size() || entries_[index].sleeper != &sleeper) return false;
  remove_at(index);
  return true;
}

Completion& TimerHeap::take_earliest() noexcept {
  Completion& sleeper = *entries_.front().sleeper;
  remove_at(0);
  return sleeper;
}

}  // namespace rideau
