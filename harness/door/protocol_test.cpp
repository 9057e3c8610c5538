// SPDX-License-Identifier: Apache-2.0
// Lines there and back, and what is no answer.
#include "harness/door/protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::harness::door {
namespace {

using testing::HasSubstr;

Request opening_request() {
  Request request{"ab12", "open", 0, 0, 0, Opening{}};
  Opening& opening = *request.opening;
  opening.challenge = "made/up";
  opening.case_name = "one";
  opening.device = DeviceKind::kCuda;
  opening.attributes = {{"block_size", std::int64_t{64}}, {"nested", true}, {"codebook", std::string("nf4")}};
  opening.specs = {{{"x", Dtype::kFloat32, {3, 5}}, {"n", Dtype::kUint8, {7}}},
                   {{"y", Dtype::kBfloat16, {15}}}};
  opening.files = {"/proc/self/fd/7", "/proc/self/fd/8"};
  return request;
}

std::string reason_of(const std::string& answer) {
  const auto outcome = parse_answer(answer, {"ab12", "run", 0, 0, 1, std::nullopt});
  return outcome && std::holds_alternative<Failed>(*outcome) ? std::get<Failed>(*outcome).reason
                                                             : "not failed";
}

TEST(DoorProtocol, an_opening_comes_back_as_it_went) {
  const Request found = parse_request(request_line(opening_request()));
  ASSERT_TRUE(found.opening.has_value());
  EXPECT_EQ(found.id, "ab12");
  EXPECT_EQ(found.opening->case_name, "one");
  EXPECT_EQ(found.opening->device, DeviceKind::kCuda);
  EXPECT_EQ(found.opening->files.size(), 2u);
  ASSERT_EQ(found.opening->specs.inputs.size(), 2u);
  EXPECT_EQ(found.opening->specs.inputs[0].shape, (std::vector<std::int64_t>{3, 5}));
  EXPECT_EQ(found.opening->specs.outputs[0].dtype, Dtype::kBfloat16);
}

TEST(DoorProtocol, an_opening_tells_where_payloads_lie_and_what_the_case_is) {
  const std::string line = request_line(opening_request());
  const Layout layout = layout_of(opening_request().opening->specs);
  EXPECT_THAT(line, HasSubstr("\"offset\":" + std::to_string(layout.payloads[1])));
  EXPECT_THAT(line, HasSubstr("\"block_size\":64"));
  EXPECT_THAT(line, HasSubstr("\"nested\":true"));
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST(DoorProtocol, a_run_comes_back_as_it_went) {
  const Request found = parse_request(request_line({"1", "run", 0, 3, 250, std::nullopt}));
  EXPECT_EQ(found.first, 3);
  EXPECT_EQ(found.count, 250);
}

TEST(DoorProtocol, outcomes_come_back_as_they_went) {
  const Request request{"ab12", "run", 0, 0, 1, std::nullopt};
  EXPECT_FALSE(parse_answer(answer_line("ab12"), request).has_value());
  for (const Outcome& outcome :
       {Outcome(Skipped{"no"}), Outcome(Failed{"bad"}), Outcome(OutOfMemoryOutcome{"full"}),
        Outcome(Wrong{"stream", "late", std::nullopt})}) {
    const auto found = parse_answer(answer_line("ab12", outcome), request);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(outcome_name(*found), outcome_name(outcome));
    EXPECT_EQ(outcome_reason(*found), outcome_reason(outcome));
  }
}

TEST(DoorProtocol, what_is_no_answer_fails_and_is_shown) {
  EXPECT_THAT(reason_of("loading weights…"),
              HasSubstr("protocol: expected the answer to \"run\" ab12, found"));
  EXPECT_THAT(reason_of("{\"id\":\"other\",\"ok\":true}"), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of("{\"id\":\"ab12\"}"), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of("{\"id\":\"ab12\",\"ok\":1}"), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of("[]"), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of(""), HasSubstr("protocol:"));
}

TEST(DoorProtocol, lines_made_to_exhaust_the_reader_are_no_answers) {
  constexpr std::size_t kDeep = 400'000;
  EXPECT_THAT(reason_of(std::string(kDeep, '[')), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of(std::string(kDeep, '[') + std::string(kDeep, ']')), HasSubstr("protocol:"));
  EXPECT_THAT(reason_of(std::string("{\"id\":\"ab12\",\"ok\":true\0}", 24)), HasSubstr("protocol:"));
}

TEST(DoorProtocol, nobody_can_claim_to_have_passed) {
  EXPECT_THAT(reason_of("{\"id\":\"ab12\",\"outcome\":\"passed\"}"), HasSubstr("protocol:"));
}

TEST(DoorProtocol, control_characters_of_a_line_are_not_shown_as_they_are) {
  EXPECT_EQ(reason_of("\x1b[31mred\x07").find('\x1b'), std::string::npos);
}

TEST(DoorProtocol, a_request_of_another_protocol_is_refused_with_both_numbers) {
  std::string line = request_line(opening_request());
  line.replace(line.find("\"protocol\":1"), 12, "\"protocol\":2");
  try {
    parse_request(line);
    FAIL() << "expected an exception";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected protocol 1, found 2"));
  }
}

}  // namespace
}  // namespace assay::harness::door
