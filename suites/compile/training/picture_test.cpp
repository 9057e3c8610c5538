// SPDX-License-Identifier: Apache-2.0
// Pictures of evidence with figures made by hand.
#include "suites/compile/training/picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/report/pictures.hpp"

namespace assay::suites::compile {
namespace {

using ::testing::HasSubstr;

harness::Check check_of(const nlohmann::ordered_json& evidence) {
  harness::Check check;
  check.outcome = "passed";
  check.evidence_json = evidence.dump();
  return check;
}

nlohmann::ordered_json speed() {
  return {{"shape", "8b"},
          {"policies",
           {{"everything", {{"step_ms", 100.0}, {"tokens_per_s", 20000.0}, {"gib", 20.0}}},
            {"products", {{"step_ms", 125.0}, {"tokens_per_s", 16000.0}, {"gib", 12.0}}}}},
          {"peer", {{"method", "torch_compile"}, {"gib_of_torch", 30.0}}},
          {"policy", "products"},
          {"speedup", {{"median", 1.6}, {"ci_low", 1.25}, {"ci_high", 2.0}, {"pairs", 8}}}};
}

TEST(TrainingPicture, has_every_policy_and_the_peer_at_what_the_pairs_say) {
  const std::string picture = speed_against_memory(check_of(speed()));
  EXPECT_THAT(picture, HasSubstr("everything: 20000 tokens/s in 20.0 GiB, 100 ms a step"));
  EXPECT_THAT(picture, HasSubstr("keeps products *"));
  EXPECT_THAT(picture, HasSubstr("torch_compile: 10000 tokens/s in 30.0 GiB; ours is 1.60x [1.25, 2.00] in 8 "
                                 "pairs"));
  EXPECT_THAT(picture, HasSubstr("half of the peer"));
}

TEST(TrainingPicture, evidence_without_figures_draws_nothing) {
  EXPECT_EQ(speed_against_memory(check_of(nlohmann::ordered_json::object())), "");
  auto without_peer = speed();
  without_peer.erase("peer");
  EXPECT_EQ(speed_against_memory(check_of(without_peer)), "");
  EXPECT_EQ(losses_by_step(check_of({{"losses", nlohmann::ordered_json::object()}})), "");
}

TEST(TrainingPicture, losses_are_a_line_a_run) {
  const std::string picture =
      losses_by_step(check_of({{"losses", {{"captured", {3.0, 2.0, 1.0}}, {"eager", {3.0, 2.5, 1.5}}}}}));
  EXPECT_THAT(picture, HasSubstr("class=\"limit\""));
  EXPECT_THAT(picture, HasSubstr("captured: 1.00"));
  EXPECT_THAT(picture, HasSubstr("eager: 1.50"));
}

TEST(TrainingPicture, the_report_is_told_of_them) {
  std::size_t found = 0;
  for (const harness::Picture& picture : harness::pictures()) {
    found += picture.challenge == "compile/training_step" ? 1 : 0;
  }
  EXPECT_EQ(found, 3u);
}

}  // namespace
}  // namespace assay::suites::compile
