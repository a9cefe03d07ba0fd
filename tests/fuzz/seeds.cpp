// SPDX-License-Identifier: Apache-2.0
// Writes inputs that the fuzzers of messages begin with: one body of each kind, with something in it.
// usage: fuzz_seeds CORPUS_FOLDER
#include "framework/wire/envelope.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/fs/records.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace rideau;

namespace {

std::string folder;

void write(const std::string& fuzzer, const std::string& name, Bytes bytes, const std::string& before = {}) {
  const std::filesystem::path place = std::filesystem::path(folder) / ("fuzz_" + fuzzer);
  std::filesystem::create_directories(place);
  std::ofstream file(place / name, std::ios::binary);
  file << before << bytes.view();
  if (!file) std::exit(1);
}

template <class Body>
void write_body(const std::string& fuzzer, unsigned number, const Body& body) {
  wire::Encoded encoded;
  fs::encode(body, encoded);
  write(fuzzer, "seed" + std::to_string(number), encoded.bytes(), std::string(1, static_cast<char>(number)));
}

// Records as fuzz_mds_records takes them: with a right checksum, key, record without its checksum.
template <class Record>
void write_record(const std::string& name, Bytes key, const Record& record) {
  fs::RecordBuffer bytes;
  fs::encode(record, key, bytes);
  std::string before(1, '\0');
  before += static_cast<char>(key.size);
  before += key.view();
  write("mds_records", name, Bytes(bytes.data(), bytes.size() - sizeof(std::uint32_t)), before);
}

fs::Inode some_inode() {
  fs::Inode inode;
  inode.id = 77;
  inode.mode = S_IFREG | 0644;
  inode.link_count = 1;
  inode.layout.targets = {2, 3};
  return inode;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  folder = arguments[1];
  wire::Envelope envelope;
  envelope.sequence = 5;
  wire::Encoded head;
  wire::encode(envelope, head);
  write("envelope", "envelope", head.bytes());
  wire::Hello hello;
  hello.client_name = "host:/mnt";
  wire::encode(hello, head);
  write("envelope", "hello", head.bytes());
  wire::Welcome welcome;
  welcome.version = "0.1";
  wire::encode(welcome, head);
  write("envelope", "welcome", head.bytes());
  wire::Refusal refusal;
  refusal.reason = "another cluster";
  wire::encode(refusal, head);
  write("envelope", "refusal", head.bytes());

  fs::InodeRecord inode;
  inode.inode = some_inode();
  write_record("inode", fs::inode_key(77), inode);
  write_record("superblock", fs::superblock_key(), fs::Superblock{});
  write_record("counters", fs::counters_key(), fs::Counters{});
  fs::EntryRecord entry;
  entry.inode = 77;
  entry.name = "name";
  write_record("entry", fs::entry_key(1, 500), entry);
  fs::SessionRecord session;
  session.client_name = "host:/mnt";
  write_record("session", fs::session_key(3), session);
  write_record("slot", fs::slot_key(3, 1), fs::SlotRecord{});
  fs::DestroyRecord destroy;
  destroy.targets = {2, 3};
  write_record("destroy", fs::destroy_key(77, 0), destroy);

  {
    fs::LookupRequest body;
    body.name = "name";
    write_body("meta_bodies", 0, body);
  }
  {
    fs::InodeReply body;
    body.inode = some_inode();
    write_body("meta_bodies", 1, body);
  }
  write_body("meta_bodies", 2, fs::GetAttributesRequest{});
  write_body("meta_bodies", 3, fs::SetAttributesRequest{});
  {
    fs::MakeRequest body;
    body.name = "name";
    write_body("meta_bodies", 4, body);
  }
  {
    fs::MakeReply body;
    body.inode = some_inode();
    write_body("meta_bodies", 5, body);
  }
  write_body("meta_bodies", 6, fs::OpenRequest{});
  {
    fs::OpenReply body;
    body.inode = some_inode();
    write_body("meta_bodies", 7, body);
  }
  {
    fs::CloseRequest body;
    body.items.resize(2);
    write_body("meta_bodies", 8, body);
  }
  write_body("meta_bodies", 9, fs::ReadLinkRequest{});
  {
    fs::ReadLinkReply body;
    body.target = "target";
    write_body("meta_bodies", 10, body);
  }
  {
    fs::LinkRequest body;
    body.name = "name";
    write_body("meta_bodies", 11, body);
  }
  {
    fs::RemoveRequest body;
    body.name = "name";
    write_body("meta_bodies", 12, body);
  }
  write_body("meta_bodies", 13, fs::RemoveReply{});
  {
    fs::RenameRequest body;
    body.old_name = "old";
    body.new_name = "new";
    write_body("meta_bodies", 14, body);
  }
  write_body("meta_bodies", 15, fs::RenameReply{});
  write_body("meta_bodies", 16, fs::ReadDirectoryRequest{});
  {
    fs::ReadDirectoryReply body;
    body.entries.resize(2);
    body.entries[0].name = "a";
    body.entries[0].attributes = some_inode();
    write_body("meta_bodies", 17, body);
  }
  {
    fs::GetAttributeRequest body;
    body.name = "user.a";
    write_body("meta_bodies", 18, body);
  }
  {
    fs::GetAttributeReply body;
    body.value = "value";
    write_body("meta_bodies", 19, body);
  }
  {
    fs::SetAttributeRequest body;
    body.name = "user.a";
    body.value = "value";
    write_body("meta_bodies", 20, body);
  }
  write_body("meta_bodies", 21, fs::ListAttributesRequest{});
  {
    fs::ListAttributesReply body;
    body.names = {"user.a", "user.b"};
    write_body("meta_bodies", 22, body);
  }
  {
    fs::RemoveAttributeRequest body;
    body.name = "user.a";
    write_body("meta_bodies", 23, body);
  }
  write_body("meta_bodies", 24, fs::StatFileSystemReply{});
  write_body("meta_bodies", 25, fs::SyncRequest{});
  write_body("meta_bodies", 26, fs::LockRequest{});
  write_body("meta_bodies", 27, fs::LockReply{});
  write_body("meta_bodies", 28, fs::UnlockRequest{});
  write_body("meta_bodies", 29, fs::RevokeRequest{});
  {
    fs::ScanRecordsRequest body;
    body.from = "from";
    write_body("meta_bodies", 30, body);
  }
  write_body("meta_bodies", 31, fs::ScanRecordsReply{{{"key", "value"}}, 5});
  write_body("meta_bodies", 32, fs::GetRecordsRequest{{"key", "other"}});
  write_body("meta_bodies", 33, fs::GetRecordsReply{{"value", std::nullopt}, 5});
  write_body("meta_bodies", 34, fs::SetAdvisoryLockRequest{});
  write_body("meta_bodies", 35, fs::SetAdvisoryLockReply{});
  write_body("meta_bodies", 36, fs::TestAdvisoryLockRequest{});
  write_body("meta_bodies", 37, fs::TestAdvisoryLockReply{});
  write_body("meta_bodies", 38, fs::CancelAdvisoryLockRequest{});
  write_body("meta_bodies", 39, fs::CancelAdvisoryLockReply{});
  {
    fs::AdvisoryLocksGrantedRequest body;
    body.tickets = {1, 2};
    write_body("meta_bodies", 40, body);
  }
  write_body("meta_bodies", 41, fs::ReclaimRequest{{{1, 2, 3, true}}, {{2, 3, {{0, 9, 2}}}}, {{}}, true});
  write_body("meta_bodies", 42, fs::ReclaimReply{{5, 0}});
  write_body("meta_bodies", 43, fs::GlimpseRequest{{{5, 1}}});
  write_body("meta_bodies", 44, fs::GlimpseReply{{{}, {5, 1, 2, 3, true}}});
  write_body("meta_bodies", 47, fs::LockExtentRequest{5, 0, 1 << 20, 2});
  write_body("meta_bodies", 48, fs::LockExtentReply{0, 1 << 20, 2, 9});
  write_body("object_bodies", 0, fs::ObjectReadRequest{});
  write_body("object_bodies", 1, fs::ObjectReadReply{});
  write_body("object_bodies", 2, fs::ObjectWriteRequest{});
  write_body("object_bodies", 3, fs::ObjectWriteReply{});
  write_body("object_bodies", 4, fs::ObjectTruncateRequest{});
  write_body("object_bodies", 5, fs::ObjectPunchRequest{});
  write_body("object_bodies", 6, fs::ObjectAllocateRequest{});
  write_body("object_bodies", 7, fs::ObjectVersionReply{});
  write_body("object_bodies", 8, fs::ObjectStatRequest{});
  write_body("object_bodies", 9, fs::ObjectStatReply{});
  write_body("object_bodies", 10, fs::ObjectFindDataRequest{});
  write_body("object_bodies", 11, fs::ObjectFindDataReply{});
  write_body("object_bodies", 12, fs::ObjectSyncRequest{});
  write_body("object_bodies", 13, fs::ObjectDestroyRequest{});
  write_body("object_bodies", 14, fs::ObjectStatFileSystemReply{});
  write_body("object_bodies", 15, fs::ObjectListRequest{});
  write_body("object_bodies", 16, fs::ObjectListReply{});
  write_body("object_bodies", 17, fs::ObjectFenceRequest{});
  write_body("object_bodies", 18, fs::ObjectVerifyRequest{});
  {
    fs::ObjectVerifyReply body;
    body.damages = {{{1, 2}, 4096, 4096}};
    write_body("object_bodies", 19, body);
  }
  return 0;
}
