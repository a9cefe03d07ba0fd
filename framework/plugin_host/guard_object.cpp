// SPDX-License-Identifier: Apache-2.0
#include "framework/plugin_host/guard_object.hpp"

#include <algorithm>
#include <memory>

namespace rideau {
namespace {

// One read or write over what the store declares; it must be refused then.
bool over_limits(const ObjectLimits& limits, std::uint64_t offset, std::uint64_t size, std::uint32_t parts) noexcept {
  return parts > limits.parts_max || size > limits.io_bytes_max || offset > limits.object_bytes_max ||
         size > limits.object_bytes_max - offset;
}

}  // namespace

ObjectLimits GuardObjectStore::limits() const noexcept {
  const ObjectLimits limits = plugin_.limits();
  core_.require(limits.object_bytes_max > 0 && limits.io_bytes_max > 0 && limits.parts_max > 0 &&
                    limits.alignment > 0 && limits.atomic_bytes > 0,
                Culprit::plugin, "limits", "a limit is zero");
  return limits;
}

Submitted GuardObjectStore::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                                 Completion& done) noexcept {
  const std::uint64_t size = size_of(parts, part_count);
  const ObjectLimits limits = plugin_.limits();
  // Reading past the largest object is just a short read.
  const bool over = part_count > limits.parts_max || size > limits.io_bytes_max;
  return core_.submit(
      "read", nullptr, done, [=, this](Completion& c) { return plugin_.read(id, offset, parts, part_count, c); },
      [this, size, over](const GuardCall& call) {
        if (!call.status.ok()) return;
        core_.require(!over, Culprit::plugin, "read", "it accepted a read over its limits");
        core_.require(call.value <= size, Culprit::plugin, "read", "it read more bytes than were asked for");
      });
}

Submitted GuardObjectStore::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                                  Completion& done) noexcept {
  const ObjectLimits limits = plugin_.limits();
  const auto lent = std::make_shared<LentParts>(parts, part_count, limits.io_bytes_max);
  const bool over = over_limits(limits, offset, lent->size(), part_count);
  return core_.submit(
      "write", nullptr, done, [=, this](Completion& c) { return plugin_.write(id, offset, parts, part_count, c); },
      [this, lent, over](const GuardCall& call) {
        core_.require(lent->unchanged(), Culprit::host, "write", "lent bytes changed before the completion");
        if (!call.status.ok()) return;
        core_.require(!over, Culprit::plugin, "write", "it accepted a write over its limits");
        core_.require(call.value == lent->size(), Culprit::plugin, "write",
                      "it completed with ok, but not all was written");
      });
}

Submitted GuardObjectStore::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  const bool over = size > plugin_.limits().object_bytes_max;
  return core_.submit(
      "truncate", nullptr, done, [=, this](Completion& c) { return plugin_.truncate(id, size, c); },
      [this, over](const GuardCall& call) {
        core_.require(!over || !call.status.ok(), Culprit::plugin, "truncate", "it accepted a size over its limits");
      });
}

void GuardObjectStore::require_supported(const GuardCall& call, Capability capability) {
  const bool declared = (core_.capabilities() & capability) != 0;
  const bool unsupported = call.status.code == Code::unsupported;
  core_.require(declared || unsupported, Culprit::plugin, call.name,
                "the capability is not declared, so the answer must be unsupported");
  core_.require(!declared || !unsupported, Culprit::plugin, call.name, "it declares this capability");
}

Submitted GuardObjectStore::punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  return core_.submit(
      "punch", nullptr, done, [=, this](Completion& c) { return plugin_.punch(id, offset, size, c); },
      [this](const GuardCall& call) { require_supported(call, kObjectPunches); });
}

Submitted GuardObjectStore::remove(ObjectId id, Completion& done) noexcept {
  return core_.submit(
      "remove", nullptr, done, [=, this](Completion& c) { return plugin_.remove(id, c); },
      [this](const GuardCall& call) {
        core_.require(call.status.code != Code::not_found, Culprit::plugin, "remove",
                      "removing what does not exist is ok, not not_found");
      });
}

