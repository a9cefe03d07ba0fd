// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/scrub.hpp"

#include "framework/runtime/await.hpp"
#include "plugins/check/ask.hpp"
#include "plugins/fs/records.hpp"

#include <algorithm>

namespace rideau::check {

using namespace fs;

namespace {

constexpr std::uint64_t kPartBytes = 4u << 20;
constexpr std::uint64_t kPartBytesMin = 64u << 10;
constexpr std::uint32_t kDepthMax = 4096;  // of a path: longer ones are not asked for

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }
Bytes bytes_of(const std::string& text) { return Bytes(std::string_view(text)); }

// One record of a running target; not_found.
template <class Record>
Task<Status> get(MetaSource& meta, Key key, std::string* memory, Record* to) {
  const std::string name = text_of(key);
  std::vector<std::string> names;
  names.push_back(name);
  auto found = co_await meta.get(names);
  if (!found.ok()) co_return found.status();
  if (!found->front()) co_return Status{Code::not_found, 0, "record"};
  *memory = std::move(*found->front());
  co_return decode(bytes_of(name), bytes_of(*memory), to);
}

// Empty where a name on the way changes meanwhile.
Task<std::string> path_of(MetaSource& meta, InodeRecord record) {
  std::string path;
  for (std::uint32_t depth = 0; depth < kDepthMax && record.inode.id != kRootInode; ++depth) {
    std::string memory;
    EntryRecord entry;
    Status status = co_await get(meta, entry_key(record.link_parent, record.link_cookie), &memory, &entry);
    if (!status.ok() || entry.inode != record.inode.id) co_return std::string();
    path = "/" + std::string(entry.name) + path;
    const InodeId parent = record.link_parent;
    status = co_await get(meta, inode_key(parent), &memory, &record);
    if (!status.ok()) co_return std::string();
  }
  co_return record.inode.id == kRootInode ? path : std::string();
}

}  // namespace

Task<Status> scrub(Runtime& runtime, rpc::ClientSession& session, std::uint64_t bytes_per_second,
                   const std::function<void()>& told, ScrubResult* to) {
  ObjectStatFileSystemReply space;
  Status status = co_await ask(session, ObjectMethod::stat_file_system, &space);
  if (!status.ok()) co_return status;
  to->objects_wanted = space.objects;
  const std::uint64_t begun_ns = runtime.now_ns();
  ObjectVerifyRequest request;
  request.size = kPartBytes;
  // Several parts a second, so that one does not keep others from the disk for long.
  if (bytes_per_second != 0) request.size = std::clamp(bytes_per_second / 8, kPartBytesMin, kPartBytes);
  for (;;) {
    ObjectVerifyReply part;
    status = co_await ask(session, ObjectMethod::verify, request, &part);
    if (!status.ok()) co_return status;
    to->bytes += part.bytes;
    to->objects += part.objects;
    to->checksums = part.checksums;
    to->damages.insert(to->damages.end(), part.damages.begin(), part.damages.end());
    told();
    if (part.end) co_return kOk;
    request.object = part.object;
    request.offset = part.offset;
    if (bytes_per_second == 0) continue;
    const double due_s = static_cast<double>(to->bytes) / static_cast<double>(bytes_per_second);
    const auto due_ns = static_cast<std::uint64_t>(due_s * static_cast<double>(kSecond));
    const std::uint64_t spent_ns = runtime.now_ns() - begun_ns;
    if (due_ns > spent_ns) co_await sleep_for(runtime, due_ns - spent_ns);
  }
}

Task<Result<std::vector<DamagedBytes>>> locate(MetaSource& meta, const ObjectVerifyReply::Damage& damage) {
  std::vector<DamagedBytes> found;
  const InodeId inode = owner_of(damage.object);
  std::string memory;
  InodeRecord record;
  const Status status = co_await get(meta, inode_key(inode), &memory, &record);
  if (status.code == Code::not_found) co_return found;
  if (!status.ok()) co_return status;
  const Layout& layout = record.inode.layout;
  const std::uint32_t stripe = stripe_index_of(damage.object);
  if (layout.generation != generation_of(damage.object) || stripe >= layout.stripe_count()) co_return found;
  const std::string path = co_await path_of(meta, record);
  std::uint64_t at = damage.offset;
  do {
    const std::uint64_t round = at / layout.stripe_size;
    const std::uint64_t within = at % layout.stripe_size;
    const std::uint64_t size = std::min(layout.stripe_size - within, damage.offset + damage.size - at);
    const std::uint64_t offset = (round * layout.stripe_count() + stripe) * layout.stripe_size + within;
    if (!found.empty() && found.back().offset + found.back().size == offset) {
      found.back().size += size;
    } else {
      found.push_back({inode, path, offset, size});
    }
    at += size;
  } while (at < damage.offset + damage.size);
  co_return found;
}

}  // namespace rideau::check
