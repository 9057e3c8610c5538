// SPDX-License-Identifier: Apache-2.0
// The checks on ranks of this machine's CPU: they pass, and each wrong training is rejected by the check that
// it names.
#include "suites/fsdp/training/checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "harness/core/registry.hpp"
#include "harness/record/provenance.hpp"
#include "suites/fsdp/training/faults.hpp"
#include "suites/fsdp/training/job.hpp"

namespace assay::suites::fsdp {
namespace {

using ::testing::HasSubstr;
using Run = std::string (*)(const RankDevice&, const std::string&);
const std::map<std::string, Run> kChecks = {{kShardedLoss, sharded_loss},
                                            {kCollectives, collectives},
                                            {kMemory, memory_per_rank},
                                            {kResume, resume_bitwise}};
const RankDevice kTwoRanks{.worlds = {2}};

TEST(FsdpChecks, pass_on_two_ranks_and_say_on_what_they_ran) {
  for (const auto& [name, run] : kChecks) {
    const auto evidence = nlohmann::json::parse(run(kTwoRanks, ""));
    EXPECT_EQ(evidence.at("transport"), "socket") << name;
    EXPECT_EQ(evidence.at("gpus"), 0) << name;
    EXPECT_TRUE(evidence.at("faults").empty()) << name;
  }
}

TEST(FsdpChecks, on_gpus_need_two_and_say_so) {
  try {
    EXPECT_EQ(rank_device(harness::DeviceKind::kCuda).worlds.front(), 2);
  } catch (const harness::Skip& skip) {
    EXPECT_THAT(skip.what(), HasSubstr("needs 2 GPUs, found "));
  }
  EXPECT_EQ(rank_device(harness::DeviceKind::kCpu).name, "cpu");
}

class FsdpFaults : public ::testing::TestWithParam<Fault> {};

TEST_P(FsdpFaults, is_rejected_by_the_check_it_names) {
  const Fault& fault = GetParam();
  try {
    const std::string evidence = kChecks.at(fault.rejected_by)(kTwoRanks, fault.name);
    FAIL() << fault.about << ": passed with " << evidence;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("evidence: ")) << "it ran, and was found wrong";
  }
}

INSTANTIATE_TEST_SUITE_P(Each, FsdpFaults, ::testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

TEST(FsdpChecks, bubbles_of_pipelines_are_those_of_their_formula_and_a_schedule_that_is_only_named_is_not) {
  const auto evidence = nlohmann::json::parse(pipeline_bubble());
  EXPECT_EQ(evidence.at("pipelines").size(), 7U);
  try {
    pipeline_bubble("named_only");
    FAIL() << "GPipe's list under other names";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected zbv: a bubble of 2.1 %"));
  }
}

TEST(FsdpJob, a_rank_that_cannot_run_its_plan_is_named_with_its_reason) {
  try {
    run_training(2, {.order = {0, 1, 2}});
    FAIL() << "three sequences over two ranks";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("(exit code 1): expected ranks that share out 3 sequences evenly"));
  }
  EXPECT_THROW(run_training(2, {.fault = "no such fault"}), std::runtime_error);
}

TEST(FsdpJob, an_element_that_no_rank_reports_is_missed) {
  const RankReport one{.start = {{"a", 0, {1, 2}}}, .end = {{"a", 0, {1, 2}}}},
      gap{.start = {{"a", 3, {4}}}, .end = {{"a", 3, {4}}}};
  EXPECT_EQ(whole({one}).end.size(), 2U);
  EXPECT_THROW(whole({one, gap}), std::runtime_error);
}

TEST(FsdpChallenge, has_checks_and_sources_that_make_them_stale) {
  const harness::Challenge& challenge = harness::Registry::instance().challenge(kTraining);
  ASSERT_EQ(challenge.implementations.size(), 1U);
  EXPECT_NO_THROW(harness::sources_sha256(challenge.implementations.front().sources));
  for (const auto& check : challenge.checks) EXPECT_EQ(check.subject, kShardedStep);
}

}  // namespace
}  // namespace assay::suites::fsdp
