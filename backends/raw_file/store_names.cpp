// SPDX-License-Identifier: Apache-2.0
// Files that come and go: ops that make or remove one wait here for a job, one at a time, which takes all that came
// while the last one ran. A small write that makes its object is done by the same job.
#include "name_batch.hpp"
#include "store.hpp"

#include <utility>

namespace rideau::raw_file {
namespace {

constexpr std::size_t kStepsPerJob = 32;
constexpr std::uint64_t kWrittenWithMake = 64 << 10;

}  // namespace

void RawFileStore::start_naming() noexcept {
  if (naming_runs_ || naming_.empty()) return;
  naming_runs_ = true;
  auto batch = std::make_shared<NameBatch>();
  while (batch->steps.size() < kStepsPerJob && !naming_.empty()) {
    Op& op = *naming_.pop();
    NameStep& step = batch->steps.emplace_back();
    step.op = &op;
    object_path(op.file->id, step.path);
    step.removes = op.kind == Op::Kind::remove;
    if (step.removes) {
      // Nobody else uses the file: a removal is alone on its object.
      step.fd = std::exchange(op.file->fd, -1);
      if (step.fd >= 0) --open_count_;
    } else if (op.kind == Op::Kind::write && op.size > 0 && op.size <= kWrittenWithMake) {
      step.bytes = reinterpret_cast<const iovec*>(&op.parts[op.first_part]);
      step.parts = static_cast<int>(op.parts.size() - op.first_part);
      step.offset = op.offset + op.progress;
    }
  }
  run_job(
      [home = home_, batch](std::uint64_t&) {
        batch->run(*home);
        return kOk;
      },
      [this, batch](Status, std::uint64_t) {
        naming_runs_ = false;
        host_.count(Tally::system_calls, batch->system_calls);
        for (NameStep& step : batch->steps) {
          if (step.removes) {
            on_removed(*step.op, step.result);
          } else {
            if (step.written > 0) advance(*step.op, step.written);
            on_opened(*step.op, step.result < 0 ? step.result : std::exchange(step.fd, -1));
          }
        }
      });
}

}  // namespace rideau::raw_file
