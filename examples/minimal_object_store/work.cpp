// SPDX-License-Identifier: Apache-2.0
#include "work.hpp"

namespace minimal {

void Work::begin(rideau::Host& host, Work** list, Body body, After after) {
  auto* work = new Work;
  work->body_ = std::move(body);
  work->after_ = std::move(after);
  work->list_ = list;
  work->earlier_ = *list;
  if (*list != nullptr) (*list)->later_ = work;
  *list = work;
  work->run = [](rideau::Job* job) noexcept { static_cast<Work*>(job)->run_here(); };
  work->resume = [](rideau::Completion* done) noexcept { static_cast<Work*>(done)->arrived(); };
  host.run_blocking(*work, *work);
}

void Work::run_here() noexcept {
  Stage expected = Stage::queued;
  if (!stage_.compare_exchange_strong(expected, Stage::running)) return;
  rideau::Job::status = body_(&(rideau::Job::value));
  stage_.store(Stage::ended);
  stage_.notify_all();
}

void Work::arrived() noexcept {
  if (list_ != nullptr) {
    (later_ != nullptr ? later_->earlier_ : *list_) = earlier_;
    if (earlier_ != nullptr) earlier_->later_ = later_;
    after_(rideau::Completion::status, rideau::Completion::value);
  }
  delete this;
}

void Work::abandon_all(Work** list) {
  for (Work* work = *list; work != nullptr;) {
    Work* following = work->earlier_;
    work->list_ = nullptr;
    Stage expected = Stage::queued;
    if (!work->stage_.compare_exchange_strong(expected, Stage::abandoned)) work->stage_.wait(Stage::running);
    work->body_ = nullptr;  // and with it what it holds of the store: the next instance may want the same folder
    work = following;
  }
  *list = nullptr;
}

}  // namespace minimal
