// SPDX-License-Identifier: Apache-2.0
// Goal: the faults that the conformance kit makes find mistakes. Each is planted into the transport of the examples,
// which is right otherwise, and the rule that guards against it must fail.
#include "framework/runtime/real_runtime.hpp"
#include "rideau/sdk.hpp"
#include "sdk/testkit/transport_suite.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_factory.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace minimal {

extern const rideau::PluginDescriptor kDescriptor;
int real_read_some(int fd, void* to, std::size_t size, std::size_t* got);  // of the example, under another name
int read_some(int fd, void* to, std::size_t size, std::size_t* got);

namespace {
bool loses_short_reads = false;
}

int read_some(int fd, void* to, std::size_t size, std::size_t* got) {
  const int error = real_read_some(fd, to, size, got);
  if (!loses_short_reads || error != 0 || *got == 0 || *got >= 8) return error;
  *got = 0;
  return EAGAIN;
}

}  // namespace minimal

namespace rideau {
namespace {

enum class Bug {
  none,
  forgets_the_end,        // who lost a link is not told
  forgets_a_call,         // a pull that the end of its link meets never completes
  repeats_at_the_end,     // the last message comes once more when the link is cut
  takes_everything,       // a send is done at once, whatever the peer does
  reclaims_without_care,  // memory counts as taken back at once, and is not
  cancels_without_care,   // the same of what a pull fills
  writes_one_too_many,    // behind what a pull fills
  harms_the_others,       // one malformed link closes all
  ends_with_other_codes,  // what was not done is an error of the device
  loses_short_reads,
};

class BuggyTransport;

// A call that goes on with a completion of the planter's.
struct Kept : Completion {
  Completion* outer = nullptr;  // null: nobody waits any more
  const IoVec* fills = nullptr;
  std::vector<std::uint8_t> bytes;
  IoVec part{};
  Bug bug = Bug::none;
};

class BuggyLink final : public Link, public LinkEvents {
 public:
  BuggyLink(BuggyTransport& transport, LinkEvents* events) : transport_(transport), events_(events) {}

  Submitted send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                 Completion& done) noexcept override;
  void give_back(MessageLoan loan) noexcept override {
    if (loan.plugin_slot != nullptr) real->give_back(loan);
  }
  Status lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
              RegionKey* key) noexcept override {
    return real->lend(parts, part_count, access, out, key);
  }
  Submitted reclaim(Region& region, Completion& done) noexcept override;
  Submitted pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override;
  Submitted push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override {
    return real->push(key, remote_offset, local, parts, done);
  }
  void close() noexcept override {
    closed_here_ = true;
    real->close();
  }
  void release() noexcept override { std::exchange(real, nullptr)->release(); }

  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link&, MessageLoan loan, std::uint64_t eager_bytes) noexcept override {
    last_.assign(loan.head.data, loan.head.data + loan.head.size);
    return events_->on_head(*this, loan, eager_bytes);
  }
  void on_eager(Link&, Status status) noexcept override { events_->on_eager(*this, status); }
  void on_closed(Link& link, Status why) noexcept override;

  Link* real = nullptr;

 private:
  Kept& keep(Completion& done);

  BuggyTransport& transport_;
  LinkEvents* events_;
  bool closed_here_ = false;
  std::vector<std::uint64_t> last_words_;
  std::vector<std::uint8_t> last_;
};

class BuggyTransport final : public Transport {
 public:
  BuggyTransport(Transport& real, Host& its_host, Bug its_bug) : bug(its_bug), host(its_host), real_(real) {}

  Submitted start(Completion& done) noexcept override { return real_.start(done); }
  Submitted stop(Completion& done) noexcept override { return real_.stop(done); }
  void cancel(Completion& pending) noexcept override {
    for (auto& one : kept) {
      if (one->outer != &pending) continue;
      if (bug == Bug::cancels_without_care) {
        host.complete(*std::exchange(one->outer, nullptr), {Code::cancelled, 0, "planted"}, 0);
      } else {
        real_.cancel(*one);
      }
      return;
    }
    real_.cancel(pending);
  }
  void destroy() noexcept override {
    real_.destroy();
    delete this;
  }
  TransportLimits limits() const noexcept override { return real_.limits(); }
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override {
    return real_.listen(address, add(&events), bound, bound_size);
  }
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override {
    BuggyLink& link = add(&events);
    *out = &link;  // looked at after an ok alone
    return real_.connect(address, link, &link.real, done);
  }
  BuggyLink& add(LinkEvents* events) {
    links.push_back(std::make_unique<BuggyLink>(*this, events));
    return *links.back();
  }

  const Bug bug;
  Host& host;
  std::vector<std::unique_ptr<BuggyLink>> links;
  std::vector<std::unique_ptr<Kept>> kept;

 private:
  Transport& real_;
};

LinkEvents* BuggyLink::on_link(Link& link) noexcept {
  BuggyLink& made = transport_.add(nullptr);
  made.real = &link;
  made.events_ = events_->on_link(made);
  return made.events_ == nullptr ? nullptr : &made;
}

