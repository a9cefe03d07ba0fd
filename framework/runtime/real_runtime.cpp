// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/real_runtime.hpp"

#include "framework/base/assert.hpp"
#include "rideau/host.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

namespace rideau {
namespace {

std::uint64_t read_clock(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * kSecond + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

void RealRuntime::Queue::push(Completion& item) noexcept {
  item.next = nullptr;
  (last != nullptr ? last->next : first) = &item;
  last = &item;
}

Completion* RealRuntime::Queue::pop() noexcept {
  Completion* item = first;
  if (item == nullptr) return nullptr;
  first = item->next;
  if (first == nullptr) last = nullptr;
  item->next = nullptr;
  return item;
}

bool RealRuntime::Queue::remove(Completion& item) noexcept {
  Completion* before = nullptr;
  for (Completion* at = first; at != nullptr; before = at, at = at->next) {
    if (at != &item) continue;
    (before != nullptr ? before->next : first) = item.next;
    if (last == &item) last = before;
    item.next = nullptr;
    return true;
  }
  return false;
}

RealRuntime::RealRuntime(RealRuntimeOptions options) : options_(options) {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  RIDEAU_ASSERT(epoll_fd_ >= 0 && wake_fd_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_fd_;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
  node_thread_ = std::this_thread::get_id();
}

RealRuntime::~RealRuntime() {
  {
    const std::lock_guard lock(blocking_mutex_);
    blocking_stop_ = true;
  }
  blocking_wake_.notify_all();
  for (std::thread& thread : blocking_threads_) thread.join();
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

void RealRuntime::run(Task<> main) {
  // Blocking jobs of a run before may be completing just now, and look at it.
  if (!on_node_thread()) node_thread_ = std::this_thread::get_id();
  bool ended = false;
  // A frame around `main` that tells this loop when it is done.
  auto body = [](Task<> task, bool& flag) -> Task<> {
    co_await std::move(task);
    flag = true;
  };
  struct Starter {
    struct promise_type {
      Starter get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      std::suspend_always final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
    };
    std::coroutine_handle<promise_type> frame;
  };
  auto start = [](Task<> task) -> Starter { co_await std::move(task); };
  const Starter starter = start(body(std::move(main), ended));
  starter.frame.resume();
  while (!ended) {
    take_inbox();
    ring_timers();
    if (!resume_ready()) wait_for_work();
  }
  starter.frame.destroy();
}

std::uint64_t RealRuntime::now_ns() noexcept { return read_clock(CLOCK_MONOTONIC); }

std::int64_t RealRuntime::wall_ns() noexcept { return static_cast<std::int64_t>(read_clock(CLOCK_REALTIME)); }

void RealRuntime::random(MutableBytes out) noexcept {
  while (out.size > 0) {
    count_system_call();
    const ssize_t count = ::getrandom(out.data, out.size, 0);
    if (count < 0) continue;  // EINTR; /dev/urandom semantics cannot fail otherwise
    out.data += count;
    out.size -= static_cast<std::size_t>(count);
  }
}

Submitted RealRuntime::sleep(std::uint64_t ns, Completion& done) noexcept {
  timers_.add(done, now_ns() + ns);
  return Submitted::pending;
}

void RealRuntime::arm(int fd, FdWaits& waits, std::uint32_t wanted) noexcept {
  epoll_event event{};
  event.events = wanted;
  event.data.fd = fd;
  const int operation = waits.armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  count_system_call();
  int failed = ::epoll_ctl(epoll_fd_, operation, fd, &event);
  if (failed != 0 && errno == ENOENT) failed = ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  if (failed != 0 && errno == EEXIST) failed = ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
  waits.armed = failed == 0 ? wanted : 0;
}

Submitted RealRuntime::wait_fd(int fd, std::uint32_t events, Completion& done) noexcept {
  if (fd < 0) return done.finish({Code::invalid, EBADF, "wait for a descriptor"});
  if (static_cast<std::size_t>(fd) >= fds_.size()) fds_.resize(static_cast<std::size_t>(fd) + 64);
  FdWaits& waits = fds_[static_cast<std::size_t>(fd)];
  const bool busy = ((events & kWaitReadable) != 0 && waits.readable != nullptr) ||
                    ((events & kWaitWritable) != 0 && waits.writable != nullptr);
  if (busy) return done.finish({Code::invalid, EBUSY, "second wait for one descriptor"});
  const std::uint32_t wanted = waits.armed | ((events & kWaitReadable) != 0 ? std::uint32_t{EPOLLIN} : 0u) |
                               ((events & kWaitWritable) != 0 ? std::uint32_t{EPOLLOUT} : 0u);
  if (wanted != waits.armed) {
    arm(fd, waits, wanted);
    if (waits.armed == 0) return done.finish({Code::invalid, errno, "wait for a descriptor"});
  }
  if ((events & kWaitReadable) != 0) waits.readable = &done;
  if ((events & kWaitWritable) != 0) waits.writable = &done;
  done.host_slot[1] = reinterpret_cast<void*>(static_cast<std::intptr_t>(fd) + 1);
  return Submitted::pending;
}

void RealRuntime::deliver_fd(int fd, std::uint32_t epoll_events) noexcept {
  FdWaits& waits = fds_[static_cast<std::size_t>(fd)];
  std::uint32_t ready = 0;
  if ((epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) ready |= kWaitReadable;
  if ((epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) ready |= kWaitWritable;
  Completion* reader = (ready & kWaitReadable) != 0 ? waits.readable : nullptr;
  Completion* writer = (ready & kWaitWritable) != 0 ? waits.writable : nullptr;
  // The kernel reports a state, not a change: interest that nobody waits for is taken back, or it would spin.
  std::uint32_t wanted = waits.armed;
  if ((epoll_events & EPOLLIN) != 0 && reader == nullptr) wanted &= ~std::uint32_t{EPOLLIN};
  if ((epoll_events & EPOLLOUT) != 0 && writer == nullptr) wanted &= ~std::uint32_t{EPOLLOUT};
  // A hang-up that nobody waits for would be reported for ever.
  if (waits.readable == nullptr && waits.writable == nullptr) wanted = 0;
  if (wanted != waits.armed) {
    if (wanted == 0) {
      count_system_call();
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
      waits.armed = 0;
    } else {
      arm(fd, waits, wanted);
    }
  }
  for (Completion* done : {reader, writer == reader ? nullptr : writer}) {
    if (done == nullptr) continue;
    if (waits.readable == done) waits.readable = nullptr;
    if (waits.writable == done) waits.writable = nullptr;
    done->host_slot[1] = nullptr;
    done->status = kOk;
    done->value = ready;
    ready_.push(*done);
  }
}

bool RealRuntime::remove_fd_wait(Completion& pending) noexcept {
  if (pending.host_slot[1] == nullptr) return false;
  const auto fd = static_cast<std::size_t>(reinterpret_cast<std::intptr_t>(pending.host_slot[1]) - 1);
  FdWaits& waits = fds_[fd];
  if (waits.readable == &pending) waits.readable = nullptr;
  if (waits.writable == &pending) waits.writable = nullptr;
  pending.host_slot[1] = nullptr;
  return true;
}

void RealRuntime::forget_fd(int fd) noexcept {
  if (fd < 0 || static_cast<std::size_t>(fd) >= fds_.size()) return;
  FdWaits waits = fds_[static_cast<std::size_t>(fd)];
  if (waits.armed != 0) {
    count_system_call();
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  }
  fds_[static_cast<std::size_t>(fd)] = {};
  for (Completion* done : {waits.readable, waits.writable == waits.readable ? nullptr : waits.writable}) {
    if (done == nullptr) continue;
    done->host_slot[1] = nullptr;
    done->status = {Code::closed, 0, "descriptor closed"};
    ready_.push(*done);
  }
}

void RealRuntime::complete(Completion& done, Status status, std::uint64_t value) noexcept {
  done.status = status;
  done.value = value;
  if (on_node_thread()) {
    ready_.push(done);
    return;
  }
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push(done);
    inbox_filled_.store(true, std::memory_order_seq_cst);
  }
  if (sleeping_.load(std::memory_order_seq_cst)) {
    const std::uint64_t one = 1;
    count_system_call();
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
  }
}

void RealRuntime::cancel(Completion& pending) noexcept {
  if (timers_.remove(pending) || remove_fd_wait(pending)) {
    pending.status = {Code::cancelled, 0, "cancelled"};
    ready_.push(pending);
  }
}

void RealRuntime::forget(Completion& pending) noexcept {
  if (timers_.remove(pending) || remove_fd_wait(pending)) return;
  if (ready_.remove(pending)) return;
  const std::lock_guard lock(inbox_mutex_);
  inbox_.remove(pending);
}

void RealRuntime::take_inbox() noexcept {
  if (!inbox_filled_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(inbox_mutex_);
  while (Completion* done = inbox_.pop()) ready_.push(*done);
  inbox_filled_.store(false, std::memory_order_release);
}

void RealRuntime::ring_timers() noexcept {
  if (timers_.empty()) return;
  const std::uint64_t now = now_ns();
  while (!timers_.empty() && timers_.earliest_ns() <= now) {
    Completion& done = timers_.take_earliest();
    done.status = kOk;
    ready_.push(done);
  }
}

bool RealRuntime::resume_ready() noexcept {
  if (ready_.first == nullptr) return false;
  // A bounded burst, so that descriptors and timers get their turn under a flood of completions.
  for (int burst = 0; burst < 256; ++burst) {
    Completion* done = ready_.pop();
    if (done == nullptr) break;
    ++resumes_;
    done->resume(done);
  }
  if (ready_.first != nullptr) poll(0);
  return true;
}

void RealRuntime::poll(int timeout_ms) noexcept {
  epoll_event events[64];
  const int count = ::epoll_wait(epoll_fd_, events, 64, timeout_ms);
  // How often one looks in vain depends on the time, so only what found something or waited is part of an operation.
  if (count > 0 || timeout_ms != 0) count_system_call();
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == wake_fd_) {
      std::uint64_t drained = 0;
      count_system_call();
      [[maybe_unused]] const ssize_t taken = ::read(wake_fd_, &drained, sizeof drained);
    } else {
      deliver_fd(events[i].data.fd, events[i].events);
    }
  }
}

// Looks for work for a while before it sleeps: waking a CPU that sleeps takes longer than most calls. Only as long as
// nobody else wants this CPU, which shows in how long he is let go first.
bool RealRuntime::spin() noexcept {
  constexpr std::uint64_t kSomebodyRanNs = 3 * kMicrosecond;
  std::uint64_t now = now_ns();
  const std::uint64_t until = now + options_.spin_ns;
  while (now < until) {
    poll(0);
    if (ready_.first != nullptr || inbox_filled_.load(std::memory_order_acquire)) return true;
    const std::uint64_t before = now_ns();
    if (!timers_.empty() && timers_.earliest_ns() <= before) return true;
    ::sched_yield();
    now = now_ns();
    if (now - before > kSomebodyRanNs) return false;
  }
  return false;
}

void RealRuntime::wait_for_work() noexcept {
  if (options_.spin_ns > 0 && spin()) return;
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!inbox_filled_.load(std::memory_order_seq_cst)) {
    int timeout_ms = -1;
    if (!timers_.empty()) {
      const std::uint64_t now = now_ns();
      const std::uint64_t left = timers_.earliest_ns() > now ? timers_.earliest_ns() - now : 0;
      timeout_ms = static_cast<int>(std::min<std::uint64_t>((left + kMillisecond - 1) / kMillisecond, INT_MAX));
    }
    ++sleeps_;
    poll(timeout_ms);
  }
  sleeping_.store(false, std::memory_order_seq_cst);
}

void RealRuntime::run_blocking(Job& job, Completion& done) noexcept {
  const std::lock_guard lock(blocking_mutex_);
  blocking_queue_.push_back({&job, &done});
  if (blocking_idle_ < blocking_queue_.size() && blocking_threads_.size() < options_.blocking_threads) {
    blocking_threads_.emplace_back([this] { blocking_loop(); });
  }
  blocking_wake_.notify_one();
}

void RealRuntime::blocking_loop() noexcept {
  for (;;) {
    BlockingItem item{};
    {
      std::unique_lock lock(blocking_mutex_);
      ++blocking_idle_;
      blocking_wake_.wait(lock, [this] { return blocking_stop_ || !blocking_queue_.empty(); });
      --blocking_idle_;
      if (blocking_queue_.empty()) return;
      item = blocking_queue_.front();
      blocking_queue_.pop_front();
    }
    item.job->run(item.job);
    complete(*item.done, item.job->status, item.job->value);
  }
}

}  // namespace rideau
