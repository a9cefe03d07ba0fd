// SPDX-License-Identifier: Apache-2.0
// Goal: files leave an object target that is drained with every byte, hole, time and attribute that they have; whatever
// dies in between, a second start goes on and no object is left over; a drained target gets no new file.
#include "tests/unit/client/data_fake_target.hpp"
#include "tests/unit/mds/fixture.hpp"

#include "plugins/fs/layout_text.hpp"

#include <cerrno>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

constexpr TargetId kLeaving = 12;

struct Draining : Fixture {
  explicit Draining(std::uint64_t seed = 1) : Fixture(seed) {
    begin();
    connect();
  }
  void connect() {
    for (const TargetId id : options.object_targets) {
      auto fresh = std::make_unique<client::FakeTarget>(run->runtime, id);
      if (const auto before = targets.find(id); before != targets.end()) fresh->objects = before->second->objects;
      targets[id] = std::move(fresh);
      destroyer.channels[id] = targets[id].get();
    }
  }
  std::string drain(TargetId id, std::uint64_t rate = 0) { return await(mds().mover().begin(id, rate)); }
  StatFileSystemReply::Drain progress(TargetId id) {
    for (const auto& one : mds().mover().progress()) {
      if (one.target == id) return one;
    }
    return {};
  }
  bool wait_drained(std::uint64_t seconds = 600) {
    const auto done = [this] { return progress(kLeaving).state == DrainState::drained; };
    return world.run_until(done, world.now_ns() + seconds * kSecond) == sim::SimWorld::End::done;
  }
  // A file over all targets, written there as a client would.
  InodeId written_file(const std::string& name, std::uint64_t size, std::uint64_t hole_until = 0) {
    const InodeId inode = touched_file(kRootInode, name);
    const Layout layout = stat(inode).layout;
    for (std::uint32_t i = 0; i < layout.stripe_count(); ++i) {
      std::vector<std::uint8_t> bytes(size, 0);
      for (std::uint64_t at = hole_until; at < size; ++at) bytes[at] = static_cast<std::uint8_t>(1 + (at + i) % 250);
      targets.at(layout.targets[i])->objects[object_id(inode, layout.generation, i)] = bytes;
    }
    CHECK(close(inode, 0, {size * layout.stripe_count(), 8, 1, 0, true}).ok());
    return inode;
  }
  std::vector<std::vector<std::uint8_t>> bytes_of(InodeId inode) {
    const Layout layout = stat(inode).layout;
    std::vector<std::vector<std::uint8_t>> all;
    for (std::uint32_t i = 0; i < layout.stripe_count(); ++i) {
      all.push_back(targets.at(layout.targets[i])->objects[object_id(inode, layout.generation, i)]);
    }
    return all;
  }
  // Objects with bytes that no file has, and that nobody was asked to destroy.
  std::size_t left_over(const std::vector<InodeId>& inodes) {
    std::size_t count = 0;
    for (const auto& [target, fake] : targets) {
      for (const auto& [id, bytes] : fake->objects) {
        if (bytes.empty() || destroyer.gone.contains({target, id.high, id.low})) continue;
        bool owned = false;
        for (const InodeId inode : inodes) {
          const Layout layout = stat(inode).layout;
          const std::uint32_t stripe = stripe_index_of(id);
          owned = owned || (owner_of(id) == inode && generation_of(id) == layout.generation &&
                            stripe < layout.stripe_count() && layout.targets[stripe] == target);
        }
        if (!owned) ++count;
      }
    }
    return count;
  }
  std::map<TargetId, std::unique_ptr<client::FakeTarget>> targets;
};

bool is_same_to_programs(const Inode& a, const Inode& b) {
  return a.mode == b.mode && a.size == b.size && a.blocks == b.blocks && a.mtime_ns == b.mtime_ns &&
         a.ctime_ns == b.ctime_ns && a.atime_ns == b.atime_ns && a.birth_ns == b.birth_ns &&
         a.time_generation == b.time_generation && a.layout.stripe_size == b.layout.stripe_size &&
         a.layout.stripe_count() == b.layout.stripe_count();
}

}  // namespace

TEST_CASE("files leave a target with everything they have, and no new one comes", "[mds]") {
  Draining f;
  f.options.stripe_count = kStripeAll;
  f.begin();
  f.connect();
  std::vector<InodeId> inodes;
  for (int i = 0; i < 5; ++i) inodes.push_back(f.written_file("file" + std::to_string(i), 3'000'000, 1'500'000));
  const InodeId untouched = f.file(kRootInode, "untouched");
  std::vector<Inode> before;
  std::vector<std::vector<std::vector<std::uint8_t>>> bytes;
  for (const InodeId inode : inodes) {
    before.push_back(f.stat(inode));
    bytes.push_back(f.bytes_of(inode));
  }
  REQUIRE(f.drain(kLeaving).empty());
  // From that moment on.
  REQUIRE(f.stat(f.file(kRootInode, "new")).layout.stripe_count() == 2);
  REQUIRE(f.wait_drained());
  for (std::size_t i = 0; i < inodes.size(); ++i) {
    const Inode after = f.stat(inodes[i]);
    CHECK(is_same_to_programs(before[i], after));
    CHECK(after.layout.generation > before[i].layout.generation);
    CHECK(std::count(after.layout.targets.begin(), after.layout.targets.end(), kLeaving) == 0);
    CHECK(f.bytes_of(inodes[i]) == bytes[i]);
    CHECK(f.world.run_until([&] { return f.destroyer.is_gone(before[i]); }, f.world.now_ns() + 10 * kSecond) ==
          sim::SimWorld::End::done);
  }
  const Layout moved = f.stat(untouched).layout;
  CHECK(std::count(moved.targets.begin(), moved.targets.end(), kLeaving) == 0);
  CHECK(f.left_over(inodes) == 0);
  CHECK(f.progress(kLeaving).files_moved == 6);
  CHECK(f.progress(kLeaving).bytes_moved == 5 * 3 * 1'500'000);
  for (const auto& [id, target] : f.targets) CHECK(target->complaint.empty());

  SECTION("and it stays so after a restart, until it is cancelled") {
    f.stop();
    f.begin();
    f.connect();
    REQUIRE(f.progress(kLeaving).state == DrainState::drained);
    REQUIRE(f.stat(f.file(kRootInode, "after")).layout.stripe_count() == 2);
    REQUIRE(f.await(f.mds().mover().cancel(kLeaving)).empty());
    REQUIRE(f.stat(f.file(kRootInode, "later")).layout.stripe_count() == 3);
  }
  SECTION("and it can be removed, for ever") {
    REQUIRE(f.await(f.mds().mover().remove(kLeaving)).empty());
    REQUIRE(f.target().options.object_targets == std::vector<TargetId>{11, 13});
    REQUIRE_FALSE(f.await(f.mds().mover().cancel(kLeaving)).empty());
    f.stop();
    f.begin();  // the file has it still
    REQUIRE(f.target().options.object_targets == std::vector<TargetId>{11, 13});
    // Places stay what they were.
    LayoutDefault wish;
    wish.stripe_count = 1;
    wish.stripe_offset = 2;
    REQUIRE(f.target().placement.choose(wish, "", 1).targets == std::vector<TargetId>{13});
  }
}

TEST_CASE("an inline file only gets its new layout, and what objects may have of it goes", "[mds]") {
  Draining f;
  f.options.stripe_count = kStripeAll;
  f.begin();
  f.connect();
  const auto make = [&f](std::string_view name, HandleId handle) {
    MakeRequest request;
    request.parent = kRootInode;
    request.name = name;
    request.mode = S_IFREG | 0644;
    request.knows_inline = true;
    request.open = handle != 0;
    request.open_flags = kOpenRead | kOpenWrite;
    request.handle = handle;
    const auto reply = f.change(request);
    REQUIRE(reply.ok());
    return reply->inode.id;
  };
  const auto bytes = [&f](InodeId inode) {
    const auto reply = f.look(ReadInlineRequest{inode});
    return reply.ok() && reply->is_inline ? reply->bytes : "elsewhere";
  };
  const InodeId closed = make("closed", 7);
  const CloseItem told{closed, 7, {5, 8, 1, 0, true}, true, {true, "small", false}};
  REQUIRE(f.change(CloseRequest{{told}}).ok());
  // Its writer may have begun to write objects.
  const InodeId open = make("open", 8);
  const Inode was_closed = f.stat(closed);
  const Inode was_open = f.stat(open);
  REQUIRE(was_closed.is_inline());
  REQUIRE(f.drain(kLeaving).empty());
  REQUIRE(f.wait_drained());
  for (const Inode& before : {was_closed, was_open}) {
    const Inode after = f.stat(before.id);
    CHECK(after.is_inline());
    CHECK(is_same_to_programs(before, after));
    CHECK(after.layout.inline_max == before.layout.inline_max);
    CHECK(after.layout.generation == before.layout.generation + 1);
    CHECK(std::count(after.layout.targets.begin(), after.layout.targets.end(), kLeaving) == 0);
  }
  CHECK(bytes(closed) == "small");
  CHECK(bytes(open).empty());
  for (const auto& [id, target] : f.targets) CHECK(target->writes + target->reads == 0);
  CHECK(f.destroyer.is_gone(was_open));
  CHECK_FALSE(f.destroyer.is_gone(was_closed));
  CHECK(f.progress(kLeaving).bytes_moved == 0);
}

