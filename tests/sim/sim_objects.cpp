// SPDX-License-Identifier: Apache-2.0
// An instance of the simulated object store: each call is a sleep, after which it takes effect on the disk.
#include "tests/sim/sim_objects.hpp"

#include "tests/sim/sim_object_errand.hpp"

#include <algorithm>

namespace rideau::sim {

class SimObjects final : public ObjectStore {
 public:
  SimObjects(Host& host, SimObjectDisk& disk) : host_(host), disk_(disk) {}

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  ObjectLimits limits() const noexcept override { return disk_.options_.limits; }
  Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                 Completion& done) noexcept override;
  Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                  Completion& done) noexcept override;
  Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept override;
  Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted remove(ObjectId id, Completion& done) noexcept override;
  Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept override;
  Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept override;
  Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept override;
  Status space(ObjectSpace* out) noexcept override;
  Submitted lend(ObjectId, std::uint64_t, std::uint64_t, Purpose, ObjectLoan*, Completion& done) noexcept override {
    return done.finish({Code::unsupported, 0, "the simulated store lends no buffers"});
  }
  void give_back(ObjectLoan&) noexcept override {}
  Submitted allocate(ObjectId, std::uint64_t, std::uint64_t, Completion& done) noexcept override {
    return done.finish({Code::unsupported, 0, "the simulated store promises no space"});
  }
  Submitted find_data(ObjectId, std::uint64_t, ObjectExtent*, Completion& done) noexcept override {
    return done.finish({Code::unsupported, 0, "the simulated store does not tell holes"});
  }

 private:
  using Errand = SimObjectDisk::Errand;
  using Kind = Errand::Kind;
  enum class State { made, running, stopping, stopped };

  ~SimObjects() = default;
  Status accepts(Completion& done) const noexcept;
  Submitted transfer(Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                     Completion& done) noexcept;
  Errand& begin(Kind kind, ObjectId id, Completion& done) noexcept;
  Submitted send(Errand& errand) noexcept;
  void end_early(Errand& errand, Code code) noexcept;
  void woken(Errand& errand) noexcept;
  Status run(Errand& errand, std::uint64_t* value) noexcept;
  Status run_flush(Errand& errand) noexcept;
  std::uint64_t run_list(Errand& errand) noexcept;

  Host& host_;
  SimObjectDisk& disk_;
  State state_ = State::made;
  bool owns_disk_ = false;
  Status flush_failure_{};
  std::vector<Errand*> pending_;  // in the order of their submission
};

Submitted SimObjects::start(Completion& done) noexcept {
  if (state_ != State::made) return done.finish({Code::invalid, 0, "start the store twice"});
  if (disk_.in_use_) {
    state_ = State::stopped;
    host_.log(Level::error, "sim objects: the disk is in use by another instance");
    return done.finish({Code::exists, 0, "store is in use by another instance"});
  }
  disk_.in_use_ = true;
  disk_.was_stopped_ = false;
  owns_disk_ = true;
  state_ = State::running;
  return done.finish(kOk);
}

Submitted SimObjects::stop(Completion& done) noexcept {
  if (state_ == State::stopping) return done.finish({Code::invalid, 0, "stop the store twice"});
  if (state_ != State::running) {
    state_ = State::stopped;
    return done.finish(kOk);
  }
  while (!pending_.empty()) end_early(*pending_.front(), Code::closed);
  state_ = State::stopping;
  return send(begin(Kind::stop, {}, done));
}

void SimObjects::cancel(Completion& pending) noexcept {
  const auto found =
      std::find_if(pending_.begin(), pending_.end(), [&](const Errand* e) { return e->done == &pending; });
  if (found != pending_.end() && (*found)->kind != Kind::stop) end_early(**found, Code::cancelled);
}

void SimObjects::destroy() noexcept {
  for (Errand* errand : pending_) errand->store = nullptr;
  if (owns_disk_) disk_.in_use_ = false;
  delete this;
}

