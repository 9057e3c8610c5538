// SPDX-License-Identifier: Apache-2.0
// Listing order, refusal of double and orphaned names, and filters.
#include "harness/core/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Challenge challenge_named(const std::string& name) {
  Challenge challenge;
  challenge.name = name;
  return challenge;
}

Implementation implementation_named(const std::string& name, Role role = Role::kCandidate) {
  Implementation implementation;
  implementation.name = name;
  implementation.role = role;
  return implementation;
}

void expect_refused(Registry& registry, const std::string& part_of_message) {
  try {
    registry.challenges();
    FAIL() << "accepted";
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(part_of_message));
  }
}

TEST(Registry, lists_by_role_then_name_whatever_the_order_of_registration) {
  Registry registry;
  registry.add_implementation("b/x", [] { return implementation_named("no_op", Role::kMutant); });
  registry.add_implementation("b/x", [] { return implementation_named("outside", Role::kPeer); });
  registry.add_implementation("b/x", [] { return implementation_named("zeta"); });
  registry.add_implementation("b/x", [] { return implementation_named("alpha"); });
  registry.add_implementation("b/x", [] { return implementation_named("plain", Role::kBaseline); });
  registry.add_challenge([] { return challenge_named("b/x"); });
  registry.add_challenge([] { return challenge_named("a/y"); });

  const std::vector<Challenge>& listed = registry.challenges();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].name, "a/y");
  std::vector<std::string> names;
  for (const Implementation& each : listed[1].implementations) {
    names.push_back(each.name);
  }
  EXPECT_THAT(names, ElementsAre("plain", "alpha", "zeta", "outside", "no_op"));
}

TEST(Registry, only_peers_may_bring_a_tolerance_of_their_own) {
  for (const Role role : {Role::kPeer, Role::kCandidate}) {
    Registry registry;
    registry.add_challenge([] { return challenge_named("a"); });
    registry.add_implementation("a", [role] {
      Implementation lenient = implementation_named("lenient", role);
      lenient.own_k = 100.0;
      return lenient;
    });
    if (role == Role::kPeer) {
      EXPECT_NO_THROW(registry.challenges());
    } else {
      EXPECT_THROW(registry.challenges(), std::logic_error);
    }
  }
}

TEST(Registry, keeps_implementations_that_the_challenge_brings_along) {
  Registry registry;
  registry.add_challenge([] {
    Challenge challenge = challenge_named("a");
    challenge.implementations.push_back(implementation_named("own"));
    return challenge;
  });
  registry.add_implementation("a", [] { return implementation_named("added"); });
  EXPECT_EQ(registry.challenges().front().implementations.size(), 2u);
}

TEST(Registry, makers_run_once_and_not_before_the_listing_is_asked_for) {
  Registry registry;
  int runs = 0;
  registry.add_challenge([&] { return ++runs, challenge_named("a"); });
  EXPECT_EQ(runs, 0);
  registry.challenges();
  registry.challenges();
  EXPECT_EQ(runs, 1);
}

TEST(Registry, two_challenges_of_one_name_are_refused) {
  Registry registry;
  registry.add_challenge([] { return challenge_named("a"); });
  registry.add_challenge([] { return challenge_named("a"); });
  expect_refused(registry, "'a'");
}

TEST(Registry, two_implementations_of_one_name_are_refused_even_in_different_roles) {
  Registry registry;
  registry.add_challenge([] { return challenge_named("a"); });
  registry.add_implementation("a", [] { return implementation_named("twin", Role::kBaseline); });
  registry.add_implementation("a", [] { return implementation_named("twin", Role::kCandidate); });
  expect_refused(registry, "'twin'");
}

TEST(Registry, two_cases_of_one_name_are_refused) {
  Registry registry;
  registry.add_challenge([] {
    Challenge challenge = challenge_named("a");
    Case one;
    one.name = "64x64/bf16";
    challenge.cases = {one, one};
    return challenge;
  });
  expect_refused(registry, "'64x64/bf16'");
}

TEST(Registry, an_implementation_of_an_unknown_challenge_is_refused_and_the_known_ones_are_listed) {
  Registry registry;
  registry.add_challenge([] { return challenge_named("nf4/dequantize"); });
  registry.add_implementation("nf4/dequantise", [] { return implementation_named("lost"); });
  expect_refused(registry, "known: nf4/dequantize");
}

TEST(Registry, registering_after_the_listing_was_built_is_refused) {
  Registry registry;
  registry.challenges();
  EXPECT_THROW(registry.add_challenge([] { return challenge_named("late"); }), std::logic_error);
  EXPECT_THROW(registry.add_implementation("a", [] { return implementation_named("late"); }),
               std::logic_error);
}

TEST(Registry, a_challenge_is_found_by_its_whole_name) {
  Registry registry;
  registry.add_challenge([] { return challenge_named("nf4/dequantize"); });
  EXPECT_EQ(registry.challenge("nf4/dequantize").name, "nf4/dequantize");
  EXPECT_THROW(registry.challenge("nf4"), std::out_of_range);
}

TEST(Registry, a_static_registration_reaches_the_one_instance) {
  const RegisterChallenge challenge([] { return challenge_named("test/static"); });
  const RegisterImplementation implementation("test/static", [] { return implementation_named("here"); });
  const std::vector<Challenge>& listed = Registry::instance().challenges();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].implementations.at(0).name, "here");
}

constexpr const char* kPath = "nf4/dequantize/4096x14336/bf16/seed3408/cuda_fused";

struct FilterCase {
  std::string filter;
  bool expected;
};
class Filter : public ::testing::TestWithParam<FilterCase> {};

TEST_P(Filter, matches_as_documented) {
  EXPECT_EQ(matches({GetParam().filter}, kPath), GetParam().expected) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(
    Paths, Filter,
    ::testing::Values(FilterCase{kPath, true}, FilterCase{"nf4", true}, FilterCase{"nf4/", true},
                      FilterCase{"nf4/*", true}, FilterCase{"nf4/dequantize", true},
                      FilterCase{"nf4/dequantize/4096x14336/bf16", true}, FilterCase{"nf", false},
                      FilterCase{"nf4/dequant", false}, FilterCase{"dequantize", false},
                      FilterCase{"*/cuda_fused", true}, FilterCase{"*cuda_fused", true},
                      FilterCase{"*", true}, FilterCase{"**", true}, FilterCase{"*/f16/*", false},
                      FilterCase{"*/bf16/*", true}, FilterCase{"nf4/*/cuda_*", true},
                      FilterCase{"*/cuda_fuse", false}, FilterCase{"*/cuda_fuse?", true},
                      FilterCase{"*/cuda_fused?", false}, FilterCase{"nf?/*", true},
                      FilterCase{"nf4/*fused*bf16*", false}, FilterCase{"*x14336*seed34*", true},
                      FilterCase{std::string(kPath) + "/more", false}, FilterCase{"NF4", false}));

TEST(Filters, none_means_everything_and_several_are_alternatives) {
  EXPECT_TRUE(matches({}, kPath));
  EXPECT_TRUE(matches({"backprop", "nf4"}, kPath));
  EXPECT_FALSE(matches({"backprop", "fsdp"}, kPath));
}

TEST(Filters, many_stars_over_a_long_path_stay_fast) {
  std::string filter;
  for (int i = 0; i < 40; ++i) {
    filter += "*a";
  }
  EXPECT_FALSE(matches({filter + "b"}, std::string(20000, 'a')));
}

}  // namespace
}  // namespace assay::harness
