// SPDX-License-Identifier: Apache-2.0
// What must hold between a 16-bit step of our kernels and the eager one, for any step: the tests of the host
// and of the GPU call the same functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/compile/step_problem.hpp"
#include "tests/compile/step_under_test.hpp"

namespace assay::testing {

struct ParityCase {
  bool tied = false, packed = true;
  kernels::compile::Keep keep = kernels::compile::Keep::kEverything;
  kernels::compile::ComputeType compute = kernels::compile::ComputeType::kBfloat16;
  std::optional<kernels::compile::Keep> first = {};  ///< of the first layer alone
  std::int64_t padding = 55;                         ///< tokens of capacity that the inputs leave
  std::int64_t chunk_rows = 96;                      ///< of logits: several chunks, the last one shorter
};
std::string name_of(const ParityCase& c);
/// Types, bases, policies, tied heads, with and without padding: a few more than one of each.
std::vector<ParityCase> parity_cases();

/// Losses of steps one after the other, gradients of the first, adapters after the last.
struct Trace {
  std::vector<double> losses;
  std::map<std::string, std::vector<float>> gradients, adapters;
};

/// A problem with the steps that are compared over it.
class Parity {
 public:
  explicit Parity(const ParityCase& c);

  /// A list of the case's capacity; `change` is made to it.
  StepSetup setup(const std::function<void(kernels::compile::Program&)>& change = {}) const;
  /// With the problem's adapters set.
  std::unique_ptr<StepUnderTest> make(const MakeStep& make, StepSetup setup) const;
  /// Of the step with that number; the learning rate falls, kRate / step.
  kernels::compile::StepInputs inputs(int step) const;
  /// Runs `steps` steps whose numbers begin at 1.
  Trace trace(StepUnderTest& step, int steps) const;
  /// The eager run's, in the case's type or in f32.
  Trace eager(at::ScalarType type, int steps) const;
  at::ScalarType scalar_type() const;

  /// Non-fatal failures where loss, a gradient or an adapter after `steps` steps is farther from the eager
  /// run in f32 than kFactor (behind AdamW kFactorBehindAdamW) times what the eager run of the case's type
  /// is, or farther from that one.
  void expect_parity(const MakeStep& make, int steps) const;
  /// The same as a number: the largest deviation in units of what is allowed (1: just so), NaN included as
  /// infinity. For faults, which must be above 1.
  double worst(const Trace& found, int steps) const { return farthest(found, steps).share; }
  struct Deviation {
    double share = 0;  ///< of what is allowed
    std::string where;
  };
  Deviation farthest(const Trace& found, int steps) const;

  static constexpr float kRate = 1e-2f;
  static constexpr double kFactor = 2.0;
  /// Of what lies behind AdamW. Its first steps are little more than signs: where rounding turns a gradient
  /// near 0 about, an element moves two rates apart, and a few such elements are the whole distance (f16: 1.9
  /// times kFactor on the host, 2026-11).
  static constexpr double kFactorBehindAdamW = 5.0;

  ParityCase c;
  mutable Problem problem;
  FrozenWeights weights;
  std::map<std::string, std::vector<float>> adapters;
  std::vector<std::int64_t> tokens, labels;
  std::vector<std::int32_t> boundaries;

 private:
  const Trace& eager_trace(at::ScalarType type, int steps) const;
  mutable std::map<std::pair<int, int>, Trace> eager_traces_;  ///< by type and steps
};

}  // namespace assay::testing
