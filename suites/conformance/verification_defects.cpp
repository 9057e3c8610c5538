// SPDX-License-Identifier: Apache-2.0
// How results and times are judged: faults of other harnesses that this one must not have.

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <utility>

#include "harness/measure/statistics.hpp"
#include "harness/verify/verify.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

using harness::Oracle;
using harness::TensorSet;
using harness::Verdict;

// ---- every batch is compared

constexpr std::int64_t kBatches = 4, kSide = 96, kBatch = kSide * kSide;

using Accepts = std::function<bool(const TensorSet&, const Oracle&)>;

bool accepts(const TensorSet& outputs, const Oracle& oracle) {
  return harness::passes(harness::compare(outputs, oracle, {.exact = true}, nullptr));
}
bool accepts_first_batch(const TensorSet& outputs, const Oracle& oracle) {
  TensorSet first(harness::DeviceKind::kCpu);
  const harness::TensorView view = first.add({"y", harness::Dtype::kFloat32, {kSide, kSide}});
  std::copy_n(outputs.at("y").as<float>(), kBatch, view.as<float>());
  return accepts(first, oracle);
}

void a_fault_in_any_batch_is_seen(const Accepts& judge) {
  TensorSet outputs(harness::DeviceKind::kCpu);
  const harness::TensorView y = outputs.add({"y", harness::Dtype::kFloat32, {kBatches, kSide, kSide}});
  std::vector<float> truth(kBatches * kBatch);
  for (std::size_t i = 0; i < truth.size(); ++i) truth[i] = static_cast<float>(i % 97 + 1);
  Oracle oracle;
  oracle.truth = [&](std::string_view, std::int64_t begin, std::span<double> out) {
    std::copy_n(truth.begin() + begin, out.size(), out.begin());
  };
  oracle.exact = [&](std::string_view, std::int64_t begin, std::int64_t count, std::byte* out) {
    std::copy_n(truth.begin() + begin, count, reinterpret_cast<float*>(out));
  };
  std::ranges::copy(truth, y.as<float>());
  demand(answer([&] { return judge(outputs, oracle); }), "right batches to be accepted", "a rejection");
  for (std::int64_t batch = 0; batch < kBatches; ++batch) {
    float& element = y.as<float>()[batch * kBatch + 41];
    const float right = std::exchange(element, -7.0f);
    demand(!answer([&] { return judge(outputs, oracle); }), text("a fault in batch ", batch, " to be seen"),
           "it accepted");
    element = right;
  }
}

// ---- the same against itself

using Times = std::vector<double>;
using Decide = std::function<Verdict(const Times& baseline, const Times& candidate)>;

Verdict by_pairs(const Times& baseline, const Times& candidate) {
  return harness::verdict_of(harness::paired_ratio(baseline, candidate));
}
/// Means differ by more than the smaller relative deviation.
Verdict by_means(const Times& baseline, const Times& candidate) {
  struct Summary {
    double mean, noise;
  };
  const auto of = [](const Times& times) {
    const double mean = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
    double square = 0.0;
    for (const double t : times) square += (t - mean) * (t - mean);
    return Summary{mean, std::sqrt(square / static_cast<double>(times.size())) / mean};
  };
  const Summary a = of(baseline), b = of(candidate);
  const double change = b.mean / a.mean - 1.0;
  if (std::abs(change) <= std::min(a.noise, b.noise))
    return Verdict::kNotResolved;
  return change < 0.0 ? Verdict::kBetter : Verdict::kWorse;
}

/// 64 calls of 100 µs with 0.1 % of noise; one in a hundred is disturbed and takes up to three times as long.
Times calls(std::mt19937& engine, double factor) {
  std::normal_distribution<double> noise(1.0, 1e-3);
  std::uniform_real_distribution<double> uniform;
  Times out;
  for (int i = 0; i < 64; ++i) {
    const double disturbed = uniform(engine) < 0.01 ? 1.0 + 2.0 * uniform(engine) : 1.0;
    out.push_back(1e5 * factor * noise(engine) * disturbed);
  }
  return out;
}

void the_same_is_the_same(const Decide& decide) {
  std::mt19937 engine(17);
  int resolved = 0, seen = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Times baseline = calls(engine, 1.0), same = calls(engine, 1.0), slower = calls(engine, 1.03);
    resolved += answer([&] { return decide(baseline, same); }) != Verdict::kNotResolved ? 1 : 0;
    seen += answer([&] { return decide(baseline, slower); }) == Verdict::kWorse ? 1 : 0;
  }
  demand(resolved <= 2, "at most 2 of 40 runs of the same against itself to be called faster or slower",
         text(resolved));
  demand(seen == 40, "3 % more work to be called slower in 40 of 40 runs", text(seen));
}

}  // namespace

std::vector<Defect> verification_defects() {
  return {
      defect({"NVIDIA/cutlass", 3511, "only the first batch of a batched product is compared", kVerification},
             accepts, accepts_first_batch, a_fault_in_any_batch_is_seen),
      defect(
          {"NVIDIA/nvbench", 316, "the same program is called faster or slower than itself", kVerification},
          by_pairs, by_means, the_same_is_the_same)};
}

}  // namespace assay::suites::conformance
