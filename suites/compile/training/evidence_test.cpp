// SPDX-License-Identifier: Apache-2.0
// What runs of a training step show, from numbers made by hand.
#include "suites/compile/training/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace assay::suites::compile {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
constexpr std::size_t kGib = std::size_t{1} << 30;

TEST(WithinHalf, takes_the_fastest_that_fits_and_the_smallest_where_none_does) {
  const std::vector<PolicyRun> policies = {{.keep = "everything", .seconds = 0.25, .bytes = 23 * kGib},
                                           {.keep = "products", .seconds = 0.26, .bytes = 18 * kGib},
                                           {.keep = "input", .seconds = 0.30, .bytes = 12 * kGib}};
  EXPECT_EQ(within_half(policies, 46 * kGib).keep, "everything");
  EXPECT_EQ(within_half(policies, 38 * kGib).keep, "products");
  EXPECT_EQ(within_half(policies, 24 * kGib).keep, "input");
  EXPECT_EQ(within_half(policies, 20 * kGib).keep, "input");
  EXPECT_THROW(within_half({}, kGib), std::invalid_argument);
}

TEST(LeanLayers, are_as_many_as_the_line_between_both_steps_says_and_one_more) {
  EXPECT_EQ(lean_layers_within(32, 18 * kGib, 10 * kGib, 17 * kGib), 5);
  EXPECT_EQ(lean_layers_within(32, 18 * kGib, 10 * kGib, 18 * kGib - 1), 2);
  EXPECT_EQ(lean_layers_within(32, 18 * kGib, 10 * kGib, 10 * kGib), 32);
  EXPECT_EQ(lean_layers_within(32, 18 * kGib, 10 * kGib, kGib), 32);
  EXPECT_THROW(lean_layers_within(32, 18 * kGib, 10 * kGib, 18 * kGib), std::invalid_argument);
  EXPECT_THROW(lean_layers_within(32, 10 * kGib, 10 * kGib, kGib), std::invalid_argument);
}

SpeedRun good_speed() {
  SpeedRun run{.shape = "8b", .tokens = 4096, .first_loss = 12.001};
  run.policies = {{.keep = "products", .seconds = 0.25, .bytes = 18 * kGib, .first_step_s = 5}};
  run.warm_first_step_s = 2;
  run.peer = {
      .method = "torch_compile", .began = {{"losses", {12.0}}}, .bytes = 40 * kGib, .chosen = "products"};
  run.packed = {.mixes = 200, .distinct_lengths = 900, .tokens_of_mixes = 100, .tokens_of_full = 100};
  for (int i = 0; i < 8; ++i) {
    run.peer.seconds.push_back(1.5 + 0.001 * i), run.peer.ours.push_back(1.0);
    run.packed.mixes_s.push_back(1.0), run.packed.full_s.push_back(0.99);
  }
  return run;
}
const SpeedWanted kWanted = {.speedup = 1.3, .mixes = 200};

TEST(SpeedEvidence, says_speedup_memory_and_packing_by_the_pairs) {
  const Json evidence = speed_evidence(good_speed(), kWanted);
  EXPECT_TRUE(evidence["faults"].empty()) << evidence["faults"];
  EXPECT_NEAR(evidence["speedup"]["median"].get<double>(), 1.5035, 1e-3);
  EXPECT_EQ(evidence["speedup"]["pairs"], 8);
  EXPECT_DOUBLE_EQ(evidence["memory_ratio"], 0.45);
  EXPECT_DOUBLE_EQ(evidence["policies"]["products"]["tokens_per_s"], 4096 / 0.25);
  EXPECT_NEAR(evidence["packed"]["rate_against_full"]["median"].get<double>(), 0.99, 1e-9);
  EXPECT_NO_THROW(without_faults(evidence));
}

TEST(SpeedEvidence, names_everything_that_was_wanted_and_not_reached) {
  const std::vector<std::pair<std::function<void(SpeedRun&)>, const char*>> worse = {
      {[](SpeedRun& r) { r.peer.ours.assign(8, 1.2); }, "1.3"},
      {[](SpeedRun& r) { r.policies[0].bytes = 21 * kGib; }, "half of torch_compile's memory"},
      {[](SpeedRun& r) { r.policies[0].first_step_s = 61; }, "first step within"},
      {[](SpeedRun& r) { r.warm_first_step_s = 5.1; }, "filled caches"},
      {[](SpeedRun& r) { r.first_loss = 12.1; }, "first loss"},
      {[](SpeedRun& r) { r.first_loss = std::nan(""); }, "first loss"},
      {[](SpeedRun& r) { r.packed.tokens_of_mixes = 95; }, "mixed lengths"},
      {[](SpeedRun& r) { r.packed.mixes = 199; }, "200 mixes"}};
  for (const auto& [change, words] : worse) {
    SpeedRun run = good_speed();
    change(run);
    const Json evidence = speed_evidence(run, kWanted);
    ASSERT_EQ(evidence["faults"].size(), 1U) << words << evidence["faults"];
    EXPECT_THAT(evidence["faults"][0].get<std::string>(), HasSubstr(words));
    EXPECT_THROW(without_faults(evidence), std::runtime_error);
  }
  SpeedRun other = good_speed();
  other.peer.chosen = "everything";
  EXPECT_THROW(speed_evidence(other, kWanted), std::invalid_argument);
}

