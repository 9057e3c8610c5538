// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/draw.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;
using testing::Not;

int times(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(DrawSchedule, the_trace_has_every_compute_action_and_the_waits_at_their_times) {
  const std::string trace =
      chrome_trace(simulate(with_transfers(one_f_one_b(2, 1)), {.input = 2, .transfer = 0.5}), "1f1b");
  EXPECT_EQ(times(trace, "\"cat\":\"compute\""), 4);
  EXPECT_EQ(times(trace, "\"cat\":\"wait\""), 2);
  EXPECT_THAT(trace, HasSubstr(R"("name":"0RECV_B0","cat":"wait","pid":0,"tid":0,"ts":1000,"dur":5000)"));
  EXPECT_EQ(times(trace, "{"), times(trace, "}"));
}

TEST(DrawSchedule, the_picture_has_a_box_for_every_compute_action_inside_its_width) {
  const std::string picture = svg(simulate(with_transfers(zb_h1(2, 8)), {}), "zb-h1", 250);
  EXPECT_EQ(times(picture, "<rect"), 2 * 8 * 3);
  EXPECT_THAT(picture, HasSubstr("zb-h1: bubble 4.2 % over ideal, 4.0 % idle"));
  EXPECT_THAT(picture, HasSubstr("<title>1W7</title><rect x=\"300\" y=\"56\" width=\"10\""));
}

TEST(DrawSchedule, a_name_cannot_break_out_of_the_text) {
  const Timeline timeline = simulate(with_transfers(gpipe(1, 1)), {});
  EXPECT_THAT(svg(timeline, "a<script>&"), Not(HasSubstr("<script")));
  EXPECT_THAT(chrome_trace(timeline, "a\"b\\"), HasSubstr("\"name\":\"ab\""));
}

}  // namespace
}  // namespace assay::kernels::fsdp
