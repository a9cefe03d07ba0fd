// SPDX-License-Identifier: Apache-2.0
// Sums of what ops read and change. A change of blocks goes: marked where the index may have their sums, blocks of
// which it has only a part read and verified, no sum known while it lasts, the new sums when it is complete.
#include "../shared/checksum.hpp"
#include "store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rideau::raw_file {
namespace {

using backend::crc32c;

constexpr std::uint8_t kZeros[kBlockBytes] = {};

std::uint32_t sum_of_zeros() noexcept {
  static const std::uint32_t sum = crc32c(kZeros, kBlockBytes);
  return sum;
}

// Goes through the parts of a buffer from its begin to its end.
class PartReader {
 public:
  explicit PartReader(const std::vector<IoVec>& parts) : parts_(parts) {}

  template <class Take>
  void take(std::uint64_t size, Take&& taken) {
    while (size > 0) {
      const IoVec& part = parts_[at_];
      const std::uint64_t count = std::min<std::uint64_t>(size, part.size - used_);
      taken(static_cast<const std::uint8_t*>(part.base) + used_, count);
      size -= count;
      used_ += count;
      if (used_ < part.size) continue;
      ++at_;
      used_ = 0;
    }
  }
  std::uint32_t sum(std::uint64_t size) {
    std::uint32_t sum = 0;
    take(size, [&sum](const std::uint8_t* bytes, std::uint64_t count) { sum = crc32c(bytes, count, sum); });
    return sum;
  }
  void copy(std::uint8_t* to, std::uint64_t size) {
    take(size, [&to](const std::uint8_t* bytes, std::uint64_t count) {
      std::memcpy(to, bytes, count);
      to += count;
    });
  }

 private:
  const std::vector<IoVec>& parts_;
  std::size_t at_ = 0;
  std::uint64_t used_ = 0;
};

}  // namespace

// Whole blocks are read, or they could not be verified.
void RawFileStore::plan_read(Op& op) noexcept {
  op.planned = true;
  const std::uint64_t before = op.begin % kBlockBytes;
  const std::uint64_t behind = (kBlockBytes - op.end % kBlockBytes) % kBlockBytes;
  if (before != 0 || behind != 0) {
    op.edges = std::make_unique<Edges>();
    if (before != 0) op.whole.insert(op.whole.begin(), IoVec{op.edges->edge[0].bytes, before});
    if (behind != 0) op.whole.push_back(IoVec{op.edges->edge[1].bytes, behind});
    op.parts = op.whole;
    op.offset -= before;
    op.size += before + behind;
  }
  prepare_transfer(op);
}

Status RawFileStore::check_read(Op& op, std::uint64_t* value) noexcept {
  const std::uint64_t found = op.progress;
  const std::uint64_t before = op.begin - op.offset;
  *value = std::min(op.end - op.begin, found > before ? found - before : 0);
  std::vector<BlockSum>& wanted = looked_at_;
  const Status looked = sums_.look(op.file->id, op.first_block, op.last_block, &wanted);
  if (!looked.ok()) {
    log(Level::error, "the checksums of object " + object_text(op.file->id) +
                          " cannot be read from the index, from offset " + std::to_string(op.offset) +
                          " on; what they are for is not given to anybody");
    return looked;
  }
  PartReader bytes(op.whole);
  std::vector<BlockSum> fresh;
  for (std::uint64_t i = 0; i < wanted.size(); ++i) {
    const std::uint64_t there = std::min(kBlockBytes, found > i * kBlockBytes ? found - i * kBlockBytes : 0);
    if (there == 0 && !wanted[i].known) continue;
    std::uint32_t sum = bytes.sum(there);
    sum = crc32c(kZeros, kBlockBytes - there, sum);
    if (wanted[i].known && sum != wanted[i].sum) return wrong_sum(op, op.first_block + i);
    // Holes need no sum, and whether this is one cannot be seen.
    if (wanted[i].known || sum == sum_of_zeros()) continue;
    fresh.resize(wanted.size());
    fresh[i] = {sum, true, false};
  }
  if (!fresh.empty()) adopt_sums(op.file->id, op.first_block, fresh);
  return kOk;
}

