// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/chunk_plan.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::backprop {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
const ChunkNeeds kLlama{.num_rows = 16384, .vocab = 128256, .bytes_per_logit = 2, .free_bytes = 60 * kGiB};

TEST(ChunkPlan, rows_are_taken_as_given_up_to_all_of_them) {
  EXPECT_EQ(chunk_rows({.rows = 37}, kLlama), 37);
  EXPECT_EQ(chunk_rows({.rows = 20000}, kLlama), 16384);
}

TEST(ChunkPlan, bytes_hold_whole_tiles_where_there_is_room_for_one) {
  const std::int64_t row = 128256 * 2;
  EXPECT_EQ(chunk_rows({.bytes = 300 * row}, kLlama), 256);
  EXPECT_EQ(chunk_rows({.bytes = 127 * row}, kLlama), 127);
  EXPECT_EQ(chunk_rows({.bytes = 1}, kLlama), 1) << "less than a row still makes progress";
}

TEST(ChunkPlan, free_memory_decides_up_to_the_row_count_that_still_pays) {
  EXPECT_EQ(chunk_rows({}, kLlama), 4096);
  ChunkNeeds tight = kLlama;
  tight.free_bytes = kGiB;  // a quarter of it holds 1046 rows
  EXPECT_EQ(chunk_rows({}, tight), 1024);
  tight.most_rows = 512;
  EXPECT_EQ(chunk_rows({}, tight), 512);
}

TEST(ChunkPlan, few_rows_are_cut_as_well) {
  ChunkNeeds few = kLlama;
  for (const auto& [rows, chunk] : {std::pair{768, 256}, {4096, 1024}, {2000, 512}, {300, 128}, {100, 100}}) {
    few.num_rows = rows;
    EXPECT_EQ(chunk_rows({}, few), chunk) << rows;
  }
}

TEST(ChunkPlan, as_many_chunks_as_asked_where_memory_would_allow_fewer) {
  ChunkNeeds halves = kLlama;
  halves.num_rows = 8192;
  EXPECT_EQ(chunk_rows({}, halves), 2048);
  halves.least_chunks = 2;
  EXPECT_EQ(chunk_rows({}, halves), 4096);
  halves.num_rows = 3000;
  EXPECT_EQ(chunk_rows({}, halves), 1536) << "whole tiles of 128 rows";
}

TEST(ChunkPlan, unknown_free_memory_gives_a_middle_size) {
  ChunkNeeds unknown = kLlama;
  unknown.free_bytes = 0;
  EXPECT_EQ(chunk_rows({}, unknown), 1024);
}

TEST(ChunkPlan, no_rows_and_an_empty_vocabulary_give_one_row) {
  EXPECT_EQ(chunk_rows({}, {.num_rows = 0, .vocab = 10}), 1);
  EXPECT_EQ(chunk_rows({.bytes = 10}, {.num_rows = 1, .vocab = 0}), 1);
}

TEST(ChunkPlan, senseless_choices_are_refused) {
  EXPECT_THROW(chunk_rows({.rows = 0}, kLlama), std::invalid_argument);
  EXPECT_THROW(chunk_rows({.bytes = -5}, kLlama), std::invalid_argument);
  EXPECT_THROW(chunk_rows({.rows = 1, .bytes = 1}, kLlama), std::invalid_argument);
  EXPECT_THROW(chunk_rows({.free_memory_share = 0.0}, kLlama), std::invalid_argument);
  EXPECT_THROW(chunk_rows({.free_memory_share = 1.5}, kLlama), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::backprop