Status SimObjects::accepts(Completion& done) const noexcept {
  done.value = 0;
  if (state_ != State::running) return {Code::closed, 0, "store is not running"};
  if (pending_.size() >= disk_.options_.calls_max) return {Code::busy, 0, "too many pending calls"};
  return kOk;
}

SimObjectDisk::Errand& SimObjects::begin(Kind kind, ObjectId id, Completion& done) noexcept {
  Errand& errand = disk_.take_errand();
  errand.store = this;
  errand.kind = kind;
  errand.id = id;
  errand.done = &done;
  errand.resume = [](Completion* completion) noexcept {
    auto* self = static_cast<Errand*>(completion);
    if (self->store != nullptr) self->store->woken(*self);
    self->disk->free_errands_.push_back(self);
  };
  return errand;
}

Submitted SimObjects::send(Errand& errand) noexcept {
  const SimObjectOptions& options = disk_.options_;
  const bool flushes = errand.kind == Kind::flush;
  const std::uint64_t min_ns = flushes ? options.flush_ns_min : options.call_ns_min;
  const std::uint64_t max_ns = flushes ? options.flush_ns_max : options.call_ns_max;
  std::uint64_t dice = 0;
  host_.random(MutableBytes(&dice, sizeof dice));
  const bool moves = errand.kind == Kind::read || errand.kind == Kind::write;
  const std::uint64_t moving_ns = moves ? errand.size / 1024 * options.kib_ns : 0;
  pending_.push_back(&errand);
  const std::uint64_t ns = (min_ns + dice % (max_ns - min_ns + 1) + moving_ns) * disk_.slowness_;
  if (host_.sleep(ns, errand) == Submitted::finished) host_.complete(errand, errand.status, 0);
  return Submitted::pending;
}

// The sleep goes on or ends early; nobody listens to it any more.
void SimObjects::end_early(Errand& errand, Code code) noexcept {
  std::erase(pending_, &errand);
  errand.store = nullptr;
  host_.complete(*errand.done, {code, 0, "call of the simulated store"}, 0);
  host_.cancel(errand);
}

Submitted SimObjects::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                           Completion& done) noexcept {
  return transfer(Kind::read, id, offset, parts, part_count, done);
}

Submitted SimObjects::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                            Completion& done) noexcept {
  return transfer(Kind::write, id, offset, parts, part_count, done);
}

Submitted SimObjects::transfer(Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts,
                               std::uint32_t part_count, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  const ObjectLimits& limits = disk_.options_.limits;
  if (part_count > limits.parts_max) return done.finish({Code::too_large, 0, "over parts_max"});
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < part_count; ++i) {
    if (parts[i].size > limits.io_bytes_max - size) return done.finish({Code::too_large, 0, "over io_bytes_max"});
    size += parts[i].size;
  }
  const bool fits = offset <= limits.object_bytes_max && size <= limits.object_bytes_max - offset;
  if (kind == Kind::write && !fits) return done.finish({Code::too_large, 0, "over object_bytes_max"});
  Errand& errand = begin(kind, id, done);
  errand.offset = offset;
  errand.size = size;
  errand.parts.assign(parts, parts + part_count);
  return send(errand);
}

Submitted SimObjects::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  if (size > disk_.options_.limits.object_bytes_max) return done.finish({Code::too_large, 0, "over object_bytes_max"});
  Errand& errand = begin(Kind::truncate, id, done);
  errand.size = size;
  return send(errand);
}

Submitted SimObjects::punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  Errand& errand = begin(Kind::punch, id, done);
  errand.offset = offset;
  errand.size = size;
  return send(errand);
}

Submitted SimObjects::remove(ObjectId id, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  return send(begin(Kind::remove, id, done));
}

Submitted SimObjects::stat(ObjectId id, ObjectStat* out, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  Errand& errand = begin(Kind::stat, id, done);
  errand.stat_out = out;
  return send(errand);
}

Submitted SimObjects::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  Errand& errand = begin(Kind::list, after != nullptr ? *after : ObjectId{}, done);
  errand.from_first = after == nullptr;
  errand.list_out = out;
  errand.size = capacity;
  return send(errand);
}