Json counters(int searches, const std::vector<std::string>& reasons = {}) {
  return {{"searches", searches}, {"reasons", reasons}};
}
ProductsRun good_products() {
  ProductsRun run{.mixes = 200};
  for (const int winner : {0, 3})
    run.table.push_back({{"product", "m=" + std::to_string(winner)},
                         {"proposals", 8},
                         {"winner", winner},
                         {"first_us", 120.0},
                         {"winner_us", winner == 0 ? 120.0 : 100.0},
                         {"kept", false}});
  run.kept_table = run.table;
  run.counters = counters(2), run.kept_counters = counters(0);
  return run;
}

TEST(ProductsEvidence, says_what_was_tried_what_was_chosen_and_what_it_gained) {
  const Json evidence = products_evidence(good_products());
  EXPECT_TRUE(evidence["faults"].empty()) << evidence["faults"];
  EXPECT_EQ(evidence["algorithms_tried"], 16);
  EXPECT_EQ(evidence["not_the_first"], 1);
  EXPECT_DOUBLE_EQ(evidence["products"][1]["gain"], 1.2);
}

TEST(ProductsEvidence, names_a_search_where_none_should_be_and_a_table_without_choice) {
  const std::vector<std::pair<std::function<void(ProductsRun&)>, const char*>> worse = {
      {[](ProductsRun& r) { r.counters = counters(2, {"searched"}); }, "after warm-up"},
      {[](ProductsRun& r) { r.counters = counters(0); }, "before the first step"},
      {[](ProductsRun& r) { r.kept_counters = counters(1); }, "from disk"},
      {[](ProductsRun& r) { r.kept_table.erase(0); }, "kept on disk"},
      {[](ProductsRun& r) { r.mixes = 199; }, "200 mixes"},
      {[](ProductsRun& r) {
         for (Json& row : r.table) row["proposals"] = 1;
       },
       "several algorithms"}};
  for (const auto& [change, words] : worse) {
    ProductsRun run = good_products();
    change(run);
    const Json evidence = products_evidence(run);
    ASSERT_EQ(evidence["faults"].size(), 1U) << words << evidence["faults"];
    EXPECT_THAT(evidence["faults"][0].get<std::string>(), HasSubstr(words));
  }
  EXPECT_FALSE(products_evidence({.counters = counters(0), .kept_counters = counters(0)})["faults"].empty());
}

/// Losses that fall from 10 to about 5, moved by `by`; adapters that end at (3, 4 + by).
TrainedRun training(double by) {
  TrainedRun run;
  for (int i = 0; i < 60; ++i) run.losses.push_back(10.0 - i / 12.0 + by);
  run.adapters = {3.0F, static_cast<float>(4.0 + by)};
  return run;
}
const std::vector<float> kStart = {0.0F, 0.0F};

TEST(TrainingApart, is_the_root_mean_square_of_losses_and_the_share_of_the_way_gone) {
  const TrainingApart two = apart(training(0), training(0.5), kStart);
  EXPECT_NEAR(two.loss, 0.5, 1e-12);
  EXPECT_NEAR(two.adapters, 0.1, 1e-6);
  TrainedRun other = training(0);
  other.losses.pop_back();
  EXPECT_EQ(apart(training(0), other, kStart).loss, std::numeric_limits<double>::infinity());
  other = training(0);
  other.adapters[0] = std::nanf("");
  EXPECT_EQ(apart(training(0), other, kStart).adapters, std::numeric_limits<double>::infinity());
  EXPECT_EQ(apart(training(0), training(0), training(0).adapters).adapters,
            std::numeric_limits<double>::infinity())
      << "adapters that never moved say nothing";
}

TEST(TrainingEvidence, holds_a_run_to_twice_what_plain_runs_are_apart) {
  const std::vector<TrainedRun> plain = {training(0), training(0.02), training(-0.01)};
  const Json good = training_evidence(plain, training(0.059), kStart);
  EXPECT_TRUE(good["faults"].empty()) << good["faults"];
  EXPECT_NEAR(good["band"]["loss"].get<double>(), 0.03, 1e-9);
  EXPECT_EQ(good["matches"], true);
  const Json far = training_evidence(plain, training(0.061), kStart);
  EXPECT_EQ(far["matches"], false);
  EXPECT_EQ(far["faults"].size(), 2U) << "losses and adapters";
  TrainedRun broken = training(0);
  broken.losses[30] = std::nan("");
  EXPECT_EQ(training_evidence(plain, broken, kStart)["matches"], false);
  EXPECT_THROW(training_evidence({training(0)}, training(0), kStart), std::invalid_argument);
}

TEST(TrainingEvidence, wants_a_loss_that_fell_and_a_band_narrower_than_what_was_learned) {
  TrainedRun flat = training(0);
  flat.losses.assign(60, 10.0);
  TrainedRun near = flat;
  near.losses[0] = 10.001, near.adapters[0] += 0.001F;
  EXPECT_EQ(training_evidence({flat, near}, flat, kStart)["fell"], false);
  const Json wide = training_evidence({training(0), training(1)}, training(0.5), kStart);
  EXPECT_EQ(wide["matches"], true);
  EXPECT_EQ(wide["faults"].size(), 1U) << wide["faults"];
  TrainedRun shorter = training(0);
  shorter.losses.resize(3);
  EXPECT_FALSE(training_evidence({shorter, shorter}, shorter, kStart)["faults"].empty());
}

}  // namespace
}  // namespace assay::suites::compile
