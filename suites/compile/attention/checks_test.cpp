// SPDX-License-Identifier: Apache-2.0
// The check of lengths: its mixes, and runs that are no proof.
#include "suites/compile/attention/checks.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "harness/core/challenge.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/attention/example_mods.hpp"

namespace assay::suites::compile {
namespace {

namespace ours = kernels::attention;

const LengthsSeen kProof{.mixes = 210, .packed = 105, .distinct_lengths = 300, .programs = 6};

TEST(AttentionLengths, mixes_are_many_and_no_two_alike) {
  std::set<std::vector<std::int64_t>> mixes;
  int packed = 0;
  for (const AttentionCase& c : length_mixes()) {
    EXPECT_TRUE(mixes.insert(lengths_of(c)).second);
    EXPECT_TRUE(c.packed || c.tokens % c.length == 0);
    packed += c.packed;
  }
  EXPECT_GE(mixes.size(), 200u);
  EXPECT_GE(packed, 100);
}

TEST(AttentionLengths, evidence_says_what_was_compiled) {
  const auto evidence = nlohmann::json::parse(lengths_evidence(kProof));
  EXPECT_EQ(evidence["dynamic_lengths"], true);
  EXPECT_EQ(evidence["at_most_30_programs"], true);
  EXPECT_EQ(evidence["programs_compiled"], 6);
  EXPECT_EQ(evidence["recompilations"], 0);
}

TEST(AttentionLengths, runs_that_are_no_proof_fail) {
  const auto fails = [](void (*spoil)(LengthsSeen&)) {
    LengthsSeen seen = kProof;
    spoil(seen);
    EXPECT_THROW(lengths_evidence(seen), std::runtime_error);
  };
  fails([](LengthsSeen& seen) { seen.compiled_later = 1; });
  fails([](LengthsSeen& seen) { seen.programs = 0; });  // counters that count nothing
  fails([](LengthsSeen& seen) { seen.programs = 31; });
  fails([](LengthsSeen& seen) { seen.mixes = 199; });
}

TEST(AttentionLengths, a_cpu_alone_is_no_proof) {
  EXPECT_THROW(attention_checks().front().run({}), harness::Skip);
}

/// The planted fault: a window written into the text instead of read from memory.
TEST(AttentionLengths, a_length_baked_into_a_mod_is_a_compilation) {
  const auto compiler = std::make_shared<ours::Compiler>();
  const auto compilations = [&](const ours::Mods& mods) {
    ours::FlexAttention(compiler, mods, {64, ours::ElementType::kFloat16}, {80, false}).prepare();
    return compiler->counters().compilations;
  };
  const auto baked = [](const char* window) {
    return ours::Mods{.mask_mod = std::string("bool mask_mod(int b, int h, int q, int k, const Buffers&) { "
                                              "return k <= q && q - k <= ") +
                                  window + "; }"};
  };
  EXPECT_EQ(compilations(ours::sliding_window()), 2);
  EXPECT_EQ(compilations(ours::sliding_window()), 2);
  EXPECT_EQ(compilations(baked("100")), 4);
  EXPECT_EQ(compilations(baked("101")), 6);
}

}  // namespace
}  // namespace assay::suites::compile
