// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/token_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/compile/checkpoint/temporary_folder_test.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

constexpr StepCapacity kCapacity{.tokens = 6, .sequences = 2, .longest_sequence = 5, .vocab = 10};

TEST(TokenLines, are_sequences_of_ids) {
  const testing::TemporaryFolder folder;
  const auto file = folder.write("tokens", "1 2 3\n\n  9\n");
  EXPECT_THAT(read_token_lines(file, 10), ElementsAre(ElementsAre(1, 2, 3), ElementsAre(9)));
  for (const char* bad : {"1 10", "-1", "1.5", "x", "99999999999999999999"}) {
    const auto path = folder.write("bad", std::string("1\n") + bad);
    EXPECT_THAT(refusal([&] { read_token_lines(path, 10); }),
                HasSubstr("bad:2: expected token ids from 0 to 9"));
  }
  EXPECT_THAT(refusal([&] { read_token_lines(folder.path() / "none", 10); }), HasSubstr("none: expected"));
}

TEST(PackSequences, fills_steps_with_whole_sequences) {
  const auto batches = pack_sequences({{1, 2, 3}, {4, 5}, {6}, {7, 8, 9, 1, 2}, {3, 4}}, kCapacity);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_THAT(batches[0].tokens, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(batches[0].labels, ElementsAre(2, 3, -100, 5, -100));
  EXPECT_THAT(batches[0].boundaries, ElementsAre(0, 3, 5)) << "two sequences are all a step takes";
  EXPECT_THAT(batches[1].boundaries, ElementsAre(0, 1, 6));
  EXPECT_THAT(batches[2].tokens, ElementsAre(3, 4));
  for (const PackedBatch& batch : batches) EXPECT_NO_THROW(check(batch.inputs({}), kCapacity));
  EXPECT_THAT(refusal([] {
                pack_sequences({{1}, {1, 2, 3, 4, 5, 6}}, kCapacity);
              }),
              HasSubstr("sequence 2: expected at most 5 tokens, found 6"));
  EXPECT_THAT(refusal([] { pack_sequences({}, kCapacity); }), HasSubstr("none"));
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint
