// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/training/pipeline_evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::suites::fsdp {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

TEST(PipelineEvidence, every_schedule_has_the_bubble_of_its_formula_and_every_wrong_one_is_refused) {
  const Json evidence = schedules_evidence();
  EXPECT_EQ(evidence.at("faults").dump(), "[]");
  EXPECT_EQ(evidence.at("schedules").size(), 2U * 5 * 2);
  EXPECT_EQ(evidence.at("refused").size(), 5U);
}

TEST(PipelineEvidence, formulas_are_those_of_two_ranks_and_eight_microbatches) {
  EXPECT_DOUBLE_EQ(bubble_formula("1f1b", 2, 8, 1), 0.125);
  EXPECT_DOUBLE_EQ(bubble_formula("interleaved", 2, 8, 1), 0.0625);
  EXPECT_DOUBLE_EQ(bubble_formula("zb-h1", 2, 8, 1), 1.0 / 24);
  EXPECT_DOUBLE_EQ(bubble_formula("zb-h1", 2, 8, 0), 0.125);
  EXPECT_DOUBLE_EQ(bubble_formula("zbv", 2, 8, 1), 1.0 / 48);
  EXPECT_THROW(named_schedule("zb-h9", 2, 8), std::invalid_argument);
}

TEST(PipelineEvidence, a_measured_bubble_is_the_last_end_over_the_mean_compute) {
  EXPECT_DOUBLE_EQ(measured_bubble({{.compute = 8, .end = 9}, {.compute = 8, .end = 8.5}}), 0.125);
  EXPECT_TRUE(std::isinf(measured_bubble({})));
}

TEST(PipelineEvidence, three_points_are_allowed_the_least_repeat_counts_and_hoisting_must_pay) {
  const WaitingCosts costs{.forward = 1, .recompute = 0, .input = 1, .weight = 1};
  const auto with = [&](double bubble, double hoisted) {
    return bubble_evidence({{.name = "1f1b", .costs = costs, .measured = {0.5, bubble}},
                            {.name = "1f1b",
                             .recompute = "inside",
                             .costs = costs,
                             .simulated = 0.125,
                             .measured = {0.125}},
                            {.name = "1f1b",
                             .recompute = "hoisted",
                             .costs = costs,
                             .simulated = 0.083,
                             .measured = {hoisted}}})
        .at("faults")
        .dump();
  };
  EXPECT_EQ(with(0.15, 0.09), "[]");
  EXPECT_THAT(with(0.16, 0.09), HasSubstr("1f1b: a bubble of 12.5 %"));
  EXPECT_THAT(with(0.09, 0.09), HasSubstr("1f1b: a bubble of 12.5 %")) << "too little is as wrong";
  EXPECT_THAT(with(0.125, 0.1), HasSubstr("cut by hoisting"));
  EXPECT_THAT(bubble_evidence({}).at("faults").dump(), HasSubstr("cut by hoisting"));
}

}  // namespace
}  // namespace assay::suites::fsdp
