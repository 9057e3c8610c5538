// SPDX-License-Identifier: Apache-2.0
// The choice of a kernel and its shape, without a GPU.
#include "kernels/backprop/softmax_pass_config.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::backprop {
namespace {

constexpr SoftmaxPassLimits kH100{
    .shared_bytes_per_block = 232448, .shared_bytes_per_multiprocessor = 233472, .clusters = true};
constexpr SoftmaxPassLimits kA100{
    .shared_bytes_per_block = 166912, .shared_bytes_per_multiprocessor = 167936, .clusters = false};
constexpr SoftmaxPassLimits kT4{
    .shared_bytes_per_block = 65536, .shared_bytes_per_multiprocessor = 65536, .clusters = false};

TEST(SoftmaxPassConfig, a_choice_is_always_valid_and_leaves_room_for_two_blocks) {
  for (const SoftmaxPassLimits& limits : {kH100, kA100, kT4, SoftmaxPassLimits{}}) {
    for (const int element : {2, 4}) {
      for (const bool writes : {false, true}) {
        for (std::int64_t vocab = 1; vocab <= std::int64_t{1} << 30; vocab = vocab * 3 / 2 + 1) {
          const SoftmaxPassShape shape{vocab, element, writes};
          const SoftmaxPassConfig config = choose_softmax_pass_config(shape, limits);
          EXPECT_NO_THROW(validate(config, shape, limits)) << vocab;
          EXPECT_LE(2 * shared_bytes(config, shape), limits.shared_bytes_per_multiprocessor) << vocab;
        }
      }
    }
  }
}

TEST(SoftmaxPassConfig, resident_blocks_hold_their_whole_part_of_the_row) {
  for (const std::int64_t vocab : {32000, 128256, 151936, 256000, 262144}) {
    const SoftmaxPassShape shape{vocab, 2, true};
    const SoftmaxPassConfig config = choose_softmax_pass_config(shape, kH100);
    ASSERT_EQ(config.variant, SoftmaxVariant::kResident) << vocab;
    EXPECT_GE(config.cluster * shared_bytes(config, shape), vocab * 2 / 16 * 16) << vocab;
  }
}

TEST(SoftmaxPassConfig, h100_splits_long_rows_over_the_smallest_cluster_that_lets_two_blocks_overlap) {
  const auto cluster = [](std::int64_t vocab, int element) {
    return choose_softmax_pass_config({vocab, element, true}, kH100).cluster;
  };
  EXPECT_EQ(cluster(32000, 2), 1);
  EXPECT_EQ(cluster(100000, 2), 2);
  EXPECT_EQ(cluster(128256, 2), 4);
  EXPECT_EQ(cluster(256000, 2), 8);
  EXPECT_EQ(cluster(128256, 4), 8);
}

TEST(SoftmaxPassConfig, rows_too_long_for_shared_memory_are_read_twice) {
  EXPECT_EQ(choose_softmax_pass_config({128256, 2, true}, kA100).variant, SoftmaxVariant::kTwoSweep);
  EXPECT_EQ(choose_softmax_pass_config({128256, 2, true}, kT4).variant, SoftmaxVariant::kTwoSweep);
  EXPECT_EQ(choose_softmax_pass_config({256000, 4, true}, kH100).variant, SoftmaxVariant::kTwoSweep);
}

TEST(SoftmaxPassConfig, a_pass_that_writes_nothing_back_keeps_nothing) {
  EXPECT_EQ(choose_softmax_pass_config({32000, 2, false}, kH100).variant, SoftmaxVariant::kTwoSweep);
}

TEST(SoftmaxPassConfig, a_softcap_gives_whole_blocks_to_a_row) {
  EXPECT_EQ(choose_softmax_pass_config({128256, 2, true, true}, kH100),
            (SoftmaxPassConfig{SoftmaxVariant::kTwoSweep, 1024, 1}));
}

TEST(SoftmaxPassConfig, blocks_of_a_cluster_are_small) {
  EXPECT_EQ(choose_softmax_pass_config({128256, 2, true}, kH100),
            (SoftmaxPassConfig{SoftmaxVariant::kResident, 256, 4}));
}

TEST(SoftmaxPassConfig, short_rows_get_few_threads) {
  EXPECT_EQ(choose_softmax_pass_config({1, 2, false}, kH100).threads, 32);
  EXPECT_EQ(choose_softmax_pass_config({2048, 2, false}, kH100).threads, 64);
  EXPECT_EQ(choose_softmax_pass_config({128256, 2, false}, kH100).threads, 1024);
}

TEST(SoftmaxPassConfig, configurations_without_a_kernel_are_refused) {
  const SoftmaxPassShape shape{128256, 2, true};
  const auto refused = [&](const SoftmaxPassConfig& config, const SoftmaxPassLimits& limits) {
    EXPECT_THROW(validate(config, shape, limits), std::invalid_argument)
        << static_cast<int>(config.variant) << " " << config.threads << " " << config.cluster;
  };
  refused({.threads = 0}, kH100);
  refused({.threads = 48}, kH100);
  refused({.threads = 2048}, kH100);
  refused({.threads = 1024, .cluster = 2}, kH100);
  refused({.variant = SoftmaxVariant::kResident, .threads = 1024, .cluster = 4}, kH100);
  refused({.variant = SoftmaxVariant::kResident, .threads = 512, .cluster = 3}, kH100);
  refused({.variant = SoftmaxVariant::kResident, .threads = 512, .cluster = 1}, kH100);
  refused({.variant = SoftmaxVariant::kResident, .threads = 512, .cluster = 4}, kA100);
  refused({.variant = static_cast<SoftmaxVariant>(9)}, kH100);
  EXPECT_NO_THROW(
      validate({.variant = SoftmaxVariant::kResident, .threads = 512, .cluster = 2}, shape, kH100));
}

}  // namespace
}  // namespace assay::kernels::backprop