Status RawFileStore::wrong_sum(const Op& op, std::uint64_t block) noexcept {
  char path[kPathBytes];
  object_path(op.file->id, path);
  log(Level::error, "wrong checksum: object " + object_text(op.file->id) + ", offset " +
                        std::to_string(block * kBlockBytes) + ", file " + settings_.path + "/objects/" + path +
                        "; the bytes are not given to anybody, restore the file from a copy");
  return {Code::corrupt, 0, "the checksum of a block is wrong"};
}

void RawFileStore::adopt_sums(ObjectId id, std::uint64_t first, const std::vector<BlockSum>& blocks) noexcept {
  if (sums_.segments_in_memory() > kSegmentsMax) return;  // another time
  sums_.hold(id);
  // An index that cannot be read is told by whoever needs it.
  static_cast<void>(sums_.adopt(id, first, blocks));
  sums_.release(id);
  watch_sums();
}

// An object is about to be made. What the index has of an older one of this id must not be believed after a crash.
bool RawFileStore::waits_for_mark(Op& op) noexcept {
  const ObjectId id = op.file->id;
  bool has = false;
  bool needs = false;
  Status status = sums_.has_records(id, &has);
  op.born = status.ok() && !has;
  if (status.ok() && has) status = sums_.needs_mark(id, 0, SumTable::kLastBlock, &needs);
  if (!status.ok()) {
    open_failed(op, status);
    return true;
  }
  if (needs) {
    sums_.want_mark(id, 0, SumTable::kLastBlock);
    marking_.push(op);
    return true;
  }
  if (has) sums_.forget_all(id);
  return false;
}

// The file is new and empty.
void RawFileStore::on_made(Op& op) noexcept {
  const ObjectId id = op.file->id;
  if (op.born) sums_.born(id);
  sums_.hold(id);
  op.held = true;
  if (op.kind != Op::Kind::write) return;
  op.planned = true;
  op.file->size = op.end;
  const Status found = find_edges(op);
  static_cast<void>(found);  // the index is not asked about blocks of a new object
}

