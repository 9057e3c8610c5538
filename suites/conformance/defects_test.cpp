// SPDX-License-Identifier: Apache-2.0
// Every defect judged: ours accepted, the mutant rejected by the same check; and what judging makes of cases
// that show nothing.
#include "suites/conformance/defects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>
#include <regex>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/record/provenance.hpp"
#include "suites/conformance/paths.hpp"

namespace assay::suites::conformance {

void PrintTo(const Defect& defect, std::ostream* out) {
  *out << defect.name();
}

namespace {

using ::testing::HasSubstr;

class EveryDefect : public ::testing::TestWithParam<Defect> {};

TEST_P(EveryDefect, is_not_ours_and_its_mutant_is_rejected) {
  const Defect& defect = GetParam();
  const harness::DeviceFacts facts =
      harness::describe(harness::cuda_available() ? harness::DeviceKind::kCuda : harness::DeviceKind::kCpu)
          .facts();
  try {
    const auto evidence = nlohmann::json::parse(judge(defect, facts));
    EXPECT_EQ(evidence["ours"], "passed");
    EXPECT_EQ(evidence["mutant"], "rejected");
    EXPECT_THAT(evidence["mutant_was"].get<std::string>(), HasSubstr("expected"));
    RecordProperty("mutant_was", evidence["mutant_was"].get<std::string>());
  } catch (const harness::Skip& skip) {
    EXPECT_TRUE(defect.needs_gpu);
    GTEST_SKIP() << skip.what();
  }
}

std::string test_name(const ::testing::TestParamInfo<Defect>& info) {
  std::string name = info.param.name();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Upstream, EveryDefect, ::testing::ValuesIn(all_defects()), test_name);

TEST(Defects, are_enough_on_a_cpu_and_each_asks_a_path_that_exists) {
  std::set<std::string> known, asked;
  for (const harness::Implementation& path : paths()) {
    known.insert(path.name);
    EXPECT_NO_THROW(harness::sources_sha256(path.sources)) << path.name;
  }
  int on_cpu = 0;
  for (const Defect& defect : all_defects()) {
    asked.insert(defect.report.path);
    on_cpu += defect.needs_gpu ? 0 : 1;
    EXPECT_GT(defect.report.number, 0);
    EXPECT_THAT(defect.report.project, HasSubstr("/"));
  }
  EXPECT_EQ(asked, known);
  EXPECT_GE(on_cpu, 24);
}

TEST(Defects, stand_in_the_table_of_the_docs_and_nothing_else_does) {
  std::ifstream file(ASSAY_CONFORMANCE_DOC);
  if (!file)
    GTEST_SKIP() << "the sources are not on this machine";
  std::multiset<std::string> wanted, found;
  for (const Defect& defect : all_defects()) {
    std::string name = defect.name();
    name[name.rfind('-')] = '#';
    wanted.insert(name + " " + defect.report.path);
  }
  for (std::string line; std::getline(file, line);) {
    std::smatch row;
    if (std::regex_match(line, row, std::regex(R"(\| (\S+#\d+) \| [^|]* \| `(\w+)` \| [^|]* \|)")))
      found.insert(row[1].str() + " " + row[2].str());
  }
  EXPECT_EQ(found, wanted);
}

TEST(Defects, are_the_checks_of_a_challenge_that_a_filter_finds_by_name) {
  const harness::Challenge& challenge = harness::Registry::instance().challenge(kChallenge);
  EXPECT_TRUE(challenge.checks_are_cases);
  EXPECT_EQ(challenge.checks.size(), all_defects().size());
}

/// A subject that answers with a number, of which 1 is right.
void is_one(const int& value) {
  demand(value == 1, "1", std::to_string(value));
}
void stumbles_at_two(const int& value) {
  if (value == 2)
    throw std::logic_error("an accident");
  is_one(value);
}
std::string judged(int ours, int mutant, void (*check)(const int&)) {
  try {
    return judge(defect({"a/project", 7, "a fault", "a path"}, ours, mutant, check), {});
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(Judging, accepts_only_ours_right_and_the_mutant_rejected) {
  EXPECT_THAT(judged(1, 3, is_one), HasSubstr(R"("mutant_was":"expected 1, found 3")"));
  EXPECT_THAT(judged(3, 3, is_one), HasSubstr("ours was rejected: expected 1, found 3"));
  EXPECT_THAT(judged(1, 1, is_one), HasSubstr("the mutant was accepted"));
  EXPECT_THAT(judged(1, 2, stumbles_at_two), HasSubstr("by accident"));
}

TEST(Judging, a_mutant_must_be_right_without_its_fault) {
  const auto mended_is = [](int mended) {
    return judge(defect({"a/project", 7, "a fault", "a path"}, 1, 3, is_one, mended), {});
  };
  EXPECT_THAT(mended_is(1), HasSubstr("rejected"));
  EXPECT_THROW(mended_is(4), std::runtime_error);
}

TEST(Judging, an_error_is_no_answer_and_a_refusal_must_be_one) {
  EXPECT_THROW(answer([]() -> int { throw std::logic_error("crash"); }), Rejected);
  EXPECT_NO_THROW(demand_refusal("x", [] { throw std::invalid_argument("no"); }));
  EXPECT_THROW(demand_refusal("x", [] {}), Rejected);
  EXPECT_THROW(demand_error("x", std::numeric_limits<double>::quiet_NaN(), 1.0), Rejected);
}

}  // namespace
}  // namespace assay::suites::conformance
