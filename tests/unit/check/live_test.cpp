// SPDX-License-Identifier: Apache-2.0
// Goal: a check that reads a metadata target at work takes no change for damage, whenever the change comes, and finds
// what is damaged all the same.
#include "plugins/check/checker.hpp"
#include "tests/unit/mds/fixture.hpp"

#include <functional>
#include <set>

using namespace rideau;
using namespace rideau::check;
using namespace rideau::fs;

namespace {

// /dir/sub/deep, /dir/file with a second name /dir/sub/link and an attribute, /other/file2.
struct Live : mds::Fixture {
  Live() {
    begin();
    dir = mkdir(kRootInode, "dir");
    sub = mkdir(dir, "sub");
    deep = mkdir(sub, "deep");
    inode = file(dir, "file");
    REQUIRE(change(LinkRequest{mds::root(), inode, sub, "link"}).ok());
    REQUIRE(change(SetAttributeRequest{mds::root(), inode, "user.a", "value", 0}).ok());
    other = mkdir(kRootInode, "other");
    file2 = file(other, "file2");
    layout = stat(file2).layout;
    REQUIRE(settle().ok());
  }

  // A change in the middle of a page, which nothing waits for.
  template <class Request>
  bool now(const Request& request) {
    mds::Transaction transaction(target());
    if constexpr (requires { apply(target(), transaction, request, *session); }) {
      return apply(target(), transaction, request, *session).ok();
    } else {
      return apply(target(), transaction, request).ok();
    }
  }
  bool make_now(InodeId parent, std::string_view name, std::uint32_t mode) {
    MakeRequest request;
    request.parent = parent;
    request.name = name;
    request.mode = mode;
    return now(request);
  }

  // A name in this directory changes to another one before each page, and back.
  void stir(InodeId directory) {
    REQUIRE(make(directory, "odd", S_IFREG | 0644).ok());
    records.before_page = [this, directory](int page) {
      const char* const names[] = {"odd", "even"};
      const std::string_view from = names[page % 2];
      const std::string_view to = names[1 - page % 2];
      REQUIRE(now(RenameRequest{mds::root(), directory, from, directory, to}));
    };
  }

  // Reads two records a page; before each page something happens, and is durable.
  struct Records final : MetaSource {
    explicit Records(Live& live) : live_(live) {}
    Task<Status> begin() override {
      const Status durable = co_await live_.target().committer.wait_durable(live_.target().committer.last());
      transaction_ = live_.target().committer.durable();
      co_return durable;
    }
    Task<Result<MetaSource::Records>> next(const std::string& after) override {
      const Status admitted = co_await live_.target().committer.admit(mds::Need::steady);
      REQUIRE(admitted.ok());
      if (before_page) before_page(pages++);
      const Status durable = co_await live_.target().committer.wait_durable(live_.target().committer.last());
      REQUIRE(durable.ok());
      std::string from = after;
      if (!from.empty()) from += '\0';
      auto reply = live_.look(ScanRecordsRequest{from, 2});
      REQUIRE(reply.ok());
      REQUIRE(reply->records.size() <= 2);
      transaction_ = reply->transaction;
      co_return std::move(reply->records);
    }
    Task<Result<Values>> get(const std::vector<std::string>& keys) override {
      GetRecordsRequest request;
      for (const std::string& key : keys) request.keys.emplace_back(key);
      auto reply = live_.look(request);
      REQUIRE(reply.ok());
      transaction_ = reply->transaction;
      co_return std::move(reply->values);
    }
    std::uint64_t transaction() const override { return transaction_; }
    Task<Status> change(const Edits&) override { co_return Status{Code::unsupported, 0, "mend"}; }
    std::function<void(int page)> before_page;
    int pages = 0;

   private:
    Live& live_;
    std::uint64_t transaction_ = 0;
  };

