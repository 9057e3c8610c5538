// SPDX-License-Identifier: Apache-2.0
// The worked examples of docs/examples, and this program's own implementations behind the same door.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/device/device.hpp"
#include "tests/candidates/door.hpp"

namespace assay::tests {
namespace {

using harness::Passed;
using harness::Skipped;
using testing::HasSubstr;

/// All small cases: every dtype, block size and tail, nested and single level; FP4 is skipped with a reason.
void expect_small_cases_pass(const std::string& candidate) {
  const Judged judged = judge("verify nf4/dequantize --quick --device cpu --candidate '" + candidate + "'");
  EXPECT_EQ(judged.exit_status, 0) << judged.printed;
  int passed = 0;
  for (const harness::Record& record : judged.file.records) {
    const bool fp4 = record.case_name.find("/fp4") != std::string::npos;
    passed += fp4 ? 0 : 1;
    EXPECT_EQ(outcome_name(record.outcome), fp4 ? "skipped" : "passed") << record.case_name << judged.printed;
  }
  EXPECT_GE(passed, 20);
}

TEST(CandidateExamples, the_library_in_c_passes_every_small_case) {
  expect_small_cases_pass(hostile("nf4_candidate"));
}

TEST(CandidateExamples, the_python_command_passes_every_small_case) {
  if (!python_has_numpy())
    GTEST_SKIP() << "this Python has no numpy: pip install numpy";
  expect_small_cases_pass("cmd:" + python() + " " + example("nf4_candidate.py"));
}

TEST(CandidateExamples, the_triton_command_says_what_it_needs_where_there_is_no_gpu) {
  const Judged judged = verify_small("cmd:" + python() + " " + example("nf4_candidate_triton.py"));
  ASSERT_TRUE(std::holds_alternative<Skipped>(judged.row().outcome)) << judged.printed;
  EXPECT_THAT(outcome_reason(judged.row().outcome), HasSubstr("needs a GPU"));
}

TEST(GpuCandidateExamples, the_triton_command_passes_every_small_case_on_a_gpu) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  const Judged judged =
      judge("verify nf4/dequantize --quick --device cuda --time-limit 120 --candidate 'cmd:" + python() +
            " " + example("nf4_candidate_triton.py") + "'");
  EXPECT_EQ(judged.exit_status, 0) << judged.printed;
}

TEST(CandidateExamples, a_candidate_named_as_an_implementation_is_refused) {
  int status = 0;
  const std::string text = printed_by("verify nf4 --device cpu --candidate 'cmd:cpu_simd'", &status);
  EXPECT_EQ(status, 2);
  EXPECT_THAT(text, HasSubstr("has an implementation named 'cpu_simd'"));
}

TEST(CandidateExamples, a_file_that_is_not_there_is_refused) {
  int status = 0;
  const std::string text = printed_by("verify nf4 --device cpu --candidate none.so", &status);
  EXPECT_EQ(status, 2);
  EXPECT_THAT(text, HasSubstr("found no file 'none.so'"));
}

TEST(CandidateExamples, limits_without_a_process_to_limit_are_refused) {
  int status = 0;
  const std::string text = printed_by("verify nf4 --device cpu --time-limit 5", &status);
  EXPECT_EQ(status, 2);
  EXPECT_THAT(text, HasSubstr("are of --candidate or --isolate"));
}

TEST(CandidateExamples, a_filter_that_selects_no_case_it_could_be_judged_on_is_refused) {
  int status = 0;
  const std::string text =
      printed_by("verify nf4/matmul --device cpu --candidate " + hostile("nf4_candidate"), &status);
  EXPECT_EQ(status, 2);
  EXPECT_THAT(text, HasSubstr("expected a filter that selects cases of nf4/dequantize"));
}

TEST(IsolatedImplementations, own_implementations_are_judged_in_processes_of_their_own) {
  int status = 0;
  const std::string text =
      printed_by("bench 'nf4/dequantize/1x16385*' --device cpu --isolate --benchmark_min_time=0.01", &status);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("/cpu_simd/manual_time"));
  EXPECT_THAT(text, HasSubstr("speedup="));
  EXPECT_THAT(text, testing::Not(HasSubstr("ERROR"))) << text;
}

TEST(GpuIsolatedImplementations, own_implementations_pass_in_processes_of_their_own_on_a_gpu) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  const Judged judged = judge("verify 'nf4/dequantize/1x16385*' --device cuda --isolate");
  EXPECT_EQ(judged.exit_status, 0) << judged.printed;
}

}  // namespace
}  // namespace assay::tests
