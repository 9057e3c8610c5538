// SPDX-License-Identifier: Apache-2.0
// Evidence from reports made by hand; that run.py itself sees faults is tests/python/test_hf_llama.py's.
#include "suites/compile/torch_compile/check.hpp"

#include <gtest/gtest.h>

#include "harness/core/registry.hpp"
#include "harness/record/provenance.hpp"

namespace assay::suites::compile {
namespace {

using json = nlohmann::ordered_json;

json report(int graphs, int mixes) {
  return {{"faults", json::array()},
          {"graph_breaks", 0},
          {"graphs", graphs},
          {"recompilations_after_warm_up", 0},
          {"programs_after_warm_up", 0},
          {"length_mixes", mixes},
          {"loss_limit", 2e-6},
          {"loss_rms_error", {{"plain", 1e-6}, {"compiled", 1.9e-6}, {"uncompiled", 1.2e-6}}},
          {"operators", {{"assay.rope", 2}, {"assay.swiglu", 4}}}};
}

TEST(HfLlamaEvidence, takes_the_most_graphs_the_first_runs_mixes_and_the_least_operators) {
  json other = report(3, 8);
  other["operators"] = {{"assay.rope", 1}};
  const json evidence = hf_llama_evidence({report(2, 40), other});
  EXPECT_EQ(evidence["graphs"], 3);
  EXPECT_EQ(evidence["length_mixes"], 40);
  EXPECT_EQ(evidence["loss_matches"], true);
  EXPECT_EQ(evidence["operators"]["assay.rope"], 1);
  EXPECT_EQ(evidence["operators"]["assay.swiglu"], 0);
  EXPECT_EQ(evidence["runs"].size(), 2u);
}

TEST(HfLlamaEvidence, counts_of_all_runs_are_added) {
  json other = report(2, 8);
  other["graph_breaks"] = 1, other["recompilations_after_warm_up"] = 2;
  const json evidence = hf_llama_evidence({report(2, 40), other});
  EXPECT_EQ(evidence["graph_breaks"], 1);
  EXPECT_EQ(evidence["recompilations_after_warm_up"], 2);
}

TEST(HfLlamaEvidence, a_loss_outside_its_band_does_not_match) {
  json other = report(2, 8);
  other["loss_rms_error"]["uncompiled"] = 2.1e-6;
  EXPECT_EQ(hf_llama_evidence({report(2, 40), other})["loss_matches"], false);
}

TEST(HfLlamaEvidence, a_fault_and_a_report_that_lacks_something_are_refused) {
  json faulty = report(2, 40);
  faulty["faults"].push_back("expected no graph breaks, found one");
  EXPECT_THROW(hf_llama_evidence({report(2, 40), faulty}), std::runtime_error);
  for (const char* field : {"faults", "graphs", "graph_breaks", "length_mixes", "loss_limit", "operators"}) {
    json lacking = report(2, 40);
    lacking.erase(field);
    EXPECT_THROW(hf_llama_evidence({lacking}), std::runtime_error) << field;
  }
  json no_number = report(2, 40);
  no_number["loss_rms_error"]["compiled"] = nullptr;
  EXPECT_THROW(hf_llama_evidence({no_number}), std::runtime_error) << "JSON's word for what is not finite";
  EXPECT_THROW(hf_llama_evidence({}), std::runtime_error);
}

TEST(TorchCompileChallenge, has_the_check_and_sources_that_make_it_stale) {
  const harness::Challenge& challenge = harness::Registry::instance().challenge(kTorchCompile);
  ASSERT_EQ(challenge.checks.size(), 1u);
  EXPECT_EQ(challenge.checks.front().name, kHfLlama);
  ASSERT_EQ(challenge.implementations.size(), 1u);
  EXPECT_EQ(challenge.implementations.front().name, challenge.checks.front().subject);
  EXPECT_NO_THROW(harness::sources_sha256(challenge.implementations.front().sources));
}

}  // namespace
}  // namespace assay::suites::compile