  struct Objects final : ObjectSource {
    explicit Objects(TargetId target) : target_(target) {}
    TargetId target() const override { return target_; }
    Task<Result<std::vector<ObjectId>>> next(std::optional<ObjectId> after) override {
      std::vector<ObjectId> found;
      for (const ObjectId& object : there) {
        if (!after || *after < object) found.push_back(object);
      }
      if (after_listing) after_listing();
      co_return found;
    }
    Task<Status> destroy(const std::vector<ObjectId>&) override { co_return Status{Code::unsupported, 0, "destroy"}; }
    std::set<ObjectId> there;
    std::function<void()> after_listing;

   private:
    const TargetId target_;
  };

  Report check() {
    Report report;
    CheckOptions settings;
    settings.cluster = options.cluster;
    settings.target = options.target;
    settings.live = true;
    REQUIRE(await(check::check(records, {&objects[0], &objects[1], &objects[2]}, settings, &report)).ok());
    return report;
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> all;
    for (const Finding& finding : check().findings) all.push_back(kind_name(finding.kind));
    std::sort(all.begin(), all.end());
    return all;
  }
  // As if the stopped target's index had been damaged.
  template <class Record>
  void damage(const Key& key, const Record& record) {
    RecordBuffer buffer;
    encode(record, key, buffer);
    put(key, Bytes(buffer.data(), buffer.size()));
  }
  void put(const Key& key, Bytes value) {
    REQUIRE(await(target().committer.admit(mds::Need::steady)).ok());
    target().committer.begin_transaction();
    target().committer.put(key, value);
    REQUIRE(settle().ok());
  }
  InodeRecord record(InodeId id) {
    InodeRecord found;
    REQUIRE(target().names.get(id, &found).ok());
    return found;
  }
  Objects& objects_of(TargetId id) { return objects[id - 11]; }

  InodeId dir = 0, sub = 0, deep = 0, inode = 0, other = 0, file2 = 0;
  Layout layout;
  Records records{*this};
  Objects objects[3] = {Objects(11), Objects(12), Objects(13)};
};

}  // namespace

TEST_CASE("the records of a running target, read through its calls", "[check][live]") {
  Live live;
  const Report report = live.check();
  REQUIRE(report.clean());
  REQUIRE(report.unsettled == 0);
  REQUIRE(report.passes == 1);
  REQUIRE(report.inodes == 7);
  REQUIRE(report.entries == 7);
  // What a page shows is what lies in the index, in its order.
  const auto entries = live.disk.entries();
  std::string from;
  for (const auto& [key, value] : entries) {
    const auto page = live.look(ScanRecordsRequest{from, 1});
    REQUIRE(page.ok());
    REQUIRE(page->records.size() == 1);
    REQUIRE(page->records[0] == std::make_pair(key, value));
    const auto one = live.look(GetRecordsRequest{{key, "\x7f"}});
    REQUIRE(one.ok());
    REQUIRE(one->values.size() == 2);
    REQUIRE(one->values[0] == value);
    REQUIRE_FALSE(one->values[1].has_value());
    from = key + '\0';
  }
  REQUIRE(live.look(ScanRecordsRequest{from, 1})->records.empty());
}