TEST_CASE("a slow move keeps its pace", "[mds]") {
  Draining f;
  f.options.stripe_count = kStripeAll;
  f.begin();
  f.connect();
  const InodeId inode = f.written_file("file", 10'000'000);
  const auto bytes = f.bytes_of(inode);
  const std::uint64_t begun = f.world.now_ns();
  REQUIRE(f.drain(kLeaving, 1'000'000).empty());
  REQUIRE(f.wait_drained());
  CHECK(f.world.now_ns() - begun > 28 * kSecond);
  CHECK(f.world.now_ns() - begun < 40 * kSecond);
  CHECK(f.bytes_of(inode) == bytes);
}

TEST_CASE("whatever dies while files move, the next start goes on and nothing is left over", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Draining f(seed);
    f.options.stripe_count = 1 + static_cast<std::uint32_t>(seed % 3);
    f.begin();
    f.connect();
    std::vector<InodeId> inodes;
    std::vector<std::vector<std::vector<std::uint8_t>>> bytes;
    for (int i = 0; i < 6; ++i) inodes.push_back(f.written_file("file" + std::to_string(i), 1'200'000));
    for (const InodeId inode : inodes) bytes.push_back(f.bytes_of(inode));
    REQUIRE(f.settle().ok());
    REQUIRE(f.drain(kLeaving).empty());
    for (int death = 0; death < 3; ++death) {
      f.world.run_until([] { return false; }, f.world.now_ns() + f.world.random().below(60) * kMillisecond);
      f.power_cut(f.world.random().next());
      f.begin();
      f.connect();
    }
    REQUIRE(f.wait_drained());
    for (std::size_t i = 0; i < inodes.size(); ++i) REQUIRE(f.bytes_of(inodes[i]) == bytes[i]);
    const auto nothing_left = [&] { return f.left_over(inodes) == 0; };
    REQUIRE(f.world.run_until(nothing_left, f.world.now_ns() + 20 * kSecond) == sim::SimWorld::End::done);
  }
}

TEST_CASE("a copy that its new target lost is made again", "[mds]") {
  Draining f;
  f.options.stripe_count = kStripeAll;
  f.begin();
  f.connect();
  const InodeId inode = f.written_file("file", 2'000'000);
  const auto bytes = f.bytes_of(inode);
  for (auto& [id, target] : f.targets) target->durable = target->objects;
  REQUIRE(f.drain(kLeaving).empty());
  const auto writes = [&] { return f.targets.at(11)->writes + f.targets.at(13)->writes; };
  REQUIRE(f.world.run_until([&] { return writes() >= 4; }, f.world.now_ns() + 60 * kSecond) ==
          sim::SimWorld::End::done);
  for (const TargetId id : {11u, 13u}) {
    f.targets.at(id)->lose_what_is_not_durable();
    ++f.destroyer.lost[id];
  }
  REQUIRE(f.wait_drained());
  CHECK(f.bytes_of(inode) == bytes);
}