// write, truncate, punch; begins anew after each wait for a mark.
void RawFileStore::plan_change(Op& op) noexcept {
  File& file = *op.file;
  if (op.kind == Op::Kind::truncate) {
    if (op.size >= file.size) {  // zeros are added, which no sum sees
      op.planned = true;
      return perform_change(op);
    }
    op.begin = op.size;
    op.end = kObjectBytesMax;
    op.last_block = SumTable::kLastBlock;
  } else if (op.kind == Op::Kind::punch) {
    op.begin = op.offset;
    op.end = std::min(op.offset + op.size, (file.size + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
    if (op.begin >= op.end) {
      op.planned = true;
      return perform_change(op);
    }
    op.last_block = (op.end - 1) / kBlockBytes;
  }
  op.first_block = op.begin / kBlockBytes;
  bool needs = false;
  Status status = sums_.needs_mark(file.id, op.first_block, op.last_block, &needs);
  if (!status.ok()) return finish(op, status, 0);
  if (needs) {
    op.stage = Op::Stage::marking;
    sums_.want_mark(file.id, op.first_block, op.last_block);
    marking_.push(op);
    return;
  }
  if (!op.held) {
    op.held = true;
    sums_.hold(file.id);
    status = find_edges(op);
    if (!status.ok()) return finish(op, status, 0);
  }
  read_edges(op);
}

void RawFileStore::on_marked(Op& op) noexcept {
  if (op.stage == Op::Stage::open_new) return open_file(op);
  plan_change(op);
}

// At its begin and at its end an op may have a part of a block only.
Status RawFileStore::find_edges(Op& op) noexcept {
  const bool cut_end = op.kind != Op::Kind::truncate && op.end % kBlockBytes != 0;
  if (op.begin % kBlockBytes == 0 && !cut_end) return kOk;
  op.edges = std::make_unique<Edges>();
  const auto add = [&](std::uint64_t block) {
    Edges& edges = *op.edges;
    if (edges.count == 1 && edges.edge[0].block == block) return Status{};
    Edge& edge = edges.edge[edges.count++];
    edge.block = block;
    edge.read = op.planned || block * kBlockBytes >= op.file->size;  // there is nothing
    if (edge.read) return Status{};
    std::vector<BlockSum> before;
    const Status status = sums_.look(op.file->id, block, block, &before);
    if (status.ok()) edge.before = before.front();
    return status;
  };
  Status status{};
  if (op.begin % kBlockBytes != 0) status = add(op.begin / kBlockBytes);
  if (status.ok() && cut_end) status = add(op.end / kBlockBytes);
  return status;
}

void RawFileStore::read_edges(Op& op) noexcept {
  for (std::size_t i = 0; op.edges != nullptr && i < op.edges->count; ++i) {
    Edge& edge = op.edges->edge[i];
    if (edge.read) continue;
    op.stage = Op::Stage::edge;
    io_uring_sqe& entry = ring_.prepare();
    io_uring_prep_read(&entry, op.file->fd, edge.bytes, kBlockBytes, edge.block * kBlockBytes);
    io_uring_sqe_set_data(&entry, &op);
    return;
  }
  begin_change(op);
}

void RawFileStore::on_edge_read(Op& op, int result) noexcept {
  Edge& edge = op.edges->edge[op.edges->edge[0].read ? 1 : 0];
  if (result == -EINTR || result == -EAGAIN) return read_edges(op);
  if (result < 0) return finish(op, status_of(-result, "read a block of which a part changes"), 0);
  const auto count = static_cast<std::uint64_t>(result);
  std::memset(edge.bytes + count, 0, kBlockBytes - count);
  edge.read = true;
  if (edge.before.known && crc32c(edge.bytes, kBlockBytes) != edge.before.sum) {
    return finish(op, wrong_sum(op, edge.block), 0);
  }
  // Sums may have come to the index meanwhile, so it is asked again.
  plan_change(op);
}

void RawFileStore::begin_change(Op& op) noexcept {
  File& file = *op.file;
  if (const Status status = sums_.forget(file.id, op.first_block, op.last_block); !status.ok()) {
    return finish(op, status, 0);
  }
  watch_sums();
  op.planned = true;
  if (op.kind != Op::Kind::write) return perform_change(op);
  file.size = std::max(file.size, op.end);
  op.stage = Op::Stage::transfer;
  prepare_transfer(op);
}

// It is complete.
void RawFileStore::end_change(Op& op) noexcept {
  File& file = *op.file;
  if (op.kind == Op::Kind::allocate) return;
  if (op.kind == Op::Kind::write) {
    sum_written(op);
  } else {
    for (std::size_t i = 0; op.edges != nullptr && i < op.edges->count; ++i) {
      Edge& edge = op.edges->edge[i];
      const std::uint64_t at = edge.block * kBlockBytes;
      const std::uint64_t from = std::max(op.begin, at) - at;
      const std::uint64_t to = std::min(op.end - at, kBlockBytes);
      std::memset(edge.bytes + from, 0, to - from);
      sums_.set(file.id, edge.block, {crc32c(edge.bytes, kBlockBytes)});
    }
    if (op.kind == Op::Kind::truncate) file.size = op.size;
  }
  watch_sums();
}

void RawFileStore::sum_written(Op& op) noexcept {
  PartReader bytes(op.whole);
  new_sums_.clear();
  for (std::uint64_t block = op.first_block; block <= op.last_block; ++block) {
    const std::uint64_t at = block * kBlockBytes;
    const std::uint64_t from = std::max(op.begin, at);
    const std::uint64_t to = std::min(op.end, at + kBlockBytes);
    if (to - from == kBlockBytes) {
      new_sums_.push_back(bytes.sum(kBlockBytes));
      continue;
    }
    Edge& edge = op.edges->edge[op.edges->edge[0].block == block ? 0 : 1];
    bytes.copy(edge.bytes + (from - at), to - from);
    new_sums_.push_back(crc32c(edge.bytes, kBlockBytes));
  }
  sums_.set(op.file->id, op.first_block, new_sums_);
}

}  // namespace rideau::raw_file