TEST_CASE("no change is damage, whenever it comes", "[check][live]") {
  struct Step {
    const char* name;
    std::function<bool(Live&)> change;
  };
  const std::vector<Step> steps = {
      {"a file is made", [](Live& live) { return live.make_now(live.dir, "new", S_IFREG | 0644); }},
      {"a directory is made", [](Live& live) { return live.make_now(live.deep, "new", S_IFDIR | 0755); }},
      {"a file is removed",
       [](Live& live) {
         return live.now(RemoveRequest{mds::root(), live.other, "file2"});
       }},
      {"a directory is removed",
       [](Live& live) {
         return live.now(RemoveRequest{mds::root(), live.sub, "deep", true});
       }},
      {"the first name is removed",
       [](Live& live) {
         return live.now(RemoveRequest{mds::root(), live.dir, "file"});
       }},
      {"another name is removed",
       [](Live& live) {
         return live.now(RemoveRequest{mds::root(), live.sub, "link"});
       }},
      {"a name is added",
       [](Live& live) {
         return live.now(LinkRequest{mds::root(), live.file2, live.deep, "more"});
       }},
      {"a file moves",
       [](Live& live) {
         return live.now(RenameRequest{mds::root(), live.dir, "file", live.other, "moved"});
       }},
      {"a file moves over another",
       [](Live& live) {
         return live.now(RenameRequest{mds::root(), live.other, "file2", live.dir, "file"});
       }},
      {"a directory moves",
       [](Live& live) {
         return live.now(RenameRequest{mds::root(), live.sub, "deep", live.other, "deep"});
       }},
      {"two directories change places",
       [](Live& live) {
         return live.now(RenameRequest{mds::root(), live.dir, "sub", kRootInode, "other", kRenameExchange});
       }},
      // Read in between, each of the two lies in the other.
      {"a directory moves into one that it held",
       [](Live& live) {
         return live.now(RenameRequest{mds::root(), live.sub, "deep", kRootInode, "up"}) &&
                live.now(RenameRequest{mds::root(), kRootInode, "dir", live.deep, "down"});
       }},
      {"an attribute comes",
       [](Live& live) {
         return live.now(SetAttributeRequest{mds::root(), live.file2, "user.b", "v", 0});
       }},
      {"an attribute goes",
       [](Live& live) {
         return live.now(RemoveAttributeRequest{mds::root(), live.inode, "user.a"});
       }},
      {"an open file is removed",
       [](Live& live) {
         return live.now(OpenRequest{mds::root(), live.file2, kOpenWrite, 7}) &&
                live.now(RemoveRequest{mds::root(), live.other, "file2"});
       }},
  };
  for (const Step& step : steps) {
    for (int page = 0, pages = 1; page < pages; ++page) {
      Live live;
      live.records.before_page = [&](int number) {
        if (number == page) REQUIRE(step.change(live));
      };
      CAPTURE(step.name, page);
      const Report report = live.check();
      for (const Finding& finding : report.findings) WARN(kind_name(finding.kind) << ": " << finding.text);
      REQUIRE(report.clean());
      REQUIRE(report.unsettled == 0);
      if (page == 0) pages = live.records.pages;
    }
  }
}

