// SPDX-License-Identifier: Apache-2.0
// RealThread: a RealRuntime on a thread of its own, for programs that are not built around one. Work comes from other
// threads; a burst of it wakes the thread once.
#pragma once

#include "framework/runtime/real_runtime.hpp"

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rideau {

class RealThread {
 public:
  using Work = std::function<void()>;

  explicit RealThread(RealRuntimeOptions options = {});
  // Runs what was posted before, then the thread has ended. Nothing may be pending in the runtime any more.
  ~RealThread();
  RealThread(const RealThread&) = delete;
  RealThread& operator=(const RealThread&) = delete;

  // Any thread; runs on the runtime's, in the order of the posts.
  void post(Work work);
  bool is_current() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }
  // To be used on its thread alone, except for complete().
  RealRuntime& runtime() noexcept { return runtime_; }

 private:
  Task<> serve();
  bool take(std::vector<Work>* work);

  RealRuntime runtime_;
  std::mutex mutex_;
  std::vector<Work> posted_;
  Completion* waiting_ = nullptr;  // of the thread, while it has nothing to do
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace rideau