// What is durable at the end is what was there now, not what comes while it runs.
Submitted SimObjects::flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept {
  if (const Status status = accepts(done); !status.ok()) return done.finish(status);
  Errand& errand = begin(Kind::flush, {}, done);
  if (count == 0) {
    for (const auto& [id, stale] : disk_.stale_) errand.captured.push_back(disk_.capture(id));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (disk_.stale_.contains(ids[i])) errand.captured.push_back(disk_.capture(ids[i]));
  }
  return send(errand);
}

Status SimObjects::space(ObjectSpace* out) noexcept {
  if (state_ != State::running) return {Code::closed, 0, "store is not running"};
  out->bytes_total = disk_.options_.bytes_total;
  out->bytes_free = disk_.bytes_free();
  out->object_count = disk_.objects_.size();
  return kOk;
}

void SimObjects::woken(Errand& errand) noexcept {
  std::erase(pending_, &errand);
  std::uint64_t value = 0;
  const Status status = run(errand, &value);
  host_.complete(*errand.done, status, status.ok() ? value : 0);
}

Status SimObjects::run(Errand& errand, std::uint64_t* value) noexcept {
  switch (errand.kind) {
    case Kind::read:
      return disk_.read_parts(errand.id, errand.offset, errand.parts, errand.size, value);
    case Kind::write:
      *value = errand.size;
      return disk_.write(errand.id, errand.offset, errand.parts, errand.size);
    case Kind::truncate:
      return disk_.set_size(errand.id, errand.size);
    case Kind::punch:
      return disk_.zero(errand.id, errand.offset, errand.size);
    case Kind::remove:
      disk_.remove(errand.id);
      return kOk;
    case Kind::stat: {
      const SimObjectDisk::Content* content = disk_.find(errand.id);
      if (content == nullptr) return {Code::not_found, 0, "no such object"};
      *errand.stat_out = {content->size, content->pages.size() * SimObjectDisk::kPageBytes};
      return kOk;
    }
    case Kind::list:
      *value = run_list(errand);
      return kOk;
    case Kind::flush:
      return run_flush(errand);
    case Kind::stop:
      state_ = State::stopped;
      disk_.was_stopped_ = true;
      return kOk;
  }
  return {Code::invalid, 0, "call of the simulated store"};
}

std::uint64_t SimObjects::run_list(Errand& errand) noexcept {
  std::uint64_t count = 0;
  auto at = errand.from_first ? disk_.objects_.begin() : disk_.objects_.upper_bound(errand.id);
  for (; at != disk_.objects_.end() && count < errand.size; ++at) errand.list_out[count++] = at->first;
  return count;
}

Status SimObjects::run_flush(Errand& errand) noexcept {
  if (disk_.fail_next_flush_) flush_failure_ = {Code::io_error, 0, "simulated flush"};
  disk_.fail_next_flush_ = false;
  if (!flush_failure_.ok()) return flush_failure_;
  if (disk_.options_.forgets_flushes) return kOk;
  for (const SimObjectDisk::Captured& captured : errand.captured) disk_.make_durable(captured);
  return kOk;
}

namespace {

constexpr ConfigKey kKeys[] = {
    {"disk", KeyType::integer, "", "", 0, 0, true, "address of the SimObjectDisk"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  auto* disk = reinterpret_cast<SimObjectDisk*>(static_cast<std::uintptr_t>(values[0].integer));
  if (disk == nullptr) return {Code::invalid, 0, "disk of a simulated store"};
  *out = make_sim_objects(host, *disk);
  return kOk;
}

}  // namespace

ObjectStore* make_sim_objects(Host& host, SimObjectDisk& disk) { return new SimObjects(host, disk); }

const PluginDescriptor kSimObjectsDescriptor{sizeof(PluginDescriptor),
                                             PluginKind::object_store,
                                             "sim",
                                             "1",
                                             "the simulated object store",
                                             kObjectPunches | kObjectOutlivesProcess,
                                             kKeys,
                                             1,
                                             0,
                                             &create};

}  // namespace rideau::sim
