// SPDX-License-Identifier: Apache-2.0
// The random rule of the object suite: rounds of calls on different objects at once, compared with the model, over
// restarts and power cuts.
#include "sdk/testkit/object_suite_tools.hpp"

#include <algorithm>

namespace rideau::object_suite {
namespace {

constexpr std::uint64_t kObjects = 24;
constexpr std::uint64_t kObjectBytes = 200'000;

ObjectId id_of(std::uint64_t number) { return {(number / 3) * 0x1'0001, number % 3}; }

// One call and what its answer must be.
struct Step {
  Call* call = nullptr;
  ObjectId id;
  Code code = Code::ok;
  bool reads = false;
  bool stats = false;
  std::string bytes;
};

// Submits a random call on `id` and does the same to the model.
Step submit_random(Suite& suite, Dice& dice, ModelObjects& model, ObjectId id) {
  Step step;
  step.call = &suite.call();
  step.id = id;
  ObjectStore& store = suite.store();
  const std::uint64_t kind = dice.below(100);
  const std::uint64_t offset = dice.below(kObjectBytes);
  const std::uint64_t size = dice.one_in(4) ? dice.below(60'000) : dice.below(5000);
  const std::size_t piece = dice.one_in(4) ? 1 + dice.below(3000) + size / 100 : 0;
  if (kind < 40) {
    const std::string bytes = dice.nonzero_bytes(size);
    step.call->write(store, id, offset, bytes, piece);
    model.write(id, offset, bytes);
  } else if (kind < 70) {
    step.call->read(store, id, offset, size, piece);
    step.reads = true;
    if (model.exists(id)) {
      step.bytes = model.read(id, offset, size);
    } else {
      step.code = Code::not_found;
    }
  } else if (kind < 78) {
    step.call->truncate(store, id, offset);
    model.truncate(id, offset);
  } else if (kind < 86 && suite.punches()) {
    step.call->punch(store, id, offset, size);
    if (model.exists(id)) {
      model.punch(id, offset, size);
    } else {
      step.code = Code::not_found;
    }
  } else if (kind < 91) {
    step.call->remove(store, id);
    model.remove(id);
  } else {
    step.call->stat(store, id);
    step.stats = true;
    if (!model.exists(id)) step.code = Code::not_found;
  }
  return step;
}

void check_step(Suite& suite, const ModelObjects& model, const Step& step) {
  Report& report = suite.report;
  const std::string name = object_name(step.id);
  if (!report.equal(step.call->status().code, step.code, name) || step.code != Code::ok) return;
  if (step.reads) report.check(step.call->read_bytes() == step.bytes, "bytes of " + name);
  if (step.stats) report.equal(step.call->found().size, model.size(step.id), "size of " + name);
}

Task<> random_round(Suite& suite, Dice& dice, ModelObjects& model) {
  std::vector<std::uint64_t> numbers(kObjects);
  for (std::uint64_t i = 0; i < kObjects; ++i) numbers[i] = i;
  const std::uint64_t count = 1 + dice.below(kObjects);
  std::vector<Step> steps;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::swap(numbers[i], numbers[i + dice.below(kObjects - i)]);
    steps.push_back(submit_random(suite, dice, model, id_of(numbers[i])));
  }
  Call* flush = nullptr;
  if (dice.one_in(8)) {
    flush = &suite.call();
    flush->flush(suite.store(), dice.one_in(2) ? std::vector<ObjectId>() : std::vector<ObjectId>{id_of(numbers[0])});
  }
  co_await suite.wait_all();
  for (const Step& step : steps) check_step(suite, model, step);
  if (flush != nullptr) suite.report.ok(flush->status(), "flush");
  suite.forget_calls();
}

}  // namespace

Task<> check_random(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.random.against-the-model");
  Dice dice(suite.seed + 31);
  ModelObjects model;
  for (int life = 0; life < 6; ++life) {
    const bool opened = co_await suite.open(life == 0);
    if (!opened) co_return;
    co_await suite.expect_all(model, "at start");
    for (int round = 0; round < 30; ++round) co_await random_round(suite, dice, model);
    co_await suite.expect_all(model, "at the end");
    if (dice.one_in(2)) {
      co_await suite.close();
    } else {
      report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush of all");
      suite.kill();
    }
  }
}

}  // namespace rideau::object_suite
