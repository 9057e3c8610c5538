// SPDX-License-Identifier: Apache-2.0
// The wrong implementations are wrong in their fault alone and each is linked; that each is rejected by the
// check it names is asserted together with the right ones (suite_test.cpp).
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "harness/core/registry.hpp"
#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

TEST(BackpropMutants, every_file_is_linked_for_both_devices) {
  const std::filesystem::path folder = ASSAY_MUTANTS;
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "the sources are not on this machine";
  std::set<std::string> expected, found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem().string();
    if (stem != "mutant" && !stem.ends_with("_test"))
      expected.insert({stem, stem + "_cpu"});
  }
  for (const harness::Challenge& challenge : harness::Registry::instance().challenges()) {
    for (const harness::Implementation& each : challenge.implementations) {
      if (challenge.suite == "backprop" && each.role == harness::Role::kMutant)
        found.insert(each.name);
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(BackpropMutants, the_steps_that_mutants_share_are_right) {
  const harness::Challenge& challenge =
      harness::Registry::instance().challenge(challenge_name(LossKind::kCrossEntropy));
  int judged = 0;
  for (const harness::Case& which : challenge.cases) {
    const BackpropCase& c = parameters_of(which);
    if (!which.quick || !is_plain_cross_entropy(c) || c.dtype != harness::Dtype::kFloat32)
      continue;
    const harness::TensorSet inputs = make_inputs(which, 5);
    const harness::Oracle oracle = scalar_oracle(c, inputs);
    const auto out = right_cross_entropy(c, tensors_of(c, inputs));
    const auto specs = outputs_of(c);
    for (std::size_t i = 0; i < specs.size(); ++i) {
      std::vector<double> truth(static_cast<std::size_t>(out[i].numel()));
      oracle.truth(specs[i].name, 0, truth);
      double error = 0.0, norm = 0.0;
      for (std::size_t k = 0; k < truth.size(); ++k) {
        const double difference = out[i].view({-1}).data_ptr<float>()[k] - truth[k];
        error += difference * difference, norm += truth[k] * truth[k];
      }
      EXPECT_LE(error, 1e-12 * norm) << specs[i].name;
      ++judged;
    }
  }
  EXPECT_GE(judged, 3);
}

}  // namespace
}  // namespace assay::suites::backprop::mutants
