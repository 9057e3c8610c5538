// SPDX-License-Identifier: Apache-2.0
#include "harness/door/watch.hpp"

#include <fmt/format.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <numeric>

#include "harness/device/device.hpp"
#include "harness/verify/describe.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::door {
namespace {

constexpr std::uint8_t kPoison = 0xff;  // NaN in every floating format
constexpr std::size_t kSpotBytes = 64;
constexpr int kSpots = 16;
// All outputs of a set; on CUDA, where every look means copies of a whole set, the only look.
constexpr std::int64_t kWindowsPerWhole = 16;
constexpr std::uint64_t kOtherSeed = 7919;  // the second inputs of verify

/// What was prepared for a window must not be warm in it. Other architectures have no such instruction for
/// user code.
void leave_cache(const std::byte* data, std::size_t bytes) {
#if defined(__x86_64__)
  constexpr std::size_t kLine = 64;
  for (std::size_t i = 0; i < bytes; i += kLine) _mm_clflush(data + i);
  if (bytes > 0)
    _mm_clflush(data + bytes - 1);
#else
  static_cast<void>(data), static_cast<void>(bytes);
#endif
}

}  // namespace

Watch::Watch(Session& session, const Row& row, const std::vector<TensorSet>& inputs, bool deterministic)
    : session_(session),
      deterministic_(deterministic),
      waiting_(DeviceKind::kCpu),
      random_(std::random_device()()) {
  for (int set = 0; set < session.count(); ++set)
    learn(set, inputs[static_cast<std::size_t>(set)].copy_to(DeviceKind::kCpu), row);
  data_.resize(right_.size());
  std::iota(data_.begin(), data_.end(), 0);
  learn(0, row.challenge.make_inputs(row.which, row.which.seed + kOtherSeed), row);
  waiting_ = inputs.front().copy_to(DeviceKind::kCpu);
  data_.front() = right_.size() - 1;
}

void Watch::learn(int set, const TensorSet& inputs, const Row& row) {
  TensorSet outputs(DeviceKind::kCpu);
  for (const TensorSpec& spec : row.challenge.outputs(row.which)) outputs.add(spec);
  outputs.fill(kPoison);
  session_.call(set, inputs, outputs, nullptr);
  if (row.challenge.parity.exact) {
    const Parity parity =
        compare(outputs, row.challenge.oracle(row.which, inputs), row.challenge.parity, nullptr);
    if (!passes(parity))
      session_.reject(checks::kTimedOutput,
                      "on inputs that are to be timed " + describe_mismatch(parity, outputs));
  }
  right_.push_back(std::move(outputs));
  inputs_digests_.push_back(inputs.digest());
}

double Watch::window_ns(std::int64_t first, std::int64_t count, std::int64_t round) {
  session_.move_to_core(round);
  if (count == 0)
    return session_.window_ns(0, 0);
  const std::int64_t sets = session_.count(), touched = std::min(count, sets);
  const auto one = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(touched));
  const int set = static_cast<int>((first + one) % sets);
  const bool on_cpu = session_.device() == DeviceKind::kCpu, whole = windows_++ % kWindowsPerWhole == 0;
  // All of it while the process stands still: nothing of the window's work can be done before its clock
  // starts.
  for (std::int64_t i = 0; on_cpu && i < touched; ++i) exchange_inputs(static_cast<int>((first + i) % sets));
  if (whole && !on_cpu)
    exchange_inputs(set);
  std::vector<Spot> spots;
  if (whole)
    spoil_all(set);
  else if (on_cpu)
    spots = spoil_some(set);
  const double ns = session_.window_ns(first, count);
  if (whole)
    session_.store(set);
  session_.freeze();  // also so that it takes nothing from the other side's window
  if (whole)
    check_all(set);
  else
    check_spots(set, spots);
  return ns;
}

void Watch::exchange_inputs(int set) {
  for (const TensorView& view : session_.set(set).inputs().views()) {
    std::swap_ranges(view.as<std::byte>(), view.as<std::byte>() + view.bytes(),
                     waiting_.at(view.name).as<std::byte>());
    leave_cache(view.as<std::byte>(), view.bytes());
  }
  std::swap(data_[static_cast<std::size_t>(set)], waiting_data_);
}

void Watch::spoil_all(int set) {
  TensorSet& outputs = session_.set(set).outputs();
  outputs.fill(kPoison);
  for (const TensorView& view : outputs.views()) leave_cache(view.as<std::byte>(), view.bytes());
  session_.load(set);
}

std::vector<Watch::Spot> Watch::spoil_some(int set) {
  std::vector<Spot> spots;
  const auto& views = session_.set(set).outputs().views();
  for (int i = 0; i < kSpots; ++i) {
    const std::size_t output = random_() % views.size();
    const std::size_t bytes = views[output].bytes();
    if (bytes == 0)
      continue;
    const std::size_t begin = random_() % bytes / kSpotBytes * kSpotBytes,
                      end = std::min(bytes, begin + kSpotBytes);
    std::memset(views[output].as<std::byte>() + begin, kPoison, end - begin);
    leave_cache(views[output].as<std::byte>() + begin, end - begin);
    spots.push_back({output, begin, end});
  }
  return spots;
}

void Watch::check_spots(int set, const std::vector<Spot>& spots) {
  const TensorSet& right = right_[data_[static_cast<std::size_t>(set)]];
  for (const Spot& spot : spots) {
    const TensorView& found = session_.set(set).outputs().views()[spot.output];
    const auto* expected = right.views()[spot.output].as<const std::byte>();
    const auto* bytes = found.as<const std::byte>() + spot.begin;
    const bool still_spoiled = all_bytes_are(bytes, DeviceKind::kCpu, kPoison, spot.end - spot.begin);
    const bool same = std::memcmp(bytes, expected + spot.begin, spot.end - spot.begin) == 0;
    if (!same && (deterministic_ || still_spoiled))
      session_.reject(checks::kTimedOutput,
                      fmt::format("bytes {} to {} of '{}' are not what they were when it was not timed",
                                  spot.begin, spot.end, found.name));
  }
}

void Watch::check_all(int set) {
  const std::size_t data = data_[static_cast<std::size_t>(set)];
  SharedSet& shared = session_.set(set);
  if (deterministic_ && shared.outputs().digest() != right_[data].digest())
    session_.reject(checks::kTimedOutput,
                    "with other inputs, timed calls do not write what calls wrote that were not timed: " +
                        describe_difference(right_[data], shared.outputs()).value_or(""));
  if (shared.inputs().digest() != inputs_digests_[data])
    session_.reject(checks::kInputMutated, "a timed call changed its inputs");
  std::string which;
  if (!shared.outputs().canaries_intact(&which) || !shared.inputs().canaries_intact(&which))
    session_.reject(checks::kCanary, "a timed call overwrote memory beside '" + which + "'");
}

}  // namespace assay::harness::door
