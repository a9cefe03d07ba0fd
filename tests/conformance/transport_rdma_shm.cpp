// SPDX-License-Identifier: Apache-2.0
// Goal: transports/rdma keeps the contract of Transport over libfabric's provider shm. Its endpoints of one process
// reach each other by pointers that nobody clears, so each instance here is of a copy of the plugin and of libfabric of
// its own, which know nothing of each other, as in processes of their own.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "transports/rdma/descriptor.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <deque>
#include <memory>
#include <vector>

#include <dlfcn.h>

namespace rideau {
namespace {

// A copy of the plugin, with copies of all that it is linked with, the C library too.
struct Copy {
  const PluginDescriptor* descriptor = nullptr;
  void (*begin_thread)() = nullptr;  // of that C library, in each thread that another one has made
  bool taken = false;
};
using Copies = std::array<Copy, 6>;

// Its jobs run in threads that the copies do not know.
class ThreadsHost final : public Host {
 public:
  ThreadsHost(Host& inner, const Copies& copies) noexcept : inner_(inner), copies_(copies) {}

  std::uint64_t now_ns() noexcept override { return inner_.now_ns(); }
  void random(MutableBytes out) noexcept override { inner_.random(out); }
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override { return inner_.sleep(ns, done); }
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override {
    return inner_.wait_fd(fd, events, done);
  }
  void forget_fd(int fd) noexcept override { inner_.forget_fd(fd); }
  void cancel(Completion& pending) noexcept override { inner_.cancel(pending); }
  void complete(Completion& pending, Status status, std::uint64_t value) noexcept override {
    inner_.complete(pending, status, value);
  }
  void run_blocking(Job& job, Completion& done) noexcept override {
    begun_.push_back(std::make_unique<Begun>());
    begun_.back()->job = &job;
    begun_.back()->copies = &copies_;
    begun_.back()->run = [](Job* own) noexcept {
      auto* self = static_cast<Begun*>(own);
      for (const Copy& copy : *self->copies) copy.begin_thread();
      self->job->run(self->job);
    };
    inner_.run_blocking(*begun_.back(), done);
  }
  Status open(Text role, PluginKind kind, Instance** out) noexcept override { return inner_.open(role, kind, out); }
  void log(Level level, Text message) noexcept override { inner_.log(level, message); }
  void count(Tally what, std::uint64_t amount) noexcept override { inner_.count(what, amount); }

 private:
  struct Begun : Job {
    Job* job = nullptr;
    const Copies* copies = nullptr;
  };
  Host& inner_;
  const Copies& copies_;
  std::deque<std::unique_ptr<Begun>> begun_;
};

// Passes everything on, and frees its copy of the plugin in the end.
class Apart final : public Transport {
 public:
  Apart(Transport& inner, Copy& copy) noexcept : inner_(inner), copy_(copy) {}

  Submitted start(Completion& done) noexcept override { return inner_.start(done); }
  Submitted stop(Completion& done) noexcept override { return inner_.stop(done); }
  void cancel(Completion& pending) noexcept override { inner_.cancel(pending); }
  void destroy() noexcept override {
    inner_.destroy();
    copy_.taken = false;
    delete this;
  }
  TransportLimits limits() const noexcept override { return inner_.limits(); }
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override {
    return inner_.listen(address, events, bound, bound_size);
  }
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override {
    return inner_.connect(address, events, out, done);
  }

 private:
  ~Apart() = default;
  Transport& inner_;
  Copy& copy_;
};

// Once for the program: a process has room for no more.
Copies& copies() {
  static Copies all;
  if (all[0].descriptor != nullptr) return all;
  for (Copy& copy : all) {
    void* library = ::dlmopen(LM_ID_NEWLM, RIDEAU_RDMA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) FAIL(::dlerror());
    copy.begin_thread = reinterpret_cast<void (*)()>(::dlsym(library, "__ctype_init"));
    REQUIRE(copy.begin_thread != nullptr);
    copy.descriptor = *static_cast<const PluginDescriptor* const*>(::dlsym(library, RIDEAU_DESCRIPTOR_SYMBOL));
  }
  return all;
}

class ApartFactory final : public LinkedTransportFactory {
 public:
  ApartFactory(Host& host, Settings settings, Texts texts)
      : LinkedTransportFactory(rdma::kDescriptor, host, std::move(settings), "127.0.0.1:0", std::move(texts)) {}

 protected:
  Result<Transport*> make_on(Host& host) override {
    for (Copy& copy : copies_) {
      if (copy.taken) continue;
      hosts_.push_back(std::make_unique<ThreadsHost>(host, copies_));
      const Result<Transport*> made = make_of(*copy.descriptor, *hosts_.back());
      if (!made.ok()) return made.status();
      copy.taken = true;
      return static_cast<Transport*>(new Apart(**made, copy));
    }
    return Status{Code::busy, 0, "copies of the plugin"};
  }

 private:
  Copies& copies_ = copies();
  std::vector<std::unique_ptr<ThreadsHost>> hosts_;
};

void run_suite(std::uint64_t seed, int busy_poll) {
  RealRuntime runtime;
  TestHost host(runtime);
  ApartFactory factory(host, {{"connect_timeout", 2000}, {"busy_poll", busy_poll}}, {{"provider", "shm"}});
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
}

}  // namespace

TEST_CASE("the transport suite passes over shared memory by polling without a pause") { run_suite(1, 1); }

TEST_CASE("the transport suite passes over shared memory by polling with pauses") { run_suite(2, 0); }

}  // namespace rideau
