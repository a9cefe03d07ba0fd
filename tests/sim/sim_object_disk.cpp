// SPDX-License-Identifier: Apache-2.0
// The objects of a simulated disk, and what faults do to them.
#include "tests/sim/sim_object_disk.hpp"

#include "tests/sim/hooks.hpp"
#include "tests/sim/sim_object_errand.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::sim {
namespace {

constexpr std::uint64_t kRotBytes = 512;  // what one checksum covers

const Status kNoObject{Code::not_found, 0, "no such object"};
const Status kFull{Code::no_space, 0, "simulated disk is full"};
const Status kRot{Code::corrupt, 0, "checksum of an object"};

}  // namespace

SimObjectDisk::SimObjectDisk(SimObjectOptions options) : options_(options) {}

SimObjectDisk::~SimObjectDisk() = default;

SimObjectDisk::Content* SimObjectDisk::find(ObjectId id) {
  const auto found = objects_.find(id);
  return found == objects_.end() ? nullptr : &found->second;
}

// The content to change, after its durable state was set aside. With `make` it comes to be.
SimObjectDisk::Content& SimObjectDisk::change(ObjectId id, bool make) {
  const auto [stale, fresh] = stale_.try_emplace(id);
  if (fresh) {
    if (const Content* now = find(id)) stale->second.durable = *now;
    stale->second.durable_change = change_;
  }
  stale->second.last_change = ++change_;
  Content& content = objects_[id];
  if (make && !content.exists()) content.incarnation = next_incarnation_++;
  return content;
}

