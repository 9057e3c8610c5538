// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/generate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/fsdp/schedule/check.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace assay::kernels::fsdp {
namespace {

std::string line(const Schedule& schedule, int rank) {
  std::string text;
  for (const Action& action : schedule.ranks[static_cast<std::size_t>(rank)])
    (text += text.empty() ? "" : " ") += text_of(action);
  return text;
}

TEST(PipelineSchedule, an_action_is_read_as_it_is_written) {
  for (const Action action :
       {Action{ActionKind::kForward, 2, 0}, Action{ActionKind::kBackwardWeight, 0, 31},
        Action{ActionKind::kSendBackward, 11, 7}, Action{ActionKind::kReceiveForward, 1, 2}})
    EXPECT_EQ(parse_action(text_of(action)), action);
  EXPECT_EQ(text_of({ActionKind::kReceiveBackward, 3, 4}), "3RECV_B4");
  for (const char* wrong : {"", "F0", "2F", "2X0", "2F0 ", "-1F0", "2SEND0", "99999999999F0"})
    EXPECT_THROW(parse_action(wrong), std::invalid_argument) << wrong;
}

TEST(PipelineSchedule, lists_are_those_written_by_hand) {
  EXPECT_EQ(line(gpipe(2, 2), 1), "1F0 1F1 1B0 1B1");
  EXPECT_EQ(line(one_f_one_b(2, 3), 0), "0F0 0F1 0B0 0F2 0B1 0B2");
  EXPECT_EQ(line(one_f_one_b(2, 3), 1), "1F0 1B0 1F1 1B1 1F2 1B2");
  EXPECT_EQ(line(zb_h1(2, 3), 0), "0F0 0F1 0I0 0W0 0F2 0I1 0W1 0I2 0W2");
  EXPECT_EQ(line(zb_h1(2, 3), 1), "1F0 1I0 1F1 1I1 1W0 1F2 1I2 1W1 1W2");
  EXPECT_EQ(line(interleaved_1f1b(2, 2, 2), 1), "1F0 1F1 3F0 3B0 3F1 3B1 1B0 1B1");
  EXPECT_EQ(line(zbv(1, 2), 0), "0F0 1F0 1I0 1W0 0F1 0I0 0W0 1F1 1I1 1W1 0I1 0W1");
}

TEST(PipelineSchedule, every_schedule_up_to_8_ranks_and_32_microbatches_passes_every_check) {
  int checked = 0;
  for (int p = 1; p <= 8; ++p)
    for (int m = 1; m <= 32; ++m) {
      std::vector<Schedule> all{gpipe(p, m), one_f_one_b(p, m), zb_h1(p, m), zbv(p, m)};
      if (m % p == 0)
        for (int chunks = 1; chunks <= 4; ++chunks) all.push_back(interleaved_1f1b(p, m, chunks));
      for (const Schedule& schedule : all)
        for (const Schedule& variant : {schedule, with_recompute(schedule)}) {
          const auto findings = check_schedule(with_transfers(variant));
          ASSERT_TRUE(findings.empty()) << schedule.name << " p=" << p << " m=" << m << ": "
                                        << name_of(findings[0].check) << ": " << findings[0].message;
          ++checked;
        }
    }
  EXPECT_GT(checked, 2000);
}

TEST(PipelineSchedule, microbatches_kept_are_those_of_the_papers) {
  const auto most = [](const Schedule& schedule) {
    const auto held = most_held(schedule);
    return *std::max_element(held.begin(), held.end());
  };
  for (int p = 2; p <= 8; ++p) {
    const int m = 4 * p;
    EXPECT_EQ(most(gpipe(p, m)), m);
    EXPECT_EQ(most(one_f_one_b(p, m)), p);
    EXPECT_EQ(most_held(one_f_one_b(p, m)).back(), 1);
    EXPECT_EQ(most_held(zb_h1(p, m)), std::vector<int>(static_cast<std::size_t>(p), p));
    EXPECT_EQ(most(interleaved_1f1b(p, m, 2)), 3 * p - 1);  // p(1 + (p-1)/2p) stages of twice the size
    EXPECT_EQ(most(zbv(p, m)), 2 * p);                      // p of both stages
  }
}

TEST(PipelineSchedule, hoisted_recompute_keeps_one_microbatch_of_activations) {
  EXPECT_EQ(most_held(with_recompute(one_f_one_b(4, 8)), true), std::vector<int>({1, 1, 1, 1}));
}

TEST(PipelineSchedule, sizes_without_a_schedule_are_refused) {
  EXPECT_THROW(gpipe(0, 4), std::invalid_argument);
  EXPECT_THROW(one_f_one_b(2, 0), std::invalid_argument);
  EXPECT_THROW(interleaved_1f1b(2, 3, 2), std::invalid_argument);
  EXPECT_THROW(interleaved_1f1b(2, 4, 0), std::invalid_argument);
  EXPECT_THROW(with_transfers(with_transfers(gpipe(2, 2))), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
