// SPDX-License-Identifier: Apache-2.0
// What is refused before anything is launched, and with which words; tilings of every GPU; sizes of tables.
#include "kernels/attention/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "kernels/attention/block_mask.hpp"
#include "kernels/attention/check.hpp"
#include "kernels/attention/example_mods.hpp"
#include "kernels/attention/program_source.hpp"

namespace assay::kernels::attention {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(AttentionConfig, every_gpu_has_tilings_for_every_size_and_type) {
  for (const int sm : {75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121})
    for (const int size : {32, 64, 96, 128})
      for (const ElementType type : {ElementType::kFloat16, ElementType::kBfloat16}) {
        const HeadType head{size, type};
        if (sm < 80 && type == ElementType::kBfloat16)
          EXPECT_THAT(
              [&] {
                choose_tilings(head, {sm, false});
              },
              ThrowsMessage<std::invalid_argument>(HasSubstr("found bf16 on sm_75")));
        else
          EXPECT_NO_THROW(validate(choose_tilings(head, {sm, false}), head, {sm, false}))
              << sm << " " << size;
      }
}

TEST(AttentionConfig, other_heads_and_gpus_are_refused) {
  EXPECT_THAT(
      [] {
        choose_tilings({80, ElementType::kFloat16}, {80, false});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("a head size of 32, 64, 96 or 128, found 80")));
  EXPECT_THAT(
      [] {
        choose_tilings({64, ElementType::kFloat16}, {70, false});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("compute capability 7.5 or later, found 70")));
}

TEST(AttentionConfig, tilings_that_do_not_fit_are_refused) {
  const HeadType head{128, ElementType::kFloat16};
  const Target target{86, false};
  const auto refused = [&](const std::function<void(Tilings&)>& change, const char* words) {
    Tilings t = choose_tilings(head, target);
    change(t);
    EXPECT_THAT([&] { validate(t, head, target); }, ThrowsMessage<std::invalid_argument>(HasSubstr(words)));
  };
  refused([](Tilings& t) { t.forward.tile_q = 48; }, "tiles of 16, 32, 64 or 128 rows");
  refused([](Tilings& t) { t.forward.warps = 3; }, "1 to 8 warps of 16 rows or multiples");
  refused([](Tilings& t) { t.backward_keys.stages = 5; }, "1 to 4 stages");
  refused([](Tilings& t) { t.backward_keys.stages = 4; }, "at most 101376 bytes of shared memory");
  refused([](Tilings& t) { t.backward_queries.warps = 2; }, "16 rows a warp in backward");
  refused([](Tilings& t) { t.forward.blocks_per_multiprocessor = 0; }, "at least one block");
}

TEST(AttentionConfig, warpgroups_make_all_of_backward_or_nothing) {
  const HeadType head{128, ElementType::kBfloat16};
  const Target target{90, false};
  EXPECT_TRUE(choose_tilings(head, target).backward_keys.hopper);
  EXPECT_FALSE(choose_tilings(head, target, true).backward_keys.hopper);
  const auto refused = [&](const std::function<void(Tilings&)>& change, const char* words,
                           bool learnable = false) {
    Tilings t = choose_tilings(head, target);
    change(t);
    EXPECT_THAT([&] { validate(t, head, target, learnable); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(words)));
  };
  refused([](Tilings& t) { t.backward_queries = {64, 64, 4, 1, 1}; }, "both backward kernels by warpgroups");
  refused([](Tilings& t) { t.backward_keys.stages = 1; }, "2 to 6 stages");
  refused([](Tilings& t) { t.backward_keys.stages = 6; }, "fit 232448 bytes of shared memory");
  refused([](Tilings& t) { t.backward_keys.tile_k = 64; }, "128 queries, 128 keys and 12 warps");
  refused([](Tilings&) {}, "no learnable buffers", true);
}

TEST(AttentionConfig, targets_have_nvrtcs_names) {
  EXPECT_EQ(name_of({90, false}), "sm_90a");
  EXPECT_EQ(name_of({86, false}), "sm_86");
  EXPECT_EQ(name_of({75, true}), "compute_75");
}

TEST(AttentionConfig, contradicting_mods_are_refused) {
  const auto refused = [](const Mods& mods, const char* words) {
    EXPECT_THAT([&] { validate(mods); }, ThrowsMessage<std::invalid_argument>(HasSubstr(words)));
  };
  refused({.score_mod = "…", .learnable = 3}, "expected 0 to 2 learnable buffers, found 3");
  refused({.learnable = 1}, "expected a score_mod");
  refused({.score_mod = "…", .score_mod_derivative = "…", .learnable = 1}, "found both");
}

/// Valid arguments on addresses that nobody reads.
BackwardArgs some_args() {
  BackwardArgs args;
  args.sequences = {
      .sequences = 2, .q_heads = 4, .kv_heads = 2, .q_length = 100, .k_length = 300, .scale = 1};
  char* const memory = reinterpret_cast<char*>(1 << 20);
  args.mask = {memory, block_mask_bytes(relative_bias(), args.sequences)};
  for (View* view : {&args.q, &args.k, &args.v, &args.o, &args.d_o, &args.d_q, &args.d_k, &args.d_v})
    *view = {memory, 64 * 400, 64 * 4, 64};
  args.lse = reinterpret_cast<const float*>(memory);
  args.workspace = memory;
  args.workspace_bytes = 1 << 20;
  return args;
}

TEST(AttentionArguments, what_breaks_the_contract_is_refused_by_name) {
  EXPECT_NO_THROW(check(relative_bias(), some_args()));
  const auto refused = [](const std::function<void(BackwardArgs&)>& change, const char* words) {
    BackwardArgs args = some_args();
    change(args);
    EXPECT_THAT([&] { check(relative_bias(), args); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(words)));
  };
  static const int kStarts[3] = {};
  refused([](BackwardArgs& a) { a.sequences.q_heads = 3; }, "multiple of the key heads");
  refused([](BackwardArgs& a) { a.sequences.k_length = -1; }, "lengths of at least 0");
  refused([](BackwardArgs& a) { a.sequences.scale = NAN; }, "a finite scale");
  refused([](BackwardArgs& a) { a.sequences.q_starts = kStarts; }, "of both queries and keys");
  refused([](BackwardArgs& a) { a.sequences.q_starts = a.sequences.k_starts = kStarts; },
          "sequence stride 0");
  refused([](BackwardArgs& a) { a.mask.bytes = 7; }, "bytes for the block mask, found 7");
  refused([](BackwardArgs& a) { a.d_q.data = nullptr; }, "memory for d_q, found none");
  refused([](BackwardArgs& a) { a.v.token_stride = 12; }, "strides of v that are multiples of 8");
  refused([](BackwardArgs& a) { a.k.data = static_cast<char*>(a.k.data) + 8; }, "k aligned to 16 bytes");
  refused([](BackwardArgs& a) { a.lse = nullptr; }, "lse of the forward pass");
  refused([](BackwardArgs& a) { a.learnable_gradients[1] = reinterpret_cast<float*>(256); }, "slot 1");
  refused([](BackwardArgs& a) { a.fixed_point_bits = 63; }, "0 to 62 bits");
  refused([](BackwardArgs& a) { a.workspace_bytes = 10; }, "bytes of workspace, found 10");
}

TEST(AttentionArguments, tables_are_shared_where_the_mask_says_so) {
  const Sequences s{.sequences = 3, .q_heads = 4, .kv_heads = 1, .q_length = 129, .k_length = 128};
  const BlockTables shared = block_tables(causal(), s, nullptr);
  EXPECT_EQ(shared.heads, 1);
  EXPECT_EQ(shared.q_lists, 2);
  EXPECT_EQ(shared.k_lists, 1);
  EXPECT_EQ(block_tables(head_windows(), s, nullptr).heads, 4);
  EXPECT_EQ(block_tables(document(), s, nullptr).q_lists, 6);
}

TEST(AttentionArguments, nothing_at_all_needs_no_lists) {
  const BlockTables none =
      block_tables(causal(), {.q_heads = 1, .kv_heads = 1, .q_length = 256, .k_length = 256}, nullptr);
  EXPECT_EQ(none.q_lists, 0);
  EXPECT_EQ(none.k_lists, 0);
}

TEST(AttentionArguments, packed_tables_have_room_for_a_part_block_a_sequence) {
  static const int kStarts[4] = {};
  Sequences s{.sequences = 3, .q_heads = 1, .kv_heads = 1, .q_length = 300, .k_length = 300};
  s.q_starts = s.k_starts = kStarts, s.q_rows = s.k_rows = 300;
  EXPECT_EQ(block_tables(causal(), s, nullptr).q_capacity, 2 + 3);  // 129, 129, 42 rows: 2 + 2 + 1 blocks
}

}  // namespace
}  // namespace assay::kernels::attention
