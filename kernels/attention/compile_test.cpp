// SPDX-License-Identifier: Apache-2.0
// Example mods for all architectures and types, without a GPU: they compile, and the assembler spills nothing
// worth speaking of. Caches, counters, messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "kernels/attention/compiler.hpp"
#include "kernels/attention/example_mods.hpp"
#include "kernels/attention/nvrtc.hpp"
#include "kernels/attention/program_source.hpp"

namespace assay::kernels::attention {
namespace {

namespace fs = std::filesystem;

constexpr int kArchitectures[] = {75, 80, 86, 89, 90, 100, 120};

struct Kernel {
  std::string name;
  int registers = 0, spilled_bytes = 0, stack_bytes = 0;
};

/// From the assembler's log: "Compiling entry function 'x'", "8 bytes stack frame, 8 bytes spill stores …",
/// "Used 96 registers".
std::vector<Kernel> kernels_of(const std::string& log) {
  static const std::regex kName("Compiling entry function '(\\w+)'"), kSpill("(\\d+) bytes spill stores"),
      kStack("(\\d+) bytes stack frame"), kUsed("Used (\\d+) registers");
  std::vector<Kernel> kernels;
  std::istringstream lines(log);
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_search(line, match, kName))
      kernels.push_back({match[1]});
    if (!kernels.empty() && std::regex_search(line, match, kStack))
      kernels.back().stack_bytes = std::stoi(match[1]);
    if (!kernels.empty() && std::regex_search(line, match, kSpill))
      kernels.back().spilled_bytes = std::stoi(match[1]);
    else if (!kernels.empty() && std::regex_search(line, match, kUsed))
      kernels.back().registers = std::stoi(match[1]);
  }
  return kernels;
}

struct Point {
  NamedMods named;
  int sm = 80;
  HeadType head;

  std::string name() const {
    return named.name + "_sm" + std::to_string(sm) + "_d" + std::to_string(head.head_size) +
           (head.type == ElementType::kFloat16 ? "_f16" : "_bf16");
  }
};
void PrintTo(const Point& point, std::ostream* out) {
  *out << point.name();
}

std::vector<Point> all_points() {
  std::vector<Point> points;
  for (const int sm : kArchitectures)
    for (const NamedMods& named : example_mods())
      for (const int size : {64, 128})
        for (const ElementType type : {ElementType::kFloat16, ElementType::kBfloat16})
          if (sm >= 80 || type == ElementType::kFloat16)
            points.push_back({named, sm, {size, type}});
  return points;
}

/// Every example with bf16 and one head size for sm_80, the other for sm_90a; every example for one other
/// architecture, causal for all of them; types and sizes by turns.
std::vector<Point> sampled_points() {
  const std::vector<NamedMods> examples = example_mods();
  const int others[] = {75, 86, 89, 100, 120};
  std::vector<Point> points;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    for (const int sm : {80, 90})
      points.push_back({examples[i], sm, {(i % 2 == 0) == (sm == 80) ? 64 : 128, ElementType::kBfloat16}});
    for (std::size_t other = 0; other < std::size(others); ++other)
      if (i % std::size(others) == other || examples[i].name == "causal")
        points.push_back({examples[i],
                          others[other],
                          {i % 2 == 0 ? 128 : 64, others[other] < 80 || i / std::size(others) % 2 == 0
                                                      ? ElementType::kFloat16
                                                      : ElementType::kBfloat16}});
  }
  return points;
}

/// No spills where the docs promise none. Mods that load an element for every pair keep many loads under way:
/// a few bytes around the loops, measured on the whole table, CUDA 13.0.
int spill_limit(const Point& point) {
  const std::string& name = point.named.name;
  const bool loads =
      name == "relative_bias" || name == "full_bias" || name == "prefix_lm" || name == "document";
  if (point.sm == 90 && !point.named.mods.mask_mod.empty() && !loads)
    return 48;  // warpgroup kernels: what rarely changes, and in the partial blocks' code
  return (point.sm == 80 || point.sm == 90) && !loads ? 0 : point.sm == 90 ? 256 : 128;
}

void expect_compiles_into_registers(const Point& point) {
  SCOPED_TRACE(point.name());
  Compiler compiler;
  const auto& [named, sm, head] = point;
  const Target target{sm, false};
  const Tilings tilings = choose_tilings(head, target, named.mods.learnable > 0);
  for (const std::string& source :
       {forward_source(named.mods, head, tilings), backward_source(named.mods, head, tilings)}) {
    const auto image = compiler.image(source, target, texts_of(named.mods));
    EXPECT_EQ(image->log.find("serialized"), std::string::npos)
        << "products of warpgroups must not wait for each other";
    EXPECT_GT(image->code.size(), 1000u);
    const std::vector<Kernel> kernels = kernels_of(image->log);
    EXPECT_EQ(kernels.size(), 4u) << image->log;
    for (const Kernel& kernel : kernels) {
      EXPECT_GT(kernel.registers, 0) << kernel.name;
      EXPECT_LE(kernel.stack_bytes, spill_limit(point)) << kernel.name << ": something lives in local memory";
      EXPECT_LE(kernel.spilled_bytes, spill_limit(point))
          << kernel.name << ", " << kernel.registers << " registers";
    }
  }
}

class AttentionPrograms : public ::testing::TestWithParam<Point> {};