TEST_CASE("what cannot be read stays, and is told", "[mds]") {
  Draining f;
  f.options.stripe_count = kStripeAll;
  f.begin();
  f.connect();
  const InodeId inode = f.written_file("file", 100'000);
  const auto bytes = f.bytes_of(inode);
  f.targets.at(kLeaving)->read_failure = Status{Code::io_error, EIO, "read"};
  REQUIRE(f.drain(kLeaving).empty());
  REQUIRE_FALSE(f.wait_drained(20));
  CHECK(f.progress(kLeaving).problem ==
        "inode " + std::to_string(inode) + ": its bytes cannot be read, rideau scrub says why");
  CHECK(f.progress(kLeaving).files_left == 1);
  CHECK(f.await(f.mds().mover().remove(kLeaving)) == "object target 12 is not empty yet");
  f.targets.at(kLeaving)->read_failure = kOk;
  REQUIRE(f.wait_drained());
  CHECK(f.bytes_of(inode) == bytes);
  CHECK(f.progress(kLeaving).problem.empty());
}

TEST_CASE("the last target that takes files is not drained, and layouts do not name one that is", "[mds]") {
  Draining f;
  const auto set = [&f](InodeId inode, std::string_view text) {
    return errno_of(f.change(SetAttributeRequest{root(), inode, kLayoutAttribute, text, 0}));
  };
  REQUIRE(f.drain(99) == "object target 99 is none of this cluster");
  REQUIRE(f.drain(kLeaving).empty());
  REQUIRE(f.drain(13).empty());
  REQUIRE_FALSE(f.drain(11).empty());
  REQUIRE(set(kRootInode, "stripe_offset=1") == ESHUTDOWN);
  REQUIRE(set(kRootInode, "stripe_offset=0") == 0);
  REQUIRE(set(kRootInode, "stripe_count=2") == EINVAL);
  REQUIRE(f.await(f.mds().mover().cancel(13)).empty());
  REQUIRE(set(kRootInode, "stripe_count=2") == 0);
}

TEST_CASE("files stay in the pool of their directory", "[mds]") {
  Draining f;
  f.options.pools = {{"fast", {11, 12}}, {"slow", {13}}};
  f.begin();
  f.connect();
  const auto set = [&f](InodeId inode, std::string_view text) {
    return errno_of(f.change(SetAttributeRequest{root(), inode, kLayoutAttribute, text, 0}));
  };
  const auto get = [&f](InodeId inode) {
    const auto reply = f.look(GetAttributeRequest{root(), inode, kLayoutAttribute});
    return reply.ok() ? reply->value : std::string();
  };
  const InodeId directory = f.mkdir(kRootInode, "scratch");
  REQUIRE(set(directory, "pool=quick") == ENXIO);
  REQUIRE(set(directory, "pool=fast stripe_count=3") == EINVAL);
  REQUIRE(set(directory, "pool=fast stripe_offset=2") == EINVAL);
  REQUIRE(set(directory, "pool=fast stripe_count=all") == 0);
  REQUIRE(get(directory) == "stripe_count=all stripe_size=default stripe_offset=any inline=default pool=fast");
  const InodeId below = f.mkdir(directory, "below");
  const InodeId file = f.file(below, "file");
  REQUIRE(get(below) == get(directory));
  std::vector<TargetId> on = f.stat(file).layout.targets;
  std::sort(on.begin(), on.end());
  REQUIRE(on == std::vector<TargetId>{11, 12});
  REQUIRE(get(file).find(" pool=fast bytes=objects targets=") != std::string::npos);
  REQUIRE(set(file, "pool=slow stripe_count=1") == 0);
  REQUIRE(f.stat(file).layout.targets == std::vector<TargetId>{13});
  const InodeId moves = f.touched_file(below, "moves");

  REQUIRE(f.drain(kLeaving).empty());
  REQUIRE(f.wait_drained());
  REQUIRE(f.stat(moves).layout.targets == std::vector<TargetId>{11, 11});
  REQUIRE(f.stat(f.file(below, "new")).layout.targets == std::vector<TargetId>{11});
  f.mds().set_pools({{"slow", {13}}});
  REQUIRE(errno_of(f.make(below, "nowhere", S_IFREG | 0644).status()) == ENOSPC);
  REQUIRE(set(below, "pool=none") == 0);
  REQUIRE(f.stat(f.file(below, "anywhere")).layout.stripe_count() == 2);

  // Older programs would not know what the pool means.
  f.stop();
  f.begin();
  REQUIRE(f.target().superblock.format_version == kFormatWithPools);
}
