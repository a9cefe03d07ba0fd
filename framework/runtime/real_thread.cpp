// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/real_thread.hpp"

#include "framework/runtime/await.hpp"

#include <utility>

namespace rideau {

RealThread::RealThread(RealRuntimeOptions options) : runtime_(options) {
  thread_ = std::thread([this] { runtime_.run(serve()); });
}

RealThread::~RealThread() {
  Completion* waiting = nullptr;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waiting = std::exchange(waiting_, nullptr);
  }
  if (waiting != nullptr) runtime_.complete(*waiting, kOk, 0);
  thread_.join();
}

void RealThread::post(Work work) {
  Completion* waiting = nullptr;
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    waiting = std::exchange(waiting_, nullptr);
  }
  if (waiting != nullptr) runtime_.complete(*waiting, kOk, 0);
}

// False: there is none and none will come.
bool RealThread::take(std::vector<Work>* work) {
  const std::lock_guard lock(mutex_);
  work->clear();
  work->swap(posted_);
  return !work->empty() || !ending_;
}

Task<> RealThread::serve() {
  std::vector<Work> work;
  while (take(&work)) {
    for (Work& one : work) {
      one();
      one = nullptr;
    }
    co_await submit([this](Completion& done) {
      const std::lock_guard lock(mutex_);
      if (posted_.empty() && !ending_) {
        waiting_ = &done;
      } else {
        // What is ready goes first: a stream of posts must not keep answers from being read.
        runtime_.complete(done, kOk, 0);
      }
      return Submitted::pending;
    });
  }
}

}  // namespace rideau