SimObjectDisk::Page& SimObjectDisk::own_page(Content& content, std::uint64_t number) {
  std::shared_ptr<Page>& page = content.pages[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
    page->fill(0);
    ++page_count_;
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void SimObjectDisk::write_bytes(Content& content, std::uint64_t offset, const std::uint8_t* from, std::uint64_t size) {
  while (size > 0) {
    const std::uint64_t inside = offset % kPageBytes;
    const std::uint64_t count = std::min(size, kPageBytes - inside);
    std::memcpy(own_page(content, offset / kPageBytes).data() + inside, from, count);
    offset += count;
    from += count;
    size -= count;
  }
}

void SimObjectDisk::zero_bytes(Content& content, std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t end = offset + size;
  for (auto at = content.pages.lower_bound(offset / kPageBytes); at != content.pages.end();) {
    const std::uint64_t page_begin = at->first * kPageBytes;
    if (page_begin >= end) break;
    const std::uint64_t from = std::max(offset, page_begin);
    const std::uint64_t until = std::min(end, page_begin + kPageBytes);
    if (until - from == kPageBytes) {
      at = content.pages.erase(at);
      --page_count_;
      continue;
    }
    std::memset(own_page(content, at->first).data() + (from - page_begin), 0, until - from);
    ++at;
  }
}

void SimObjectDisk::copy_out(const Content& content, std::uint64_t offset, std::uint8_t* to, std::uint64_t size) {
  while (size > 0) {
    const std::uint64_t inside = offset % kPageBytes;
    const std::uint64_t count = std::min(size, kPageBytes - inside);
    const auto page = content.pages.find(offset / kPageBytes);
    if (page == content.pages.end()) {
      std::memset(to, 0, count);
    } else {
      std::memcpy(to, page->second->data() + inside, count);
    }
    offset += count;
    to += count;
    size -= count;
  }
}

std::uint64_t SimObjectDisk::bytes_free() const noexcept {
  const std::uint64_t used = bytes_used();
  return full_ || used >= options_.bytes_total ? 0 : options_.bytes_total - used;
}

std::uint64_t SimObjectDisk::missing_pages(ObjectId id, std::uint64_t offset, std::uint64_t size) const {
  if (size == 0) return 0;
  const std::uint64_t first = offset / kPageBytes;
  const std::uint64_t last = (offset + size - 1) / kPageBytes;
  const auto object = objects_.find(id);
  if (object == objects_.end()) return last - first + 1;
  const auto& pages = object->second.pages;
  const auto present = std::distance(pages.lower_bound(first), pages.upper_bound(last));
  return last - first + 1 - static_cast<std::uint64_t>(present);
}

bool SimObjectDisk::rotten_in(ObjectId id, std::uint64_t offset, std::uint64_t size) const {
  const auto object = rotten_.find(id);
  if (object == rotten_.end() || size == 0 || !options_.checksums) return false;
  if (is_planted("reads_rot")) return false;
  const auto unit = object->second.lower_bound(offset / kRotBytes);
  return unit != object->second.end() && *unit <= (offset + size - 1) / kRotBytes;
}

// Whether a change of this range would have to read a rotten unit first.
bool SimObjectDisk::rotten_at_edges(ObjectId id, std::uint64_t offset, std::uint64_t size) const {
  const std::uint64_t end = offset + size;
  return (offset % kRotBytes != 0 && rotten_in(id, offset, 1)) || (end % kRotBytes != 0 && rotten_in(id, end - 1, 1));
}

void SimObjectDisk::heal(ObjectId id, std::uint64_t offset, std::uint64_t size) {
  const auto object = rotten_.find(id);
  if (object == rotten_.end()) return;
  const std::uint64_t first = (offset + kRotBytes - 1) / kRotBytes;
  const std::uint64_t end = (offset + size) / kRotBytes;
  for (auto unit = object->second.lower_bound(first); unit != object->second.end() && *unit < end;) {
    healed_[id].insert(*unit);
    unit = object->second.erase(unit);
  }
  if (object->second.empty()) rotten_.erase(object);
}

Status SimObjectDisk::write(ObjectId id, std::uint64_t offset, const std::vector<IoVec>& parts, std::uint64_t size) {
  if (failing_ > 0) {
    --failing_;
    hit("store_failed");
    return {Code::io_error, 0, "simulated write"};
  }
  const std::uint64_t needed = missing_pages(id, offset, size) * kPageBytes;
  if (needed > 0 && needed > bytes_free()) {
    hit("store_was_full");
    return kFull;
  }
  if (size > 0 && rotten_at_edges(id, offset, size)) return kRot;
  Content& content = change(id, true);
  std::uint64_t at = offset;
  for (const IoVec& part : parts) {
    write_bytes(content, at, static_cast<const std::uint8_t*>(part.base), part.size);
    at += part.size;
  }
  if (size > 0) content.size = std::max(content.size, offset + size);
  heal(id, offset, size);
  return kOk;
}

Status SimObjectDisk::read_parts(ObjectId id, std::uint64_t offset, const std::vector<IoVec>& parts, std::uint64_t size,
                                 std::uint64_t* count) {
  const Content* content = find(id);
  if (content == nullptr) return kNoObject;
  if (failing_ > 0) {
    --failing_;
    hit("store_failed");
    return {Code::io_error, 0, "simulated read"};
  }
  std::uint64_t left = offset >= content->size ? 0 : std::min(size, content->size - offset);
  if (rotten_in(id, offset, left)) {
    hit("rot_was_read");
    return kRot;
  }
  *count = left;
  for (const IoVec& part : parts) {
    const std::uint64_t bytes = std::min<std::uint64_t>(part.size, left);
    copy_out(*content, offset, static_cast<std::uint8_t*>(part.base), bytes);
    offset += bytes;
    left -= bytes;
  }
  return kOk;
}

Status SimObjectDisk::set_size(ObjectId id, std::uint64_t size) {
  if (rotten_in(id, size, 1) && size % kRotBytes != 0) return kRot;
  Content& content = change(id, true);
  if (size < content.size) {
    // To the end of the last page, so that no page stays behind the new end.
    zero_bytes(content, size, (content.size + kPageBytes - 1) / kPageBytes * kPageBytes - size);
    heal(id, size, content.size - size + kRotBytes);
  }
  content.size = size;
  return kOk;
}

Status SimObjectDisk::zero(ObjectId id, std::uint64_t offset, std::uint64_t size) {
  const Content* content = find(id);
  if (content == nullptr) return kNoObject;
  const std::uint64_t count = offset >= content->size ? 0 : std::min(size, content->size - offset);
  if (count == 0) return kOk;
  if (rotten_at_edges(id, offset, count)) return kRot;
  zero_bytes(change(id, false), offset, count);
  heal(id, offset, count);
  return kOk;
}

void SimObjectDisk::remove(ObjectId id) {
  if (find(id) == nullptr) return;
  page_count_ -= change(id, false).pages.size();
  objects_.erase(id);
  if (const auto rotten = rotten_.find(id); rotten != rotten_.end()) {
    healed_[id].merge(rotten->second);
    rotten_.erase(rotten);
  }
}

SimObjectDisk::Captured SimObjectDisk::capture(ObjectId id) const {
  Captured captured;
  captured.id = id;
  captured.change = stale_.at(id).last_change;
  if (const auto now = objects_.find(id); now != objects_.end()) captured.content = now->second;
  return captured;
}

void SimObjectDisk::make_durable(const Captured& captured) {
  const auto found = stale_.find(captured.id);
  if (found == stale_.end() || found->second.durable_change >= captured.change) return;  // a later flush was faster
  found->second.durable = captured.content;
  found->second.durable_change = captured.change;
  if (found->second.last_change != captured.change) return;
  stale_.erase(found);
  healed_.erase(captured.id);
}

// Units of `now` over `base`, each with even odds. Both are of one incarnation, or `base` is empty.
SimObjectDisk::Content SimObjectDisk::mix(Random& random, const Content& base, const Content& now) {
  Content mixed = base;
  mixed.incarnation = now.incarnation;
  const std::uint64_t unit = options_.limits.atomic_bytes;
  std::set<std::uint64_t> numbers;
  for (const auto& [number, page] : base.pages) numbers.insert(number);
  for (const auto& [number, page] : now.pages) numbers.insert(number);
  for (const std::uint64_t number : numbers) {
    for (std::uint64_t offset = number * kPageBytes; offset < (number + 1) * kPageBytes; offset += unit) {
      if (random.chance(50)) continue;
      std::vector<std::uint8_t> bytes(std::min(unit, kPageBytes));
      copy_out(now, offset, bytes.data(), bytes.size());
      write_bytes(mixed, offset, bytes.data(), bytes.size());
    }
  }
  mixed.size = random.chance(50) ? base.size : now.size;
  zero_bytes(mixed, mixed.size, UINT64_MAX - mixed.size);
  return mixed;
}

SimObjectDisk::Content SimObjectDisk::after_cut(Random& random, const Content& durable, const Content& now) {
  const std::uint64_t choice = random.below(4);
  if (choice == 0) return durable;
  if (choice == 1 || !now.exists()) return now;
  if (now.incarnation == durable.incarnation) return mix(random, durable, now);
  // Removed and made again, or new: no bytes of the old one may show in it.
  if (choice == 2) return Content{};
  return mix(random, Content{}, now);
}

std::uint64_t SimObjectDisk::power_cut(std::uint64_t seed) {
  Random random(seed);
  std::uint64_t lost = 0;
  for (const auto& [id, stale] : stale_) {
    const auto found = objects_.find(id);
    const Content now = found == objects_.end() ? Content{} : found->second;
    Content left = after_cut(random, stale.durable, now);
    // What was rotten counts as such further on, though the bit may have gone back.
    if (left.incarnation != now.incarnation || left.size != now.size || left.pages != now.pages) ++lost;
    if (left.exists()) {
      if (const auto healed = healed_.find(id); healed != healed_.end()) rotten_[id].merge(healed->second);
      objects_[id] = std::move(left);
    } else {
      objects_.erase(id);
    }
  }
  stale_.clear();
  healed_.clear();
  count_pages();
  if (lost != 0) hit("objects_torn");
  return lost;
}

void SimObjectDisk::count_pages() noexcept {
  page_count_ = 0;
  for (const auto& [id, content] : objects_) page_count_ += content.pages.size();
}

void SimObjectDisk::clear() {
  objects_.clear();
  stale_.clear();
  rotten_.clear();
  healed_.clear();
  page_count_ = 0;
  was_stopped_ = true;
}

bool SimObjectDisk::flip_bit(std::uint64_t seed) {
  if (page_count_ == 0) return false;
  Random random(seed);
  std::uint64_t nth = random.below(page_count_);
  for (auto& [id, content] : objects_) {
    if (nth >= content.pages.size()) {
      nth -= content.pages.size();
      continue;
    }
    const std::uint64_t number = std::next(content.pages.begin(), static_cast<std::ptrdiff_t>(nth))->first;
    const std::uint64_t begin = number * kPageBytes;
    const std::uint64_t offset = begin + random.below(std::min(kPageBytes, content.size - begin));
    own_page(content, number)[offset % kPageBytes] ^= static_cast<std::uint8_t>(1u << random.below(8));
    rotten_[id].insert(offset / kRotBytes);
    return true;
  }
  return false;
}

std::map<ObjectId, std::uint64_t> SimObjectDisk::sizes() const {
  std::map<ObjectId, std::uint64_t> sizes;
  for (const auto& [id, content] : objects_) sizes[id] = content.size;
  return sizes;
}

bool SimObjectDisk::read(ObjectId id, std::uint64_t offset, std::uint64_t size, std::string* out) const {
  const auto found = objects_.find(id);
  if (found == objects_.end()) return false;
  const Content& content = found->second;
  out->assign(offset >= content.size ? 0 : std::min(size, content.size - offset), '\0');
  copy_out(content, offset, reinterpret_cast<std::uint8_t*>(out->data()), out->size());
  return true;
}

SimObjectDisk::Errand& SimObjectDisk::take_errand() {
  if (free_errands_.empty()) {
    errands_.push_back(std::make_unique<Errand>());
    free_errands_.push_back(errands_.back().get());
  }
  Errand& errand = *free_errands_.back();
  free_errands_.pop_back();
  errand = Errand{};
  errand.disk = this;
  return errand;
}

}  // namespace rideau::sim