Kept& BuggyLink::keep(Completion& done) {
  transport_.kept.push_back(std::make_unique<Kept>());
  Kept& kept = *transport_.kept.back();
  kept.outer = &done;
  kept.bug = transport_.bug;
  kept.resume = [](Completion* arrived) noexcept {
    auto& one = *static_cast<Kept*>(arrived);
    if (one.outer == nullptr) return;
    if (one.bug == Bug::forgets_a_call && one.status.code == Code::closed) return;
    if (one.bug == Bug::writes_one_too_many && one.fills != nullptr && one.status.ok()) {
      static_cast<std::uint8_t*>(one.fills->base)[one.fills->size] = 1;
    }
    if (one.bug == Bug::ends_with_other_codes && one.status.code == Code::closed) one.status.code = Code::io_error;
    Completion* outer = std::exchange(one.outer, nullptr);
    outer->status = one.status;
    outer->value = one.value;
    outer->resume(outer);
  };
  return kept;
}

Submitted BuggyLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                          Completion& done) noexcept {
  if (transport_.bug != Bug::takes_everything || eager_parts != 0) {
    return real->send(head, head_parts, eager, eager_parts, done);
  }
  Kept& kept = keep(done);
  for (std::uint32_t i = 0; i < head_parts; ++i) {
    const auto* bytes = static_cast<const std::uint8_t*>(head[i].base);
    kept.bytes.insert(kept.bytes.end(), bytes, bytes + head[i].size);
  }
  kept.part = {kept.bytes.data(), kept.bytes.size()};
  kept.outer = nullptr;
  if (real->send(&kept.part, 1, nullptr, 0, kept) == Submitted::finished) return done.finish(kept.status, kept.value);
  return done.finish(kOk, kept.part.size);
}

Submitted BuggyLink::reclaim(Region& region, Completion& done) noexcept {
  if (transport_.bug != Bug::reclaims_without_care) return real->reclaim(region, done);
  return done.finish(kOk);
}

Submitted BuggyLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                          Completion& done) noexcept {
  Kept& kept = keep(done);
  kept.fills = parts == 1 ? local : nullptr;
  const Submitted how = real->pull(key, remote_offset, local, parts, kept);
  if (how == Submitted::pending) return how;
  kept.outer = nullptr;
  return done.finish(kept.status, kept.value);
}

void BuggyLink::on_closed(Link&, Status why) noexcept {
  const Bug bug = transport_.bug;
  if (bug == Bug::forgets_the_end && !closed_here_) return;
  if (bug == Bug::repeats_at_the_end && !closed_here_ && !last_.empty()) {
    last_words_.assign(last_.size() / 8 + 1, 0);
    std::copy(last_.begin(), last_.end(), reinterpret_cast<std::uint8_t*>(last_words_.data()));
    MessageLoan again;
    again.head = Bytes(static_cast<const void*>(last_words_.data()), last_.size());
    events_->on_head(*this, again, 0);
  }
  if (bug == Bug::harms_the_others && why.code == Code::corrupt) {
    for (auto& link : transport_.links) {
      if (link->real != nullptr) link->real->close();
    }
  }
  events_->on_closed(*this, why);
}

class BuggyFactory final : public LinkedTransportFactory {
 public:
  BuggyFactory(Host& host, Bug bug)
      : LinkedTransportFactory(minimal::kDescriptor, host, {}, "127.0.0.1:0"), bug_(bug) {}
  std::uint64_t patience_ns() const override { return bug_ == Bug::none ? 20 * kSecond : kSecond; }

 private:
  Result<Transport*> make_on(Host& host) override {
    const Result<Transport*> made = LinkedTransportFactory::make_on(host);
    if (!made.ok()) return made;
    return static_cast<Transport*>(new BuggyTransport(**made, host, bug_));
  }
  Bug bug_;
};

std::vector<std::string> rules_that_fail(Bug bug) {
  minimal::loses_short_reads = bug == Bug::loses_short_reads;
  RealRuntime runtime;
  TestHost host(runtime);
  BuggyFactory factory(host, bug);
  Report report;
  runtime.run(run_transport_faults(runtime, factory, 1, report));
  std::vector<std::string> failed;
  for (const Rule& rule : report.rules()) {
    if (rule.verdict == Verdict::failed) failed.push_back(rule.name);
  }
  if (bug == Bug::none) report.print(stdout);
  return failed;
}

}  // namespace

TEST_CASE("each planted mistake is found by a rule that guards against it") {
  CHECK(rules_that_fail(Bug::none).empty());
  const struct {
    Bug bug;
    const char* rule;
  } planted[] = {
      {Bug::forgets_the_end, "slow-node"},
      {Bug::forgets_the_end, "cut-at-every-byte"},
      {Bug::forgets_a_call, "cut-at-every-byte"},
      {Bug::repeats_at_the_end, "cut-at-every-byte"},
      {Bug::takes_everything, "stopped-node"},
      {Bug::takes_everything, "peer-stops-reading"},
      {Bug::reclaims_without_care, "late-bulk-after-reclaim"},
      {Bug::reclaims_without_care, "bulk-comes-late"},
      {Bug::cancels_without_care, "bulk-comes-late"},
      {Bug::writes_one_too_many, "slow-node"},
      {Bug::harms_the_others, "damage-harms-nothing-else"},
      {Bug::ends_with_other_codes, "cut-at-every-byte"},
      {Bug::loses_short_reads, "few-bytes-at-a-time"},
  };
  Bug last = Bug::none;
  std::vector<std::string> failed;
  for (const auto& one : planted) {
    if (one.bug != last) failed = rules_that_fail(last = one.bug);
    INFO("mistake " << static_cast<int>(one.bug) << " was to be found by " << one.rule);
    std::string found;
    for (const std::string& rule : failed) found += rule + " ";
    INFO("found by: " << found);
    CHECK(std::count(failed.begin(), failed.end(), std::string("transport.faults.") + one.rule) == 1);
  }
}

}  // namespace rideau
