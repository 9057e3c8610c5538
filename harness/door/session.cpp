// SPDX-License-Identifier: Apache-2.0
#include "harness/door/session.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "harness/core/interrupt.hpp"
#include "harness/device/device.hpp"
#include "harness/door/process_cores.hpp"
#include "harness/door/process_memory.hpp"
#include "harness/memory/memory.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::door {
namespace {

// How long after a call's return its outputs must still be what they were.
constexpr useconds_t kSettleUs = 50'000;

/// Cannot be guessed, so an answer cannot be sent before its request.
std::string fresh_id() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

Outcome told_where(Outcome outcome, const std::string& op) {
  const std::string where = op == "open"  ? "while it was loaded, "
                            : op == "run" ? "in a call, "
                                          : "in " + op + ", ";
  if (auto* failed = std::get_if<Failed>(&outcome))
    failed->reason = where + failed->reason;
  if (auto* timed_out = std::get_if<TimedOut>(&outcome))
    timed_out->reason = where + timed_out->reason;
  if (auto* too_large = std::get_if<OutOfMemoryOutcome>(&outcome))
    too_large->reason = where + too_large->reason;
  return outcome;
}

std::vector<SharedSet> make_sets(const Specs& specs, int count) {
  std::vector<SharedSet> sets;
  for (int i = 0; i < count; ++i) sets.emplace_back(specs);
  return sets;
}

Process::Command command_of(const Target& target, DeviceKind device, const std::vector<SharedSet>& sets) {
  Process::Command command{target.words, {}, 0, device == DeviceKind::kCpu};
  for (const SharedSet& set : sets) {
    command.inherited_fds.push_back(set.fd());
    command.shared_bytes += set.bytes();
  }
  return command;
}

}  // namespace

Session::Session(const Target& target, const Row& row, const Specs& specs, int sets, const Limits& limits)
    : target_(target), device_(row.device), limits_(limits), sets_(make_sets(specs, sets)) {
  process_ = std::make_unique<Process>(command_of(target, device_, sets_), limits);
  Request request;
  request.op = "open";
  request.opening = opening_on(row, specs);
  ask(std::move(request), std::max(limits.start_s, limits.answer_s));
  process_->limit_growth();
  anonymous_at_start_ = memory_of(process_->id()).anonymous;
  freeze();
}

Opening Session::opening_on(const Row& row, const Specs& specs) const {
  Opening opening{row.challenge.name, row.which.name, row.device, {}, specs, {}};
  if (row.challenge.outside)
    opening.attributes = row.challenge.outside->attributes(row.which);
  for (const SharedSet& set : sets_) opening.files.push_back(fmt::format("/proc/self/fd/{}", set.fd()));
  return opening;
}

void Session::ask(Request request, double limit_s) {
  request.id = fresh_id();
  std::optional<Outcome> outcome;
  try {
    outcome = parse_answer(process_->exchange(request_line(request), limit_s), request);
  } catch (const Ended& ended) {
    outcome = told_where(ended.outcome, request.op);
  }
  if (outcome)
    throw RowEnded(target_.name, *outcome);
}

void Session::reject(const char* check, const std::string& reason) const {
  throw RowEnded(target_.name, Wrong{check, reason, std::nullopt});
}

void Session::freeze() {
  try {
    process_->freeze();
  } catch (const Ended& ended) {
    throw RowEnded(target_.name, ended.outcome);
  }
}

void Session::move_to_core(std::int64_t number) {
  const ProcessCores cores(process_->id());
  cores.allow_only(number);
  run(0, 0);
  freeze();
}

void Session::load(int set) {
  if (device_ == DeviceKind::kCuda)
    ask({"", "load", set, 0, 0, std::nullopt}, limits_.answer_s);
}

void Session::store(int set) {
  if (device_ == DeviceKind::kCuda)
    ask({"", "store", set, 0, 0, std::nullopt}, limits_.answer_s);
}

void Session::verify() {
  constexpr double kCallsWorth = 4;  // dozens of calls and some looks of the oracle
  load(0);
  run(0, 1);  // a call that never ends should end as one
  ask({"", "verify", 0, 0, 0, std::nullopt}, kCallsWorth * limits_.answer_s);
}

void Session::run(std::int64_t first, std::int64_t count) {
  ask({"", "run", 0, first, count, std::nullopt}, limits_.answer_s);
}

double Session::window_ns(std::int64_t first, std::int64_t count) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  run(first, count);
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

void Session::call(int k, const TensorSet& inputs, const TensorSet& outputs, Stream stream) {
  if (stream != nullptr)
    ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  freeze();
  mirror(inputs, set(k).inputs());
  mirror(outputs, set(k).outputs());
  load(k);
  run(k, 1);
  store(k);
  freeze();
  mirror(set(k).inputs(), inputs);
  mirror(set(k).outputs(), outputs);
  if (!looked_again_)
    look_again(k);
}

void Session::look_again(int k) {
  looked_again_ = true;
  const std::uint64_t before = set(k).outputs().digest();
  process_->thaw();
  ::usleep(kSettleUs);
  store(k);
  freeze();
  if (set(k).outputs().digest() != before)
    reject(checks::kLateWrite, "the outputs were still being written after the call had returned");
}

Memory Session::memory() {
  if (device_ == DeviceKind::kCuda) {
    const Memory memory = measure_memory([this](Stream) { run(0, 1); }, device_);
    freeze();
    return memory;
  }
  // The process's resident pages: what one call takes for its duration, and what calls have kept. Shared
  // memory is resident by now and in both sides of the difference.
  const pid_t id = process_->id();
  process_->thaw();
  const bool exact = reset_peak(id);
  const ProcessMemory before = memory_of(id);
  run(0, 1);
  const ProcessMemory after = memory_of(id);
  freeze();
  const std::int64_t taken = exact ? std::max<std::int64_t>(0, after.peak - before.resident) : 0;
  Memory memory;
  memory.tensors = taken + std::max<std::int64_t>(0, before.anonymous - anonymous_at_start_);
  memory.peak_bytes = memory.tensors;
  return memory;
}

}  // namespace assay::harness::door
