// SPDX-License-Identifier: Apache-2.0
// The pointwise challenges themselves: cases are well-formed, the plain version in f64 agrees with the
// oracle, every implementation passes every quick case and every wrong one is rejected by the check it names.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/selftest/selftest.hpp"
#include "suites/compile/pointwise/torch_adapter.hpp"

namespace assay::suites::compile {
namespace {

/// A second thread only waits for the first on tensors this small.
const bool kOneThread = (at::set_num_threads(1), true);

using harness::Case;
using harness::Challenge;
using harness::DeviceKind;
using harness::Dtype;

std::vector<const Challenge*> challenges() {
  std::vector<const Challenge*> out;
  for (const Piece piece : kPieces)
    out.push_back(&harness::Registry::instance().challenge(challenge_name(piece)));
  return out;
}

TEST(PointwiseSuite, cases_are_well_formed) {
  ASSERT_EQ(challenges().size(), std::size(kPieces));
  for (const Challenge* challenge : challenges()) {
    std::set<std::string> names;
    std::set<std::pair<Dtype, bool>> quick, timed_on_gpu;
    for (const Case& which : challenge->cases) {
      const PointwiseCase& c = parameters_of(which);
      EXPECT_EQ(challenge->name, challenge_name(c.piece)) << which.name;
      EXPECT_TRUE(names.insert(which.name).second) << which.name << " is there twice";
      EXPECT_NE(which.quick, which.measured) << which.name;
      if (which.quick)
        quick.insert({c.dtype, c.backward});
      else if (which.devices.front() == DeviceKind::kCuda)
        timed_on_gpu.insert({c.dtype, c.backward});
      EXPECT_GT(challenge->work(which).bytes, 0);
    }
    EXPECT_EQ(quick.size(), 6u) << challenge->name << " is judged in f16, bf16 and f32, both ways";
    EXPECT_EQ(timed_on_gpu.size(), 4u) << challenge->name << " is timed in f16 and bf16, both ways";
  }
}

TEST(PointwiseSuite, work_counts_what_must_move) {
  const auto bytes = [](const PointwiseCase& c) {
    Case which;
    which.parameters = c;
    return work_of(which).bytes;
  };
  // Reads x and residual, writes y and sum: four times two bytes, weight and rstd.
  EXPECT_EQ(bytes({.piece = Piece::kRmsNorm, .tokens = 100, .width = 64, .residual = true}),
            100 * 64 * 8 + 64 * 2 + 400);
  EXPECT_EQ(bytes({.piece = Piece::kRope, .tokens = 100, .heads = 4, .kv_heads = 2, .head_dim = 8}),
            100 * 6 * 8 * 2 * 2 + 100 * 8 + 4 * 4);
  PointwiseCase swiglu{.piece = Piece::kSwiglu, .tokens = 100, .width = 64, .backward = true};
  EXPECT_EQ(bytes(swiglu), 100 * 64 * 2 * 5);
  swiglu.halves = true;
  EXPECT_EQ(bytes(swiglu), 100 * 64 * 2 * 5);
}

/// With f64 tensors, the plain version's roundings are gone and its formulas remain.
TEST(PointwiseSuite, the_plain_version_in_f64_agrees_with_the_oracle) {
  int compared = 0;
  for (const Challenge* challenge : challenges()) {
    for (const Case& which : challenge->cases) {
      const PointwiseCase& c = parameters_of(which);
      if (!which.quick || c.dtype != Dtype::kFloat32)
        continue;
      const harness::TensorSet inputs = make_inputs(which, which.seed);
      const harness::Oracle oracle = oracle_of(which, inputs);
      Tensors in, out;
      for (const harness::TensorView& view : inputs.views())
        in.add(view.name, as_tensor(view).to(at::kDouble));
      for (const harness::TensorSpec& spec : outputs_of(c))
        out.add(spec.name, at::empty(spec.shape, at::TensorOptions().dtype(at::kDouble)));
      eager_call(c, in, out);
      for (const harness::TensorSpec& spec : outputs_of(c)) {
        const at::Tensor flat = out[spec.name].view({-1});
        std::vector<double> truth(static_cast<std::size_t>(flat.numel()));
        oracle.truth(spec.name, 0, truth);
        double error = 0.0, norm = 0.0;
        for (std::size_t i = 0; i < truth.size(); ++i) {
          const double difference = flat.data_ptr<double>()[i] - truth[i];
          error += difference * difference, norm += truth[i] * truth[i];
        }
        // cos and sin come as f32 of an f32 angle, rstd and the norm's inside are f32.
        EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm))
            << challenge->name << " " << which.name << " " << spec.name;
        EXPECT_GT(norm, 0.0);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 20);
}

/// Chunks of the oracle may begin and end anywhere.
TEST(PointwiseSuite, truth_does_not_depend_on_how_it_is_asked_for) {
  for (const Challenge* challenge : challenges()) {
    const Case& which = challenge->cases.back().quick ? challenge->cases.back() : challenge->cases.front();
    const PointwiseCase& c = parameters_of(which);
    const harness::TensorSet inputs = make_inputs(which, 3);
    const harness::Oracle oracle = oracle_of(which, inputs);
    const std::string output = outputs_of(c).front().name;
    std::vector<double> all(2000), part(700);
    oracle.truth(output, 0, all);
    oracle.truth(output, 901, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + 901)) << challenge->name;
  }
}

void expect_all_pass_and_mutants_rejected(DeviceKind device) {
  for (const Challenge* challenge : challenges()) {
    const harness::SelftestResult result = harness::run_mutants(*challenge, {device});
    EXPECT_FALSE(result.rows.empty());
    for (const harness::SelftestRow& row : result.rows) {
      EXPECT_TRUE(row.ok) << row.challenge << " " << row.case_name << " " << row.implementation
                          << ": expected " << row.expected << ", seen " << row.seen << ": " << row.reason;
    }
  }
}

TEST(PointwiseSuite, implementations_pass_and_mutants_are_rejected_by_the_check_they_name) {
  expect_all_pass_and_mutants_rejected(DeviceKind::kCpu);
}

TEST(GpuPointwiseSuite, implementations_pass_and_mutants_are_rejected_by_the_check_they_name) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  expect_all_pass_and_mutants_rejected(DeviceKind::kCuda);
}

}  // namespace
}  // namespace assay::suites::compile
