// SPDX-License-Identifier: Apache-2.0
// Blocking jobs and waits that can outlive the store.
#include "work.hpp"

namespace rideau::backend {

void Work::run_on(Host& host, Work*& list, Body body, After after) noexcept {
  auto* work = new Work;
  work->body_ = std::move(body);
  work->after_ = std::move(after);
  work->list_ = &list;
  work->after_link_ = list;
  if (list != nullptr) list->before_ = work;
  list = work;
  work->Job::run = [](Job* job) noexcept {
    auto* self = static_cast<Work*>(job);
    int expected = queued;
    if (!self->state_.compare_exchange_strong(expected, running)) return;
    self->Job::status = self->body_(self->Job::value);
    self->state_.store(done);
    self->state_.notify_all();
  };
  work->Completion::resume = [](Completion* completion) noexcept {
    auto* self = static_cast<Work*>(completion);
    if (self->list_ != nullptr) {
      (self->before_ != nullptr ? self->before_->after_link_ : *self->list_) = self->after_link_;
      if (self->after_link_ != nullptr) self->after_link_->before_ = self->before_;
      self->after_(self->Completion::status, self->Completion::value);
    }
    delete self;
  };
  host.run_blocking(*work, *work);
}

void Work::abandon_all(Work*& list) noexcept {
  for (Work* work = list; work != nullptr;) {
    Work* following = work->after_link_;
    work->list_ = nullptr;
    int expected = queued;
    if (!work->state_.compare_exchange_strong(expected, abandoned)) work->state_.wait(running);
    work = following;
  }
  list = nullptr;
}

Wakeup::Wakeup(std::function<void(Status)> ring) : ring_(std::move(ring)) {
  resume = [](Completion* completion) noexcept {
    auto* self = static_cast<Wakeup*>(completion);
    const std::function<void(Status)> call = std::move(self->ring_);
    const Status result = self->status;
    delete self;
    if (call) call(result);
  };
}

}  // namespace rideau::backend
