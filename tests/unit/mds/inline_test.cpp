// SPDX-License-Identifier: Apache-2.0
// Goal: the bytes of a small file live, change and go with its inode, in the same batch; what does not fit together is
// EIO; an index of before such files stays as it is until somebody wishes for one.
#include "tests/unit/mds/fixture.hpp"

#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/inline_files.hpp"

#include <cerrno>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

struct Small : Fixture {
  Small() { begin(); }
  InodeId small_file(std::string_view name, HandleId handle = 0, InodeId parent = kRootInode) {
    MakeRequest request;
    request.parent = parent;
    request.name = name;
    request.mode = S_IFREG | 0644;
    request.knows_inline = true;
    request.open = handle != 0;
    request.open_flags = kOpenRead | kOpenWrite;
    request.handle = handle;
    const auto reply = change(request);
    REQUIRE(reply.ok());
    return reply->inode.id;
  }
  void tell(InodeId inode, HandleId handle, std::string_view bytes, bool untouched = true) {
    CloseItem item{inode, handle, {bytes.size(), 8, 1, 0, true}, untouched, {true, bytes, false}};
    REQUIRE(change(CloseRequest{{item}}).ok());
  }
  std::string bytes(InodeId inode) {
    const auto reply = look(ReadInlineRequest{inode});
    if (!reply.ok()) return "errno " + std::to_string(errno_of(reply.status()));
    return reply->is_inline ? reply->bytes : "in objects";
  }
  bool has_record(InodeId inode) {
    Bytes value;
    const Key key = inline_key(inode);
    return target().committer.get(key, &value).ok();
  }
  int cut(InodeId inode, std::uint64_t size, InlineBytes said = {}) {
    SetAttributesRequest request;
    request.inode = inode;
    request.mask = kSetSize;
    request.size = size;
    request.bytes = said;
    return errno_of(change(request).status());
  }
  Result<OpenReply> open_small(InodeId inode, std::uint32_t flags, HandleId handle) {
    OpenRequest request;
    request.inode = inode;
    request.flags = flags;
    request.handle = handle;
    request.knows_inline = request.wants_bytes = true;
    return change(request);
  }
};

}  // namespace

TEST_CASE("the bytes of a small file come with its close and go with its name", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  REQUIRE(f.stat(inode).is_inline());
  REQUIRE(f.stat(inode).layout.inline_max == kInlineMaxUsual);
  REQUIRE(f.bytes(inode).empty());
  f.tell(inode, 7, "some bytes");
  const Inode told = f.stat(inode);
  REQUIRE(told.size == 10);
  REQUIRE((told.flags & kExact) != 0);
  REQUIRE((told.flags & kUntouched) != 0);
  REQUIRE(f.bytes(inode) == "some bytes");
  // They ride with an open that changes nothing.
  const auto opened = f.open_small(inode, kOpenRead, 8);
  REQUIRE(opened.ok());
  REQUIRE(opened->has_bytes);
  REQUIRE(opened->bytes == "some bytes");
  REQUIRE_FALSE(f.open_small(inode, kOpenWrite, 9)->has_bytes);
  REQUIRE(f.close(inode, 8).ok());
  REQUIRE(f.change(CloseRequest{{{inode, 9, {}, true, {}}}}).ok());
  REQUIRE(f.remove(kRootInode, "file").ok());
  REQUIRE_FALSE(f.has_record(inode));
  // It never had objects.
  REQUIRE(f.target().destroys_recorded == 0);
}

TEST_CASE("who does not know of inline files gets none", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file");
  REQUIRE(errno_of(f.open(inode, kOpenRead, 1).status()) == EOPNOTSUPP);
  REQUIRE_FALSE(f.stat(f.file(kRootInode, "old")).is_inline());
  REQUIRE(f.stat(f.file(kRootInode, "old2")).layout.inline_max == 0);
}

TEST_CASE("a small file is cut, grows, and is opened with a cut", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  f.tell(inode, 7, "some bytes");
  REQUIRE(f.cut(inode, 4) == 0);
  REQUIRE(f.bytes(inode) == "some");
  REQUIRE(f.cut(inode, 6) == EOPNOTSUPP);
  REQUIRE(f.cut(inode, 6, {true, "some", false}) == 0);
  REQUIRE(f.bytes(inode) == std::string("some\0\0", 6));
  REQUIRE(f.stat(inode).size == 6);
  REQUIRE(f.open_small(inode, kOpenWrite | kOpenTruncate, 8).ok());
  REQUIRE(f.bytes(inode).empty());
  REQUIRE_FALSE(f.has_record(inode));
  REQUIRE(f.stat(inode).is_inline());
  REQUIRE(f.cut(inode, 0) == 0);
  REQUIRE(f.stat(inode).is_inline());
}

