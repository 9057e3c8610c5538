// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/bench/bench_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <stdexcept>

#include "kernels/compile/device/bench/length_mix.hpp"

namespace assay::kernels::compile::bench {
namespace {

BenchOptions parse(std::vector<const char*> words) {
  return parse_options(words);
}

TEST(BenchOptions, words_become_options) {
  const BenchOptions o =
      parse({"--shape", "8b", "--batch", "2", "--length", "2048", "--keep", "attention", "--steps", "7",
             "--type", "f16", "--base", "dense", "--profile", "--json", "out.json"});
  EXPECT_EQ(shape_of(o).layers, 32);
  EXPECT_EQ(shape_of(o).lora_rank, 16);
  EXPECT_EQ(o.batch, 2);
  EXPECT_EQ(o.length, 2048);
  EXPECT_EQ(name_of(o.keep), "attention");
  EXPECT_EQ(o.steps, 7);
  EXPECT_EQ(o.compute, ComputeType::kFloat16);
  EXPECT_FALSE(o.packed_base);
  EXPECT_TRUE(o.profile);
  EXPECT_EQ(o.json, "out.json");
}

TEST(BenchOptions, a_model_stands_where_the_shape_stood) {
  const BenchOptions o = parse({"--model", "some/Llama", "--adapter-out", "adapter"});
  EXPECT_EQ(o.model, "some/Llama");
  EXPECT_EQ(o.shape, "some/Llama");
  EXPECT_EQ(o.adapter_out, "adapter");
  EXPECT_THROW(parse({"--adapter-out", "adapter"}), std::invalid_argument);
}

TEST(BenchOptions, what_is_not_an_option_is_refused) {
  const std::vector<std::vector<const char*>> all = {{"--shape", "70b"},
                                                     {"--steps", "0"},
                                                     {"--steps", "3x"},
                                                     {"--steps"},
                                                     {"--keep", "all"},
                                                     {"--what", "1"},
                                                     {"8b"}};
  for (const auto& words : all) EXPECT_THROW(parse(words), std::invalid_argument) << words[0];
}

TEST(LengthMix, seeded_mixes_fill_the_budget_with_lengths_in_range_and_repeat) {
  for (const std::int64_t budget : {64, 100, 4096, 8192, 16384}) {
    double used = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const Lengths lengths = seeded_lengths(budget, seed);
      EXPECT_EQ(lengths, seeded_lengths(budget, seed));
      const std::int64_t sum = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
      EXPECT_LE(sum, budget);
      used += static_cast<double>(sum);
      for (const std::int64_t length : lengths) {
        EXPECT_GE(length, kShortest);
        EXPECT_LE(length, kLongest);
      }
    }
    EXPECT_GT(used, 0.99 * 50 * static_cast<double>(budget));
  }
  EXPECT_NE(seeded_lengths(8192, 1), seeded_lengths(8192, 2));
  EXPECT_THROW(seeded_lengths(63, 1), std::invalid_argument);
}

TEST(LengthMix, the_capacity_is_the_most_of_any_step) {
  const MixCapacity c = capacity_of({{10, 20}, {5, 5, 5}, {25}});
  EXPECT_EQ(c.tokens, 30);
  EXPECT_EQ(c.sequences, 3);
  EXPECT_EQ(c.longest, 25);
  EXPECT_EQ(lengths_of_steps({.batch = 2, .length = 7}, 3), (std::vector<Lengths>(3, Lengths{7, 7})));
}

TEST(LengthMix, a_files_lines_are_taken_in_turn_and_bad_ones_refused) {
  const std::string file = ::testing::TempDir() + "lengths.txt";
  const auto with = [&](const char* text) {
    std::ofstream(file) << text;
    return lengths_of_steps({.packed = file}, 3);
  };
  EXPECT_EQ(with("64 128\n\n300\n"), (std::vector<Lengths>{{64, 128}, {300}, {64, 128}}));
  EXPECT_THROW(with("64 x\n"), std::invalid_argument);
  EXPECT_THROW(with("0\n"), std::invalid_argument);
  EXPECT_THROW(with("\n"), std::invalid_argument);
  EXPECT_THROW(lengths_of_steps({.packed = file + ".absent"}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::compile::bench
