// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::compile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr WorkDone kNothing{};

TEST(StepWatch, warm_up_is_counted_and_needs_no_reason) {
  for (const bool fails : {false, true}) {
    StepWatch watch(fails);
    watch.capture("the first");
    watch.add({.compilations = 3, .programs_loaded = 1, .searches = 10},
              {.compilations = 5, .programs_loaded = 2, .searches = 30});
    watch.add_wait();
    watch.warmed_up();
    watch.add_step();
    const StepCounters& c = watch.counters();
    EXPECT_EQ(c.captures, 1);
    EXPECT_EQ(c.compilations, 2);
    EXPECT_EQ(c.programs_loaded, 1);
    EXPECT_EQ(c.searches, 20);
    EXPECT_EQ(c.waits, 1);
    EXPECT_EQ(c.steps, 1);
    EXPECT_TRUE(c.reasons.empty());
  }
}

TEST(StepWatch, what_comes_later_has_its_reason) {
  StepWatch watch(false);
  watch.warmed_up();
  watch.capture("'norm' moved");
  watch.add(kNothing, {.compilations = 2});
  watch.add(kNothing, {.searches = 1});
  watch.add(kNothing, {.programs_loaded = 4});
  watch.add(kNothing, kNothing);
  EXPECT_THAT(watch.counters().reasons,
              ElementsAre(HasSubstr("'norm' moved"), HasSubstr("2 compilations"), HasSubstr("1 searches")));
  EXPECT_EQ(watch.counters().captures, 1);
}

TEST(StepWatch, where_only_replays_may_come_each_of_the_three_fails) {
  StepWatch watch(true);
  watch.warmed_up();
  try {
    watch.capture("'norm' moved");
    FAIL() << "captured after warm-up";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'norm' moved"));
  }
  EXPECT_THROW(watch.add(kNothing, {.compilations = 1}), std::runtime_error);
  EXPECT_THROW(watch.add(kNothing, {.searches = 1}), std::runtime_error);
  EXPECT_NO_THROW(watch.add(kNothing, kNothing));
  EXPECT_EQ(watch.counters().captures, 0);
  EXPECT_EQ(watch.counters().compilations, 1) << "it happened";
}

}  // namespace
}  // namespace assay::kernels::compile