TEST_P(AttentionPrograms, compile_without_a_gpu_and_keep_their_sums_in_registers) {
  expect_compiles_into_registers(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Sampled, AttentionPrograms, ::testing::ValuesIn(sampled_points()),
                         [](const auto& info) { return info.param.name(); });
// Eight minutes: --gtest_also_run_disabled_tests.
TEST(AttentionProgramsTable, DISABLED_every_example_for_every_gpu_size_and_type) {
  for (const Point& point : all_points()) expect_compiles_into_registers(point);
}

const HeadType kHead{64, ElementType::kFloat16};
const Target kTarget{80, false};

std::string source_of(const Mods& mods) {
  return forward_source(mods, kHead, choose_tilings(kHead, kTarget));
}

class CompilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("assay_attention_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) +
         std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path only_file() const {
    std::vector<fs::path> files(fs::directory_iterator(folder_), fs::directory_iterator{});
    EXPECT_EQ(files.size(), 1u);
    return files.at(0);
  }
  fs::path folder_;
};

TEST_F(CompilerTest, a_program_is_compiled_once_and_then_found_in_memory_and_on_disk) {
  const std::string source = source_of(causal());
  Compiler first(folder_);
  const auto image = first.image(source, kTarget, {});
  EXPECT_EQ(first.image(source, kTarget, {}), image);
  EXPECT_EQ(first.counters().compilations, 1);
  EXPECT_EQ(first.counters().memory_hits, 1);
  Compiler second(folder_);
  EXPECT_EQ(second.image(source, kTarget, {})->code, image->code);
  EXPECT_EQ(second.counters().compilations, 0);
  EXPECT_EQ(second.counters().disk_loads, 1);
}

TEST_F(CompilerTest, another_architecture_mod_or_tiling_is_another_program) {
  Compiler compiler(folder_);
  Tilings tilings = choose_tilings(kHead, kTarget);
  compiler.image(forward_source(causal(), kHead, tilings), kTarget, {});
  compiler.image(forward_source(causal(), kHead, tilings), {86, false}, {});
  compiler.image(forward_source(sliding_window(), kHead, tilings), kTarget, {});
  tilings.forward.tile_k = 32;
  compiler.image(forward_source(causal(), kHead, tilings), kTarget, {});
  EXPECT_EQ(compiler.counters().compilations, 4);
}

TEST_F(CompilerTest, a_damaged_file_is_compiled_again_and_replaced) {
  const std::string source = source_of(causal());
  const std::string code = Compiler(folder_).image(source, kTarget, {})->code;
  const fs::path file = only_file();
  for (const std::uintmax_t size : {fs::file_size(file) - 1, std::uintmax_t{10}, std::uintmax_t{0}}) {
    fs::resize_file(file, size);
    Compiler compiler(folder_);
    EXPECT_EQ(compiler.image(source, kTarget, {})->code, code);
    EXPECT_EQ(compiler.counters().rejected_files, 1);
    EXPECT_EQ(compiler.counters().compilations, 1);
  }
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(400).put('!');
  Compiler compiler(folder_);
  EXPECT_EQ(compiler.image(source, kTarget, {})->code, code);
  EXPECT_EQ(compiler.counters().rejected_files, 1);
  EXPECT_EQ(Compiler(folder_).image(source, kTarget, {})->code, code);
  EXPECT_EQ(only_file(), file);
}

TEST_F(CompilerTest, a_file_of_another_program_under_this_name_is_compiled_again) {
  const std::string source = source_of(causal());
  const std::string code = Compiler(folder_).image(source, kTarget, {})->code;
  const fs::path file = only_file(), kept = folder_ / "kept";
  fs::rename(file, kept);
  Compiler(folder_).image(source_of(sliding_window()), kTarget, {});
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.path() != kept)
      fs::rename(entry.path(), file);
  Compiler compiler(folder_);
  EXPECT_EQ(compiler.image(source, kTarget, {})->code, code);
  EXPECT_EQ(compiler.counters().rejected_files, 1);
}

TEST_F(CompilerTest, a_folder_that_cannot_be_made_is_refused) {
  std::ofstream(folder_.string()) << "a file";
  EXPECT_THROW(Compiler{folder_}, std::runtime_error);
}

TEST_F(CompilerTest, an_error_shows_the_users_own_line) {
  Mods mods = causal();
  mods.score_mod =
      "template <class S>\nS score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {\n"
      "  return score * strength;\n}";
  Compiler compiler;
  try {
    compiler.image(source_of(mods), kTarget, texts_of(mods));
    FAIL() << "it compiled";
  } catch (const CompileError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("score_mod:3:   return score * strength;"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("identifier \"strength\" is undefined"));
  }
}

TEST_F(CompilerTest, mods_may_have_helpers_and_need_no_device_keyword) {
  Mods mods;
  mods.mask_mod =
      "static constexpr int kStride = 4;\nbool local(int d) { return d >= 0 && d < kStride; }\n"
      "bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) { return local(q - k) || k % "
      "kStride == 0; }";
  EXPECT_GT(Compiler().image(source_of(mods), kTarget, texts_of(mods))->code.size(), 0u);
}

TEST_F(CompilerTest, ptx_is_made_for_older_gpus_code) {
  const auto image = Compiler().image(source_of(causal()), {75, true}, {});
  EXPECT_THAT(image->code, ::testing::HasSubstr(".target sm_75"));
  EXPECT_THAT(image->code, ::testing::HasSubstr("m16n8k8"));
  EXPECT_THAT(image->code, ::testing::Not(::testing::HasSubstr("cp.async")));
}

}  // namespace
}  // namespace assay::kernels::attention
