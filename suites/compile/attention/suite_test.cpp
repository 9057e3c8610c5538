// SPDX-License-Identifier: Apache-2.0
// The attention challenge itself: cases are well-formed, work is what can be counted by hand, the two oracles
// agree, every implementation passes every quick case and every wrong one is rejected by parity.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/selftest/selftest.hpp"
#include "suites/compile/attention/case_tensors.hpp"
#include "suites/compile/attention/checks.hpp"
#include "suites/compile/attention/oracles.hpp"

namespace assay::suites::compile {
namespace {

/// A second thread only waits for the first on tensors this small.
const bool kOneThread = (at::set_num_threads(1), true);

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

const harness::Challenge& challenge() {
  return harness::Registry::instance().challenge(kAttentionChallenge);
}

TEST(AttentionSuite, cases_are_well_formed) {
  std::set<std::string> names;
  std::map<std::pair<Dtype, bool>, std::set<Mod>> quick;
  std::set<std::pair<Mod, std::int64_t>> timed;
  for (const Case& which : challenge().cases) {
    const AttentionCase& c = attention_parameters_of(which);
    EXPECT_TRUE(names.insert(which.name).second) << which.name << " is there twice";
    EXPECT_NE(which.quick, which.measured) << which.name;
    EXPECT_TRUE(c.packed || c.tokens % c.length == 0) << which.name;
    EXPECT_EQ(c.heads % c.kv_heads, 0) << which.name;
    if (which.quick)
      quick[{c.dtype, c.backward}].insert(c.mod);
    else if (c.backward && c.dtype == Dtype::kBfloat16 && c.head_dim == 128)
      timed.insert({c.mod, c.length});
    for (const std::int64_t length : lengths_of(c)) EXPECT_LE(length, c.length) << which.name;
  }
  EXPECT_EQ(quick.size(), 4u);
  for (const auto& [kind, mods] : quick) EXPECT_EQ(mods.size(), std::size(kMods));
  for (const std::int64_t length : {2048, 4096, 8192}) EXPECT_EQ(timed.count({Mod::kCausal, length}), 1u);
  EXPECT_TRUE(names.count("causal/s4096/h32kv8d128/bf16/fwd"));
}

TEST(AttentionSuite, work_counts_visible_pairs) {
  const auto work = [](const AttentionCase& c) {
    Case which;
    which.parameters = c;
    return attention_work_of(which);
  };
  AttentionCase c{.tokens = 20, .length = 10, .heads = 4, .kv_heads = 2, .head_dim = 8};
  EXPECT_EQ(work(c).flops, 2 * 55 * 4 * 8 * 4);
  EXPECT_EQ(work(c).bytes, 20 * 8 * 2 * (4 + 2 + 2 + 4) + 20 * 4 * 4);
  c.backward = true;
  EXPECT_EQ(work(c).flops, 2 * 55 * 4 * 8 * 10);
  EXPECT_EQ(work(c).bytes, 20 * 8 * 2 * (4 * 4 + 2 * 4) + 20 * 4 * 4);
  c.mod = Mod::kNone;
  EXPECT_EQ(visible_pairs(c), 200);
  c.mod = Mod::kSlidingWindow;  // of 2: each sees itself and two before it
  EXPECT_EQ(visible_pairs(c), 2 * (1 + 2 + 8 * 3));
  c.mod = Mod::kPrefixLm;  // 3 keys, then 2
  EXPECT_EQ(visible_pairs(c), (3 * 3 + 55 - 6) + (2 * 2 + 55 - 3));
  c.mod = Mod::kDocument;  // 4, 1, 3 and 2 tokens
  EXPECT_EQ(visible_pairs(c), 2 * (10 + 1 + 6 + 3));
  const AttentionCase large{.length = 2048};
  EXPECT_NEAR(static_cast<double>(work(large).flops), 275e9, 0.5e9);  // docs/flex_attention.md
}

/// What the work counts is what the mods show.
TEST(AttentionSuite, visible_pairs_are_those_of_the_masks) {
  for (const Case& which : challenge().cases) {
    const AttentionCase& c = attention_parameters_of(which);
    if (!which.quick || c.dtype == Dtype::kFloat16 || c.backward || c.mod == Mod::kNone)
      continue;
    const harness::TensorSet inputs = make_attention_inputs(which, 1);
    std::int64_t pairs = 0, last = -1;
    for (const Part& part : parts_of(c, tensors_of(inputs), 1)) {
      if (part.sequence != last)
        pairs += part.scores.visible.sum().item<std::int64_t>();
      last = part.sequence;
    }
    EXPECT_EQ(visible_pairs(c), pairs) << which.name;
  }
}

/// Loops over elements against tensor operations, masks and layouts made twice.
TEST(AttentionSuite, the_two_oracles_agree) {
  int compared = 0;
  for (const Case& which : challenge().cases) {
    const AttentionCase& c = attention_parameters_of(which);
    if (!which.quick)
      continue;
    const harness::TensorSet inputs = make_attention_inputs(which, which.seed);
    const harness::Oracle scalar = scalar_attention_oracle(c, inputs),
                          tensor = tensor_attention_oracle(c, inputs);
    for (const harness::TensorSpec& spec : attention_outputs_of(c)) {
      std::size_t size = 1;
      for (const std::int64_t extent : spec.shape) size *= static_cast<std::size_t>(extent);
      std::vector<double> a(size), b(size);
      scalar.truth(spec.name, 0, a);
      tensor.truth(spec.name, 0, b);
      double error = 0.0, norm = 0.0;
      for (std::size_t i = 0; i < size; ++i) error += (a[i] - b[i]) * (a[i] - b[i]), norm += a[i] * a[i];
      EXPECT_LE(std::sqrt(error), 1e-11 * std::sqrt(norm)) << which.name << " " << spec.name;
      EXPECT_GT(norm, 0.0) << which.name << " " << spec.name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

void expect_all_pass_and_mutants_rejected(DeviceKind device) {
  const harness::SelftestResult result = harness::run_mutants(challenge(), {device});
  EXPECT_FALSE(result.rows.empty());
  for (const harness::SelftestRow& row : result.rows)
    EXPECT_TRUE(row.ok) << row.case_name << " " << row.implementation << ": expected " << row.expected
                        << ", seen " << row.seen << ": " << row.reason;
}

TEST(AttentionSuite, implementations_pass_and_mutants_are_rejected_by_parity) {
  expect_all_pass_and_mutants_rejected(DeviceKind::kCpu);
}

TEST(GpuAttentionSuite, implementations_pass_and_mutants_are_rejected_by_parity) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  expect_all_pass_and_mutants_rejected(DeviceKind::kCuda);
}

TEST(GpuAttentionSuite, many_lengths_compile_nothing) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  for (const auto& check : challenge().checks)
    EXPECT_NO_THROW(check.run(harness::describe(DeviceKind::kCuda).facts())) << check.name;
}

}  // namespace
}  // namespace assay::suites::compile
