// SPDX-License-Identifier: Apache-2.0
// Reads this very program: sample_kernels_test.cu is built into it for every architecture of the build.
#include "harness/inspect/inspect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "harness/core/challenge.hpp"
#include "harness/inspect/tool.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

/// Sample kernel -> its code for every architecture of machine code in this program.
using SampleCode = std::map<std::string, std::vector<KernelCode>>;

SampleCode read_samples() {
  SampleCode samples;
  constexpr std::string_view kPrefix = "assay::harness::sample::";
  for (const KernelCode& code : read_code(fs::read_symlink("/proc/self/exe"))) {
    if (code.kernel.starts_with(kPrefix)) {
      samples[code.kernel.substr(kPrefix.size())].push_back(code);
    }
  }
  return samples;
}

void expect_streaming_copy(const KernelCode& code) {
  EXPECT_EQ(code.widest_global_load(), 16);
  EXPECT_EQ(code.widest_global_store(), 16);
  EXPECT_EQ(code.cache_hints.count("LDG.NA"), 1u);
  EXPECT_EQ(code.cache_hints.count("STG.EF"), 1u);
  EXPECT_EQ(code.cache_hints.count("LDG.L2POLICY"), code.arch == "sm_75" ? 0u : 1u);
  EXPECT_EQ(code.cache_hints.count("STG.L2POLICY"), 0u);
  EXPECT_TRUE(code.no_local_memory());
}

void expect_byte_copy(const KernelCode& code) {
  EXPECT_EQ(code.global_loads, (std::map<int, int>{{1, 1}}));
  EXPECT_EQ(code.global_stores, (std::map<int, int>{{1, 1}}));
  EXPECT_THAT(code.cache_hints, testing::IsEmpty());
  EXPECT_THAT(code.matrix_instructions, testing::IsEmpty());
}

void expect_local_array(const KernelCode& code) {
  EXPECT_EQ(code.stack_bytes, 128);
  EXPECT_GT(code.local_loads, 0);
  EXPECT_GT(code.local_stores, 0);
  EXPECT_GT(code.fused_multiply_adds, 0);
  EXPECT_FALSE(code.no_local_memory());
}

void expect_matrix_product(const KernelCode& code) {
  ASSERT_FALSE(code.matrix_instructions.empty());
  EXPECT_THAT(code.matrix_instructions.begin()->first, testing::StartsWith("HMMA."));
  EXPECT_THAT(code.shared_bytes, testing::AnyOf(4096, 4096 + 1024));
}

// One test, because disassembling takes a second a target and ctest starts a process a test.
TEST(InspectBinary, sample_kernels_are_what_their_source_says_on_every_architecture) {
  const std::map<std::string, void (*)(const KernelCode&)> expectations = {
      {"streaming_copy_kernel<128>", expect_streaming_copy},
      {"byte_copy_kernel", expect_byte_copy},
      {"local_array_kernel", expect_local_array},
      {"matrix_kernel", expect_matrix_product}};
  std::vector<std::string> targets;
  SampleCode samples;
  try {
    targets = read_targets(fs::read_symlink("/proc/self/exe")).sass;
    samples = read_samples();
  } catch (const Skip& reason) {
    GTEST_SKIP() << reason.what();
  }
  for (const auto& [kernel, expect] : expectations) {
    std::set<std::string> archs;
    for (const KernelCode& code : samples[kernel]) {
      SCOPED_TRACE(kernel + " on " + code.arch);
      EXPECT_GT(code.registers, 0);
      EXPECT_GT(code.instructions, 5);
      expect(code);
      archs.insert(code.arch);
    }
    EXPECT_EQ(archs, std::set<std::string>(targets.begin(), targets.end())) << kernel;
  }
}

TEST(InspectEvidence, is_one_json_object_a_kernel_and_architecture) {
  KernelCode code;
  code.kernel = "a::k<1>";
  code.arch = "sm_80";
  code.global_loads = {{1, 2}, {16, 3}};
  code.cache_hints = {{"LDG.NA", 3}};
  const auto evidence = nlohmann::json::parse(to_json({code, code}));
  ASSERT_EQ(evidence.size(), 2u);
  EXPECT_EQ(evidence[0]["kernel"], "a::k<1>");
  EXPECT_EQ(evidence[0]["widest_global_load_bytes"], 16);
  EXPECT_EQ(evidence[0]["global_loads_by_bytes"]["1"], 2);
  EXPECT_EQ(evidence[0]["widest_global_store_bytes"], 0);
  EXPECT_EQ(evidence[0]["cache_hints"]["LDG.NA"], 3);
}

class InspectFile : public testing::Test {
 protected:
  void SetUp() override {
    try {
      find_cuobjdump();
    } catch (const Skip& reason) {
      GTEST_SKIP() << reason.what();
    }
    std::ofstream(file_) << "no binary at all\n";
  }
  void TearDown() override { fs::remove(file_); }

  // One file a process: ctest runs the tests of this fixture at the same time.
  const fs::path file_ = fs::path(testing::TempDir()) /
                         ("assay inspect 'odd' name " + std::to_string(::getpid()) + ".txt");
};

TEST_F(InspectFile, file_without_gpu_code_has_no_kernels) {
  EXPECT_THAT(read_code(file_), testing::IsEmpty());
  EXPECT_THAT(read_targets(file_).sass, testing::IsEmpty());
}

TEST_F(InspectFile, missing_file_is_named) {
  EXPECT_THAT([] { read_code(fs::path("/no/such/binary")); },
              testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr("/no/such/binary")));
}

TEST(RunProgram, returns_both_outputs_and_the_exit_status) {
  int exit_code = -1;
  EXPECT_EQ(run_program({"/bin/sh", "-c", "printf out; printf err >&2; exit 7"}, exit_code), "outerr");
  EXPECT_EQ(exit_code, 7);
}

TEST(RunProgram, output_larger_than_a_pipe_arrives_whole) {
  int exit_code = -1;
  const std::string text =
      run_program({"/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"}, exit_code);
  EXPECT_EQ(text, std::string(1'000'000, 'x'));
}

TEST(RunProgram, missing_and_killed_programs_are_errors) {
  int exit_code = -1;
  EXPECT_THROW(run_program({"/no/such/program"}, exit_code), std::runtime_error);
  EXPECT_THROW(run_program({"/bin/sh", "-c", "kill -9 $$"}, exit_code), std::runtime_error);
}

}  // namespace
}  // namespace assay::harness