TEST_CASE("damage is found while other things change", "[check][live]") {
  Live live;
  for (const char* name : {"1", "2", "3", "4", "5"}) live.file(live.deep, name);
  live.stir(live.deep);
  SECTION("a link count") {
    InodeRecord wrong = live.record(live.inode);
    wrong.inode.link_count = 9;
    live.damage(inode_key(live.inode), wrong);
    REQUIRE(live.kinds() == std::vector<std::string>{"wrong-link-count"});
  }
  SECTION("a count of entries, of the directory that changes") {
    InodeRecord wrong = live.record(live.deep);
    wrong.inode.size += 100;
    live.damage(inode_key(live.deep), wrong);
    // Two entries a page never let it be counted in one state.
    const Report report = live.check();
    REQUIRE(report.clean());
    REQUIRE(report.unsettled >= 1);  // and the name that changes
    REQUIRE(report.passes == 3);
    // As soon as it holds still for one count, while others change, it is told.
    live.records.pages = 0;
    live.stir(live.other);
    REQUIRE(live.kinds() == std::vector<std::string>{"wrong-entry-count"});
  }
  SECTION("names of nothing, attributes and back links of nothing") {
    const Cookie place = first_cookie("ghost", live.target().superblock.hash_seed);
    live.damage(entry_key(live.other, place), EntryRecord{12345, S_IFREG, "ghost"});
    live.damage(entry_key(54321, place), EntryRecord{live.inode, S_IFREG, "stray"});
    RecordBuffer buffer;
    encode_xattr(Bytes(std::string_view("v")), xattr_key(4242, "user.x"), buffer);
    live.put(xattr_key(4242, "user.x"), Bytes(buffer.data(), buffer.size()));
    encode_mark(back_link_key(live.inode, 777, 888), buffer);
    live.put(back_link_key(live.inode, 777, 888), Bytes(buffer.data(), buffer.size()));
    encode_mark(open_unlinked_key(999), buffer);
    live.put(open_unlinked_key(999), Bytes(buffer.data(), buffer.size()));
    live.damage(destroy_key(live.file2, live.layout.generation), DestroyRecord{live.layout.targets});
    REQUIRE(live.kinds() == (std::vector<std::string>{"dangling-entry", "destroy-of-living", "stray-attribute",
                                                      "stray-back-link", "stray-entry", "stray-open-mark"}));
  }
  SECTION("a record that cannot be read") {
    live.put(inode_key(live.file2), Bytes(std::string_view("nonsense")));
    const std::vector<std::string> found = live.kinds();
    REQUIRE(std::find(found.begin(), found.end(), "damaged-inode") != found.end());
    REQUIRE(std::find(found.begin(), found.end(), "dangling-entry") != found.end());
  }
  SECTION("an inode without a name") {
    const InodeRecord file = live.record(live.file2);
    REQUIRE(live.await(live.target().committer.admit(mds::Need::steady)).ok());
    live.target().committer.begin_transaction();
    live.target().names.erase_entry(file.link_parent, file.link_cookie);
    REQUIRE(live.kinds() == (std::vector<std::string>{"no-name", "wrong-entry-count"}));
  }
}

TEST_CASE("counters are compared when nothing changes", "[check][live]") {
  Live live;
  live.target().committer.counters().entries += 3;
  REQUIRE(live.make_now(live.dir, "new", S_IFREG | 0644));
  REQUIRE(live.kinds() == std::vector<std::string>{"wrong-counters"});
  live.stir(live.deep);
  REQUIRE(live.kinds().empty());
}

TEST_CASE("objects beside running servers", "[check][live]") {
  Live live;
  const ObjectId mine = object_id(live.file2, live.layout.generation, 0);
  Live::Objects& home = live.objects_of(live.layout.targets[0]);
  home.there.insert(mine);
  REQUIRE(live.check().clean());
  SECTION("of no file, of another layout, on another target") {
    home.there.insert(object_id(live.file2, live.layout.generation + 1, 0));
    home.there.insert(object_id(make_inode_id(5, 1 << 30), 1, 0));
    live.objects_of(live.layout.targets[0] == 11 ? 12 : 11).there.insert(mine);
    REQUIRE(live.kinds() == std::vector<std::string>(3, "orphan-object"));
  }
  SECTION("of a file that is not durable yet when they are listed") {
    // It is made behind the last page of the records, and its bytes are there at once.
    const Live::Objects& last = live.objects[2];
    bool once = false;
    live.objects[0].after_listing = [&] {
      if (std::exchange(once, true)) return;
      REQUIRE(live.make_now(live.dir, "young", S_IFREG | 0644));
      const auto young = live.lookup(live.dir, "young");
      REQUIRE(young.ok());
      const Layout& of = young->inode.layout;
      for (std::uint32_t i = 0; i < of.stripe_count(); ++i) {
        live.objects_of(of.targets[i]).there.insert(object_id(young->inode.id, of.generation, i));
      }
    };
    REQUIRE(live.check().clean());
    REQUIRE(once);
    REQUIRE(live.objects[0].there.size() + live.objects[1].there.size() + last.there.size() >= 2);
  }
  SECTION("that are destroyed between being listed and looked at again") {
    const ObjectId going = object_id(make_inode_id(5, 1 << 30), 1, 0);
    home.there.insert(going);
    home.after_listing = [&] { home.there.erase(going); };
    REQUIRE(live.check().clean());
  }
}
