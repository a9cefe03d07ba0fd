// SPDX-License-Identifier: Apache-2.0
// Goal: a file system that the metadata target made is clean; each kind of damage, planted into its records or objects,
// is found as what it is, and after mending everything is clean and usable.
#include "plugins/check/checker.hpp"
#include "plugins/check/stores.hpp"
#include "tests/sim/sim_objects.hpp"
#include "tests/unit/mds/fixture.hpp"

#include <algorithm>

#include <sys/xattr.h>

using namespace rideau;
using namespace rideau::check;
using namespace rideau::fs;

namespace {

std::string text_of(const Key& key) { return std::string(Bytes(key).view()); }

template <class Record>
std::string encoded(const Key& key, const Record& record) {
  RecordBuffer buffer;
  encode(record, key, buffer);
  return std::string(buffer.begin(), buffer.end());
}
std::string mark(const Key& key) {
  RecordBuffer buffer;
  encode_mark(key, buffer);
  return std::string(buffer.begin(), buffer.end());
}

// A small tree: /dir/sub/deep, /dir/file with a second name /dir/sub/link and an attribute, /dir/small with its bytes
// beside it, /gone (unlinked and open).
struct Tree : mds::Fixture {
  Tree() {
    begin();
    dir = mkdir(kRootInode, "dir");
    sub = mkdir(dir, "sub");
    deep = mkdir(sub, "deep");
    inode = file(dir, "file");
    REQUIRE(change(LinkRequest{mds::root(), inode, sub, "link"}).ok());
    REQUIRE(change(SetAttributeRequest{mds::root(), inode, "user.a", "value", 0}).ok());
    MakeRequest small_file;
    small_file.parent = dir;
    small_file.name = "small";
    small_file.mode = S_IFREG | 0644;
    small_file.knows_inline = true;
    small = change(small_file)->inode.id;
    REQUIRE(change(CloseRequest{{{small, 0, {10, 8, 1, 0, true}, true, {true, "some bytes", false}}}}).ok());
    open_file = file(kRootInode, "gone");
    REQUIRE(open(open_file, kOpenWrite, 1).ok());
    REQUIRE(remove(kRootInode, "gone").ok());
    layout = stat(inode).layout;
    REQUIRE(settle().ok());
    seed = target().superblock.hash_seed;
    stop();
  }

  // What a check of the stopped target says.
  Report check(bool repair = false, Status expected = kOk) {
    Stores stores(*this);
    Report report;
    CheckOptions settings;
    settings.cluster = options.cluster;
    settings.target = options.target;
    settings.repair = repair;
    settings.now_ns = world.now_ns();
    std::optional<Status> status;
    stores.tasks.spawn(run_check(stores, settings, report, status));
    REQUIRE(world.run_until([&] { return status.has_value(); }, world.now_ns() + 60 * kSecond) ==
            sim::SimWorld::End::done);
    REQUIRE(status->code == expected.code);
    return report;
  }
  // The kinds, each once for each finding, in order.
  std::vector<std::string> kinds(bool repair = false) {
    std::vector<std::string> all;
    for (const Finding& finding : check(repair).findings) {
      REQUIRE_FALSE(finding.text.empty());
      all.push_back(kind_name(finding.kind));
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  // Finds exactly these, mends them, and is clean and alive afterwards.
  void finds_and_mends(std::vector<std::string> wanted) {
    std::sort(wanted.begin(), wanted.end());
    REQUIRE(kinds() == wanted);
    const Report report = check(true);
    for (const Finding& finding : report.findings) {
      CAPTURE(finding.text);
      REQUIRE(finding.mended);
    }
    REQUIRE(kinds().empty());
    begin();
    REQUIRE_FALSE(names(kRootInode).empty());
    stop();
    REQUIRE(kinds().empty());
  }

  void damage(const Edits& edits) {
    Stores stores(*this);
    std::optional<Status> status;
    stores.tasks.spawn(run_change(stores, edits, status));
    REQUIRE(world.run_until([&] { return status.has_value(); }, world.now_ns() + 60 * kSecond) ==
            sim::SimWorld::End::done);
    REQUIRE(status->ok());
  }
  void write_object(std::uint32_t number, ObjectId id) {
    Stores stores(*this);
    std::optional<Status> status;
    stores.tasks.spawn(run_write(stores, number, id, status));
    REQUIRE(world.run_until([&] { return status.has_value(); }, world.now_ns() + 60 * kSecond) ==
            sim::SimWorld::End::done);
    REQUIRE(status->ok());
  }
  std::string value(const Key& key) {
    const auto entries = disk.entries();
    const auto at = entries.find(text_of(key));
    REQUIRE(at != entries.end());
    return at->second;
  }
  InodeRecord record(InodeId id) {
    InodeRecord result;
    const Key key = inode_key(id);
    const std::string bytes = value(key);
    REQUIRE(decode(key, Bytes(std::string_view(bytes)), &result).ok());
    return result;
  }
  void put(const InodeRecord& changed) {
    const Key key = inode_key(changed.inode.id);
    damage({{text_of(key), encoded(key, changed)}});
  }
  void put_name(InodeId directory, Cookie cookie, std::string_view name, InodeId id, std::uint32_t type) {
    const Key key = entry_key(directory, cookie);
    damage({{text_of(key), encoded(key, EntryRecord{id, type, name})}});
  }
  void erase(const Key& key) { damage({{text_of(key), std::nullopt}}); }
  void flip(const Key& key) {
    std::string bytes = value(key);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    damage({{text_of(key), bytes}});
  }
  Cookie place(std::string_view name) const { return first_cookie(name, seed); }

  // The stores of stopped nodes.
  struct Stores {
    explicit Stores(Tree& tree)
        : runtime(tree.world, "check"),
          host(runtime, tree.log, "check"),
          index(sim::make_sim_index(host, tree.disk)),
          tasks(runtime) {
      for (sim::SimObjectDisk& disk : tree.objects) stores.push_back(sim::make_sim_objects(host, disk));
    }
    ~Stores() {
      index->destroy();
      for (ObjectStore* store : stores) store->destroy();
    }
    Task<> start() {
      Outcome done = co_await submit([this](Completion& c) { return index->start(c); });
      REQUIRE(done.ok());
      for (ObjectStore* store : stores) {
        done = co_await submit([store](Completion& c) { return store->start(c); });
        REQUIRE(done.ok());
      }
    }
    Task<> stop() {
      Outcome done = co_await submit([this](Completion& c) { return index->stop(c); });
      REQUIRE(done.ok());
      for (ObjectStore* store : stores) {
        done = co_await submit([store](Completion& c) { return store->stop(c); });
        REQUIRE(done.ok());
      }
    }
    sim::SimRuntime runtime;
    NodeHost host;
    IndexStore* index;
    std::vector<ObjectStore*> stores;
    TaskGroup tasks;
  };

  Task<> run_check(Stores& stores, CheckOptions settings, Report& report, std::optional<Status>& status) {
    co_await stores.start();
    Status done;
    {
      IndexSource meta(*stores.index);
      std::vector<StoreObjects> sources;
      for (std::size_t i = 0; i < stores.stores.size(); ++i)
        sources.emplace_back(options.object_targets[i], *stores.stores[i]);
      std::vector<ObjectSource*> pointers;
      for (StoreObjects& source : sources) pointers.push_back(&source);
      done = co_await check::check(meta, pointers, settings, &report);
    }
    co_await stores.stop();
    status = done;
  }
  Task<> run_change(Stores& stores, const Edits& edits, std::optional<Status>& status) {
    co_await stores.start();
    IndexSource meta(*stores.index);
    const Status done = co_await meta.change(edits);
    co_await stores.stop();
    status = done;
  }
  Task<> run_write(Stores& stores, std::uint32_t number, ObjectId id, std::optional<Status>& status) {
    co_await stores.start();
    char byte = 'x';
    const IoVec part{&byte, 1};
    const Outcome done =
        co_await submit([&](Completion& c) { return stores.stores[number]->write(id, 0, &part, 1, c); });
    co_await stores.stop();
    status = done.status;
  }

  sim::SimObjectDisk objects[3];
  InodeId dir = 0, sub = 0, deep = 0, inode = 0, small = 0, open_file = 0;
  Layout layout;
  std::uint64_t seed = 0;
};

}  // namespace

TEST_CASE("what the metadata target made is clean", "[check]") {
  Tree tree;
  const Report report = tree.check();
  for (const Finding& finding : report.findings) WARN(finding.text);
  REQUIRE(report.clean());
  REQUIRE(report.inodes == 7);
  REQUIRE(report.entries == 6);
  REQUIRE(report.passes == 1);
  // The check changes nothing, with repair neither.
  const auto before = tree.disk.entries();
  REQUIRE(tree.check(true).clean());
  REQUIRE(tree.disk.entries() == before);
}

TEST_CASE("records that cannot be read", "[check]") {
  Tree tree;
  SECTION("an inode") {
    tree.flip(inode_key(tree.inode));
    // Its names, its attribute and its back link mean nothing any more.
    tree.finds_and_mends({"damaged-inode", "dangling-entry", "dangling-entry", "stray-attribute", "stray-back-link",
                          "wrong-entry-count", "wrong-entry-count"});
    tree.begin();
    REQUIRE(tree.name_set(tree.dir) == std::set<std::string>{"small", "sub"});
  }
  SECTION("an entry: what it named is found again") {
    const InodeRecord file = tree.record(tree.inode);
    tree.flip(entry_key(file.link_parent, file.link_cookie));
    tree.finds_and_mends({"damaged-record", "wrong-entry-count", "wrong-first-name", "wrong-link-count"});
  }
  SECTION("an entry of a directory") {
    const InodeRecord directory = tree.record(tree.sub);
    tree.flip(entry_key(directory.link_parent, directory.link_cookie));
    tree.finds_and_mends({"damaged-record", "no-name", "wrong-entry-count", "wrong-link-count"});
    tree.begin();
    const auto lost = tree.lookup(kRootInode, "lost+found");
    REQUIRE(lost.ok());
    const auto found = tree.lookup(lost->inode.id, "#" + std::to_string(tree.sub));
    REQUIRE(found.ok());
    REQUIRE(tree.name_set(found->inode.id) == std::set<std::string>{"deep", "link"});
    REQUIRE(tree.lookup(found->inode.id, "..")->inode.id == lost->inode.id);
  }
  SECTION("counters") {
    tree.flip(counters_key());
    tree.finds_and_mends({"damaged-counters"});
  }
  SECTION("an attribute") {
    tree.flip(xattr_key(tree.inode, "user.a"));
    tree.finds_and_mends({"damaged-record", "wrong-attribute-count"});
  }
  SECTION("the bytes of a file: it has none then") {
    tree.flip(inline_key(tree.small));
    REQUIRE(tree.kinds() == std::vector<std::string>{"damaged-record"});
    const Report report = tree.check(true);
    REQUIRE(report.left() == 0);
    REQUIRE(tree.kinds().empty());
    REQUIRE(tree.record(tree.small).inode.size == 0);
  }
  SECTION("bytes that nobody has, and too few of them") {
    RecordBuffer bytes;
    encode_inline(Bytes(std::string_view("bytes")), inline_key(12345), bytes);
    tree.damage({{text_of(inline_key(12345)), std::string(bytes.begin(), bytes.end())}});
    tree.finds_and_mends({"stray-inline-bytes"});
    encode_inline(Bytes(std::string_view("bytes")), inline_key(tree.inode), bytes);
    tree.damage({{text_of(inline_key(tree.inode)), std::string(bytes.begin(), bytes.end())}});
    tree.finds_and_mends({"stray-inline-bytes"});
    encode_inline(Bytes(std::string_view("bytes")), inline_key(tree.small), bytes);
    tree.damage({{text_of(inline_key(tree.small)), std::string(bytes.begin(), bytes.end())}});
    tree.finds_and_mends({"wrong-inline-size"});
    REQUIRE(tree.record(tree.small).inode.size == 5);
  }
  SECTION("a record in a wrong place") {
    tree.damage({{text_of(inode_key(tree.inode + 100)), tree.value(inode_key(tree.inode))}});
    tree.finds_and_mends({"damaged-inode", "wrong-counters"});
  }
  SECTION("the superblock is not mended") {
    tree.flip(superblock_key());
    REQUIRE(tree.kinds() == std::vector<std::string>{"damaged-superblock"});
    REQUIRE(tree.check(true).left() == 1);
  }
  SECTION("a record of a kind that nobody knows keeps everything as it is") {
    tree.damage(
        {{std::string("\x7f", 1), std::string("x")}, {text_of(open_unlinked_key(77)), mark(open_unlinked_key(77))}});
    const auto before = tree.disk.entries();
    const Report report = tree.check(true);
    REQUIRE(report.left() == 2);
    REQUIRE(tree.disk.entries() == before);
  }
}

TEST_CASE("names that are wrong", "[check]") {
  Tree tree;
  SECTION("of an inode that is not there") {
    tree.put_name(tree.dir, tree.place("ghost"), "ghost", 12345, S_IFREG);
    tree.finds_and_mends({"dangling-entry", "wrong-counters"});
  }
  SECTION("in a directory that is not there") {
    tree.put_name(12345, tree.place("x"), "x", tree.inode, S_IFREG);
    tree.finds_and_mends({"stray-entry", "wrong-counters"});
  }
  SECTION("of another type") {
    const InodeRecord file = tree.record(tree.inode);
    tree.put_name(file.link_parent, file.link_cookie, "file", tree.inode, S_IFLNK);
    tree.finds_and_mends({"wrong-entry-type"});
  }
  SECTION("where no lookup finds it") {
    const InodeRecord file = tree.record(tree.inode);
    tree.erase(entry_key(file.link_parent, file.link_cookie));
    tree.put_name(file.link_parent, file.link_cookie ^ 1ull << 40, "file", tree.inode, S_IFREG);
    tree.finds_and_mends({"misplaced-entry", "missing-back-link", "wrong-first-name"});
    tree.begin();
    REQUIRE(tree.lookup(tree.dir, "file")->inode.id == tree.inode);
  }
  SECTION("twice in one directory") {
    const InodeRecord file = tree.record(tree.inode);
    tree.put_name(file.link_parent, file.link_cookie + 1, "file", tree.inode, S_IFREG);
    tree.finds_and_mends({"repeated-entry", "wrong-counters"});
  }
  SECTION("a second one of a directory") {
    tree.put_name(kRootInode, tree.place("alias"), "alias", tree.deep, S_IFDIR);
    tree.finds_and_mends({"second-name", "wrong-counters"});
    tree.begin();
    REQUIRE(tree.lookup(tree.sub, "deep")->inode.id == tree.deep);
  }
  SECTION("lost") {
    const InodeRecord directory = tree.record(tree.deep);
    tree.erase(entry_key(directory.link_parent, directory.link_cookie));
    tree.finds_and_mends({"no-name", "wrong-counters", "wrong-entry-count", "wrong-link-count"});
  }
  SECTION("a directory in itself") {
    // dir moves into deep, which lies in it.
    InodeRecord directory = tree.record(tree.dir);
    tree.erase(entry_key(directory.link_parent, directory.link_cookie));
    tree.put_name(tree.deep, tree.place("dir"), "dir", tree.dir, S_IFDIR);
    directory.link_parent = tree.deep;
    tree.put(directory);
    tree.finds_and_mends({"loop", "wrong-entry-count", "wrong-entry-count", "wrong-link-count", "wrong-link-count"});
    tree.begin();
    const auto lost = tree.lookup(kRootInode, "lost+found");
    REQUIRE(lost.ok());
    REQUIRE(tree.names(lost->inode.id).size() == 1);
  }
}

TEST_CASE("inodes that are wrong", "[check]") {
  Tree tree;
  SECTION("link counts") {
    InodeRecord file = tree.record(tree.inode);
    file.inode.link_count = 5;
    tree.put(file);
    InodeRecord directory = tree.record(tree.dir);
    directory.inode.link_count = 2;
    directory.inode.size = 9;
    tree.put(directory);
    tree.finds_and_mends({"wrong-entry-count", "wrong-link-count", "wrong-link-count"});
    tree.begin();
    REQUIRE(tree.stat(tree.inode).link_count == 2);
    REQUIRE(tree.stat(tree.dir).link_count == 3);
  }
  SECTION("the name that it knows") {
    InodeRecord file = tree.record(tree.inode);
    file.link_cookie ^= 1;
    tree.put(file);
    tree.finds_and_mends({"missing-back-link", "wrong-first-name"});
  }
  SECTION("back links") {
    const Key wrong = back_link_key(tree.inode, 777, 888);
    tree.damage({{text_of(wrong), mark(wrong)}});
    for (const auto& [key, value] : tree.disk.entries()) {
      if (key[0] == static_cast<char>(KeyKind::back_link) && key != text_of(wrong)) tree.damage({{key, std::nullopt}});
    }
    tree.finds_and_mends({"missing-back-link", "stray-back-link"});
  }
  SECTION("unlinked and forgotten: the next start purges it") {
    tree.erase(open_unlinked_key(tree.open_file));
    REQUIRE(tree.kinds() == std::vector<std::string>{"forgotten"});
    REQUIRE(tree.check(true).left() == 0);
    tree.begin();
    REQUIRE(tree.stat_errno(tree.open_file) == ESTALE);
  }
  SECTION("marked as unlinked with a name") {
    tree.damage({{text_of(open_unlinked_key(tree.inode)), mark(open_unlinked_key(tree.inode))}});
    tree.finds_and_mends({"stray-open-mark"});
  }
  SECTION("no root") {
    tree.erase(inode_key(kRootInode));
    REQUIRE(tree.kinds() == (std::vector<std::string>{"missing-root", "no-name", "stray-entry", "wrong-counters"}));
    REQUIRE(tree.check(true).left() == 0);
    REQUIRE(tree.kinds().empty());
  }
  SECTION("attributes") {
    const Key key = xattr_key(4242, "user.x");
    RecordBuffer buffer;
    encode_xattr(Bytes(std::string_view("v")), key, buffer);
    tree.damage({{text_of(key), std::string(buffer.begin(), buffer.end())}});
    InodeRecord file = tree.record(tree.inode);
    file.xattr_count = 0;
    tree.put(file);
    tree.finds_and_mends({"stray-attribute", "wrong-attribute-count"});
  }
}

TEST_CASE("access control lists", "[check]") {
  struct ListedTree : Tree {
    ListedTree() {
      begin();
      listed = mkdir(kRootInode, "listed");
      const std::string list = format_access_list({{AccessTag::owner, 7},
                                                   {AccessTag::user, 5, 1000},
                                                   {AccessTag::owning_group, 0},
                                                   {AccessTag::mask, 7},
                                                   {AccessTag::others, 5}});
      for (const std::string_view name : {kAccessListXattr, kDefaultListXattr}) {
        REQUIRE(change(SetAttributeRequest{mds::root(), listed, name, list, 0}).ok());
      }
      REQUIRE(settle().ok());
      stop();
    }
    InodeId listed = 0;
  } tree;
  SECTION("an access control list that is lost opens nothing") {
    const Key key = xattr_key(tree.listed, kAccessListXattr);
    tree.flip(key);
    tree.finds_and_mends({"damaged-record", "wrong-access-list", "wrong-attribute-count"});
    const Inode inode = tree.record(tree.listed).inode;
    REQUIRE(inode.mode == (S_IFDIR | 0705));
    REQUIRE((inode.flags & (kAccessList | kDefaultList)) == kDefaultList);
  }
  SECTION("an access control list that no inode speaks of") {
    InodeRecord listed = tree.record(tree.listed);
    listed.inode.flags &= ~static_cast<std::uint32_t>(kDefaultList);
    tree.put(listed);
    tree.finds_and_mends({"wrong-access-list"});
    REQUIRE((tree.record(tree.listed).inode.flags & kDefaultList) != 0);
  }
  SECTION("an access control list that is none") {
    const Key key = xattr_key(tree.listed, kDefaultListXattr);
    RecordBuffer buffer;
    encode_xattr(Bytes(std::string_view("no list")), key, buffer);
    tree.damage({{text_of(key), std::string(buffer.begin(), buffer.end())}});
    tree.finds_and_mends({"damaged-record", "wrong-access-list", "wrong-attribute-count"});
  }
}

TEST_CASE("counters and numbers", "[check]") {
  Tree tree;
  SECTION("counters") {
    Counters counters;
    const Key key = counters_key();
    const std::string bytes = tree.value(key);
    REQUIRE(decode(key, Bytes(std::string_view(bytes)), &counters).ok());
    counters.entries += 3;
    tree.damage({{text_of(key), encoded(key, counters)}});
    tree.finds_and_mends({"wrong-counters"});
  }
  SECTION("numbers that could be given again") {
    Superblock block;
    const Key key = superblock_key();
    const std::string bytes = tree.value(key);
    REQUIRE(decode(key, Bytes(std::string_view(bytes)), &block).ok());
    block.counter_reserved = 2;
    tree.damage({{text_of(key), encoded(key, block)}});
    REQUIRE(tree.kinds() == std::vector<std::string>{"unsafe-numbers"});
    REQUIRE(tree.check(true).left() == 0);
    REQUIRE(tree.kinds().empty());
  }
  SECTION("another cluster's index is left alone") {
    tree.options.cluster = make_uuid({9});
    REQUIRE(tree.check(true, {Code::refused, 0, ""}).findings.empty());
  }
}

TEST_CASE("objects", "[check]") {
  Tree tree;
  const auto number_of = [&](TargetId target) { return target - 11; };
  const std::uint32_t home = number_of(tree.layout.targets[0]);
  const std::uint32_t elsewhere = (home + 1) % 3;
  tree.write_object(home, object_id(tree.inode, tree.layout.generation, 0));
  REQUIRE(tree.kinds().empty());
  REQUIRE(tree.check().objects == 1);
  SECTION("without a file, of another layout, of a stripe too much, on another target") {
    tree.write_object(home, object_id(4711, 1, 0));
    tree.write_object(home, object_id(tree.inode, tree.layout.generation + 1, 0));
    tree.write_object(home, object_id(tree.inode, tree.layout.generation, tree.layout.stripe_count()));
    tree.write_object(elsewhere, object_id(tree.inode, tree.layout.generation, 0));
    tree.write_object(home, object_id(tree.dir, 0, 0));
    tree.finds_and_mends({"orphan-object", "orphan-object", "orphan-object", "orphan-object", "orphan-object"});
    REQUIRE(tree.objects[home].sizes().size() == 1);
    REQUIRE(tree.objects[elsewhere].sizes().empty());
  }
  SECTION("that are still to be destroyed are no orphans") {
    tree.write_object(home, object_id(4711, 1, 0));
    const Key key = destroy_key(4711, 1);
    tree.damage({{text_of(key), encoded(key, DestroyRecord{{tree.layout.targets[0]}})}});
    REQUIRE(tree.kinds().empty());
  }
  SECTION("of files whose making was lost are the next start's affair, others are not") {
    tree.write_object(home, object_id(tree.open_file + 1, 1, 0));
    REQUIRE(tree.kinds().empty());
    tree.write_object(home, object_id(make_inode_id(5, 1 << 30), 1, 0));
    REQUIRE(tree.kinds() == std::vector<std::string>{"orphan-object"});
  }
  SECTION("of a living file are not destroyed") {
    const Key key = destroy_key(tree.inode, tree.layout.generation);
    tree.damage({{text_of(key), encoded(key, DestroyRecord{tree.layout.targets})}});
    tree.finds_and_mends({"destroy-of-living"});
    REQUIRE(tree.objects[home].sizes().size() == 1);
  }
  SECTION("on a target that the cluster does not have") {
    InodeRecord file = tree.record(tree.inode);
    file.inode.layout.targets.push_back(99);
    tree.put(file);
    REQUIRE(tree.kinds() == std::vector<std::string>{"unknown-target"});
    REQUIRE(tree.check(true).left() == 1);
  }
}