Submitted GuardObjectStore::stat(ObjectId id, ObjectStat* out, Completion& done) noexcept {
  return core_.submit(
      "stat", nullptr, done, [=, this](Completion& c) { return plugin_.stat(id, out, c); }, nullptr);
}

Submitted GuardObjectStore::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity,
                                 Completion& done) noexcept {
  const bool first = after == nullptr;
  const ObjectId from = first ? ObjectId{} : *after;
  return core_.submit(
      "list", nullptr, done, [=, this](Completion& c) { return plugin_.list(after, out, capacity, c); },
      [=, this](const GuardCall& call) {
        if (!call.status.ok()) return;
        core_.require(call.value <= capacity, Culprit::plugin, "list", "it answered more ids than there is room for");
        for (std::uint64_t i = 0; i < call.value; ++i) {
          const bool ascends = i == 0 ? first || from < out[0] : out[i - 1] < out[i];
          core_.require(ascends, Culprit::plugin, "list", "its ids do not ascend");
        }
      });
}

Submitted GuardObjectStore::flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept {
  return core_.submit(
      "flush", nullptr, done, [=, this](Completion& c) { return plugin_.flush(ids, count, c); }, nullptr);
}

Status GuardObjectStore::space(ObjectSpace* out) noexcept {
  const GuardCore::Inside inside(core_);
  const Status status = plugin_.space(out);
  if (status.ok()) core_.require_in_use("space");
  core_.require(!status.ok() || out->bytes_free <= out->bytes_total, Culprit::plugin, "space",
                "more bytes are free than there are");
  return status;
}

Submitted GuardObjectStore::lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose,
                                 ObjectLoan* out, Completion& done) noexcept {
  return core_.submit(
      "lend", nullptr, done, [=, this](Completion& c) { return plugin_.lend(id, offset, size, purpose, out, c); },
      [=, this](const GuardCall& call) {
        require_supported(call, kObjectLends);
        if (!call.status.ok()) return;
        core_.require(out->bytes.size <= size && (out->bytes.data != nullptr || out->bytes.size == 0), Culprit::plugin,
                      "lend", "the loan is larger than asked for, or null");
        loans_.push_back(*out);
      });
}

void GuardObjectStore::give_back(ObjectLoan& loan) noexcept {
  const auto known = std::find_if(loans_.begin(), loans_.end(), [&loan](const ObjectLoan& lent) {
    return lent.bytes.data == loan.bytes.data && lent.plugin_slot == loan.plugin_slot;
  });
  core_.require(known != loans_.end(), Culprit::host, "give_back", "the loan is not lent (given back twice?)");
  loans_.erase(known);
  const GuardCore::Inside inside(core_);
  plugin_.give_back(loan);
}

Submitted GuardObjectStore::allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  const std::uint64_t most = plugin_.limits().object_bytes_max;
  const bool over = offset > most || size > most - offset;
  return core_.submit(
      "allocate", nullptr, done, [=, this](Completion& c) { return plugin_.allocate(id, offset, size, c); },
      [this, over](const GuardCall& call) {
        require_supported(call, kObjectAllocates);
        core_.require(!over || !call.status.ok(), Culprit::plugin, "allocate", "it accepted a range over its limits");
      });
}

Submitted GuardObjectStore::find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept {
  return core_.submit(
      "find_data", nullptr, done, [=, this](Completion& c) { return plugin_.find_data(id, offset, out, c); },
      [=, this](const GuardCall& call) {
        require_supported(call, kObjectMaps);
        if (!call.status.ok()) return;
        const bool sane = out->begin <= out->end && (out->begin == out->end || out->begin >= offset);
        core_.require(sane, Culprit::plugin, "find_data", "the extent is before the offset, or ends before it begins");
      });
}

void GuardObjectStore::when_stopped() {
  core_.require(loans_.empty() || core_.has_power_cut(), Culprit::host, "stop", "a loan was not given back");
}

}  // namespace rideau