TEST_CASE("a file that moved out has its bytes in objects for good", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  f.tell(inode, 0, "some bytes");
  CloseItem item{inode, 7, {1 << 20, 8, 1, 0, true}, false, {false, {}, true}};
  REQUIRE(f.change(CloseRequest{{item}}).ok());
  REQUIRE(f.stat(inode).size == 1 << 20);
  REQUIRE_FALSE(f.stat(inode).is_inline());
  REQUIRE_FALSE(f.has_record(inode));
  REQUIRE(f.bytes(inode) == "in objects");
  REQUIRE(f.cut(inode, 0) == 0);
  REQUIRE_FALSE(f.stat(inode).is_inline());
  REQUIRE(f.remove(kRootInode, "file").ok());
  REQUIRE(f.target().destroys_recorded == 1);
  const InodeId other = f.small_file("other", 9);
  f.tell(other, 0, "some bytes");
  REQUIRE(f.cut(other, 1 << 20, {false, {}, true}) == 0);
  REQUIRE(f.stat(other).size == 1 << 20);
  REQUIRE_FALSE(f.has_record(other));
}

TEST_CASE("a writer that dies may have touched objects, news without bytes changes none", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  f.tell(inode, 0, "some bytes");
  REQUIRE(f.close(inode, 0, {1 << 20, 8, 5, 0, true}).ok());
  REQUIRE(f.stat(inode).size == 10);
  REQUIRE(f.bytes(inode) == "some bytes");
  const InodeId shared = f.small_file("shared", 8);
  REQUIRE((f.stat(shared).flags & kUntouched) != 0);
  REQUIRE(f.open_small(shared, kOpenWrite, 9).ok());
  REQUIRE((f.stat(shared).flags & kUntouched) == 0);
}

TEST_CASE("bytes survive a restart, what is told of objects does not", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  f.tell(inode, 7, "some bytes");
  REQUIRE(f.settle().ok());
  f.stop();
  f.begin();
  REQUIRE(f.bytes(inode) == "some bytes");
  REQUIRE((f.stat(inode).flags & kUntouched) == 0);
}

TEST_CASE("bytes that are not as many as the inode says, or rot, are EIO", "[mds]") {
  Small f;
  const InodeId inode = f.small_file("file", 7);
  f.tell(inode, 7, "some bytes");
  f.target().names.put_inline(inode, Bytes(std::string_view("some")));
  REQUIRE(f.bytes(inode) == "errno 5");
  REQUIRE(f.cut(inode, 3) == EIO);
  REQUIRE_FALSE(f.open_small(inode, kOpenRead, 8)->has_bytes);
  f.target().names.put_inline(inode, Bytes());
  REQUIRE(f.bytes(inode) == "errno 5");
  REQUIRE(f.cut(inode, 0) == 0);
  REQUIRE(f.bytes(inode).empty());
}

TEST_CASE("a wish for inline files is inherited and makes an old index a new one", "[mds]") {
  Small f;
  const auto set = [&f](InodeId inode, std::string_view text) {
    return errno_of(f.change(SetAttributeRequest{root(), inode, kLayoutAttribute, text, 0}));
  };
  f.target().superblock.format_version = 1;
  f.target().options.inline_max = 0;
  REQUIRE_FALSE(f.stat(f.small_file("none")).is_inline());
  const InodeId folder = f.mkdir(kRootInode, "folder");
  REQUIRE(set(folder, "inline=0") == 0);
  REQUIRE(f.target().superblock.format_version == 1);
  REQUIRE(set(folder, "inline=100") == 0);
  REQUIRE(f.target().superblock.format_version == kFormatWithInline);
  const InodeId inner = f.mkdir(folder, "inner");
  const InodeId inside = f.small_file("inside", 0, inner);
  REQUIRE(f.stat(inside).is_inline());
  REQUIRE(f.stat(inside).layout.inline_max == 100);
  REQUIRE(set(inside, "inline=0") == 0);
  REQUIRE_FALSE(f.stat(inside).is_inline());
  REQUIRE(set(inside, "inline=65536") == 0);
  REQUIRE(f.stat(inside).is_inline());
}
