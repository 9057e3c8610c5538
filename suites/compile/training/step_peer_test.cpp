// SPDX-License-Identifier: Apache-2.0
// What is to be trained, and other people's step on it: on a CPU, tiny, in f32.
#include "suites/compile/training/step_peer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/core/challenge.hpp"
#include "harness/core/registry.hpp"
#include "harness/record/provenance.hpp"
#include "suites/compile/training/checks.hpp"

namespace assay::suites::compile {
namespace {

TrainingPlan tiny() {
  return {.batch = 2, .length = 16, .batches = 3};
}

TEST(TrainingPlan, tokens_can_be_learned_and_do_not_depend_on_the_machine) {
  TrainingPlan plan = tiny();
  plan.words = 64, plan.batches = 64;
  const std::vector<std::int64_t> tokens = training_tokens(plan);
  ASSERT_EQ(std::ssize(tokens), 64 * 2 * 16);
  std::int64_t follow = 0;
  for (std::size_t i = 1; i < tokens.size(); ++i) follow += tokens[i] == (5 * tokens[i - 1] + 7) % 64 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(follow) / static_cast<double>(tokens.size()), 0.75, 0.03);
  EXPECT_EQ(std::set<std::int64_t>(tokens.begin(), tokens.end()).size(), 64U);
  EXPECT_EQ(tokens, training_tokens(plan));
  plan.seed = 2;
  EXPECT_NE(tokens, training_tokens(plan));
}

TEST(TrainingPlan, adapters_begin_uniform_in_a_and_zero_in_b) {
  const std::vector<float> first = first_adapters(tiny());
  const auto zeros = std::ranges::count(first, 0.0F);
  EXPECT_GT(zeros, std::ssize(first) / 4);
  EXPECT_LT(zeros, 3 * std::ssize(first) / 4);
}

TEST(StepPeer, trains_the_same_adapters_on_the_same_tokens) {
  TrainingPlan plan = tiny();
  plan.learning_rate = 0, plan.weight_decay = 0;
  try {
    StepPeer peer(plan, "eager", "cpu", "float32");
    const std::vector<double> warm_up = peer.first_losses();
    ASSERT_EQ(warm_up.size(), 3U);
    EXPECT_EQ(peer.train(3), warm_up) << "three batches in turn, nothing learned";
    EXPECT_EQ(peer.adapters(), first_adapters(plan));
    EXPECT_GT(peer.time(1), 0.0);
    EXPECT_TRUE(peer.began().contains("versions"));
    for (const double loss : warm_up) EXPECT_TRUE(std::isfinite(loss) && loss > 1.0) << loss;
  } catch (const harness::Skip& skip) {
    GTEST_SKIP() << skip.what();
  }
}

TEST(StepPeer, that_cannot_begin_is_refused_with_how_it_ended) {
  try {
    EXPECT_THROW(StepPeer(tiny(), "no_such_method", "cpu", "float32"), std::runtime_error);
  } catch (const harness::Skip& skip) {
    GTEST_SKIP() << skip.what();
  }
}

TEST(TrainingStepChallenge, has_checks_and_sources_that_make_them_stale) {
  const harness::Challenge& challenge = harness::Registry::instance().challenge(kTrainingStep);
  ASSERT_EQ(challenge.implementations.size(), 1U);
  EXPECT_NO_THROW(harness::sources_sha256(challenge.implementations.front().sources));
  EXPECT_EQ(challenge.checks.size(), 6U);
  for (const auto& check : challenge.checks) {
    EXPECT_EQ(check.subject, kCapturedStep);
    EXPECT_THROW(check.run(harness::DeviceFacts{}), harness::Skip) << check.name << " needs a GPU";
  }
}

}  // namespace
}  // namespace assay::suites::compile
