// SPDX-License-Identifier: Apache-2.0
// The pass on every instruction set of this machine against f64.
#include "kernels/backprop/softmax_pass_cpu.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

#include "kernels/backprop/softmax_pass_cases_test.hpp"

namespace assay::kernels::backprop {
namespace {

using cases::Case;
using cases::kTypes;
using cases::Sample;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

cases::Runner runner(const std::string& set, int threads = 1) {
  return {[=](const CrossEntropyPass& pass, Sample&) { cross_entropy_pass_cpu_on(set, pass, threads); },
          [=](const TokenStatisticsPass& pass, Sample&) { token_statistics_pass_cpu_on(set, pass, threads); },
          [=](const TokenStatisticsGradientPass& pass, Sample&) {
            token_statistics_gradient_pass_cpu_on(set, pass, threads);
          }};
}

class SoftmaxPassCpu : public ::testing::TestWithParam<std::string> {};

TEST_P(SoftmaxPassCpu, every_option_is_the_formula) {
  for (const Case& c : cases::option_cases()) {
    cases::expect_cross_entropy(c, runner(GetParam()));
    cases::expect_statistics(c, runner(GetParam()));
  }
}

TEST_P(SoftmaxPassCpu, every_size_and_stride_is_the_formula) {
  for (const Case& c : cases::size_cases()) {
    cases::expect_cross_entropy(c, runner(GetParam()));
    cases::expect_statistics(c, runner(GetParam()));
  }
}

TEST_P(SoftmaxPassCpu, a_quarter_million_classes_stay_at_rounding_level) {
  for (const LogitType type : kTypes) {
    const Case c{.type = type, .rows = 2, .vocab = 256000, .label_smoothing = 0.1f, .spread = 1.0};
    cases::expect_cross_entropy(c, runner(GetParam()));
    cases::expect_statistics(c, runner(GetParam()));
  }
}

TEST_P(SoftmaxPassCpu, large_logits_and_minus_infinity_are_the_formula) {
  for (const LogitType type : kTypes) {
    Sample s({.type = type, .rows = 4, .vocab = 100, .spread = 1e3});
    for (std::int64_t v = 0; v < 100; ++v) {
      s.set(1, v, v % 2 == 0 ? 1e4 : -1e4);
      s.set(2, v, v % 3 == 0 ? -kInfinity : 0.1 * static_cast<double>(v));
      s.set(3, v, v == 7 ? 3.0 : -kInfinity);
    }
    s.labels = {5, 4, 1, 7};
    Sample copy = s;
    cases::expect_cross_entropy(s, runner(GetParam()));
    cases::expect_statistics(copy, runner(GetParam()));
  }
}

TEST_P(SoftmaxPassCpu, infinite_loss_of_an_impossible_label_leaves_the_gradient_finite) {
  Sample s({.type = LogitType::kFloat32, .rows = 1, .vocab = 20});
  s.set(0, 3, -kInfinity);
  s.labels = {3};
  float loss = 0.0f, lse = 0.0f;
  cross_entropy_pass_cpu_on(GetParam(), s.cross_entropy(&loss, &lse), 1);
  EXPECT_EQ(loss, std::numeric_limits<float>::infinity());
  EXPECT_EQ(s.logit(0, 3), -1.0);
}

TEST_P(SoftmaxPassCpu, a_row_without_any_probability_is_nan_and_spoils_no_other_row) {
  for (const double value : {-kInfinity, kInfinity, std::nan("")}) {
    Sample s({.type = LogitType::kBfloat16, .rows = 3, .vocab = 37});
    for (std::int64_t v = 0; v < 37; ++v) s.set(1, v, value);
    float loss[3], lse[3];
    cross_entropy_pass_cpu_on(GetParam(), s.cross_entropy(loss, lse), 1);
    EXPECT_TRUE(std::isnan(loss[1])) << value;
    for (std::int64_t v = 0; v < 37; ++v) EXPECT_TRUE(std::isnan(s.logit(1, v))) << value;
    for (const int r : {0, 2}) {
      EXPECT_TRUE(std::isfinite(loss[r]));
      EXPECT_TRUE(std::isfinite(s.logit(r, 5)));
    }
  }
}

TEST_P(SoftmaxPassCpu, one_nan_logit_makes_its_row_nan) {
  Sample s({.type = LogitType::kFloat16, .rows = 2, .vocab = 50});
  s.set(0, 49, std::nan(""));
  float loss[2], lse[2];
  cross_entropy_pass_cpu_on(GetParam(), s.cross_entropy(loss, lse), 1);
  EXPECT_TRUE(std::isnan(loss[0]));
  EXPECT_TRUE(std::isnan(s.logit(0, 0)));
  EXPECT_TRUE(std::isfinite(loss[1]));
}

TEST_P(SoftmaxPassCpu, every_16_bit_logit_is_read_exactly) {
  for (const LogitType type : {LogitType::kFloat16, LogitType::kBfloat16}) {
    Sample s({.type = type, .rows = 1 << 16, .vocab = 1});
    for (std::int64_t r = 0; r < s.c.rows; ++r) {
      const auto bits = static_cast<std::uint16_t>(r);
      std::memcpy(s.row(r), &bits, 2);
    }
    std::vector<float> loss(1 << 16), lse(1 << 16);
    CrossEntropyPass pass = s.cross_entropy(loss.data(), lse.data());
    pass.write_gradient = false;
    cross_entropy_pass_cpu_on(GetParam(), pass, 1);
    for (std::int64_t r = 0; r < s.c.rows; ++r) {  // of one class, lse is the logit
      if (std::isfinite(s.logit(r, 0))) {
        ASSERT_EQ(static_cast<double>(lse[static_cast<std::size_t>(r)]), s.logit(r, 0)) << std::hex << r;
      }
    }
  }
}

TEST_P(SoftmaxPassCpu, gradients_are_rounded_once_to_nearest_even) {
  constexpr std::int64_t kRows = 20000;
  for (const LogitType type : {LogitType::kFloat16, LogitType::kBfloat16}) {
    Sample s({.type = type, .rows = kRows, .vocab = 2});
    std::mt19937 random(5);
    std::vector<float> statistics(3 * kRows, 0.0f);
    for (std::int64_t r = 0; r < kRows; ++r) {
      s.set(r, 0, 0.0);
      s.set(r, 1, -kInfinity);
      s.labels[static_cast<std::size_t>(r)] = 1;
      // Any exponent; every third has at most the bits that make halfway cases.
      const auto bits = static_cast<std::uint32_t>(random());
      const std::uint32_t kept =
          r % 3 == 0 ? bits & (type == LogitType::kFloat16 ? 0xfffff000u : 0xffff8000u) : bits;
      float g0 = 0.0f;
      std::memcpy(&g0, &kept, 4);
      if (type == LogitType::kFloat16)
        g0 = std::ldexp(1.0f + std::fabs(std::remainder(g0, 1.0f)), static_cast<int>(random() % 44) - 26);
      s.upstream[static_cast<std::size_t>(3 * r)] = std::isfinite(g0) ? g0 : 1.0f;
      s.upstream[static_cast<std::size_t>(3 * r + 1)] = s.upstream[static_cast<std::size_t>(3 * r + 2)] =
          0.0f;
    }
    // p = (1, 0): the gradient of logit 1 is upstream[0] itself.
    token_statistics_gradient_pass_cpu_on(GetParam(),
                                          {.logits = s.logits(),
                                           .tokens = s.labels.data(),
                                           .statistics = statistics.data(),
                                           .upstream = s.upstream.data()},
                                          1);
    for (std::int64_t r = 0; r < kRows; ++r) {
      std::uint16_t wanted = 0, found = 0;
      cases::encode(static_cast<double>(s.upstream[static_cast<std::size_t>(3 * r)]), &wanted, type);
      std::memcpy(&found, s.row(r) + 2, 2);
      ASSERT_EQ(found, wanted) << s.upstream[static_cast<std::size_t>(3 * r)];
    }
  }
}

TEST_P(SoftmaxPassCpu, without_gradient_the_logits_are_left_alone) {
  Sample s({.rows = 3, .vocab = 129});
  const auto before = s.allocation;
  float loss[3] = {}, lse[3] = {};
  CrossEntropyPass pass = s.cross_entropy(loss, lse);
  pass.write_gradient = false;
  cross_entropy_pass_cpu_on(GetParam(), pass, 1);
  EXPECT_EQ(s.allocation, before);
  EXPECT_GT(loss[0], 0.0f);
}

TEST_P(SoftmaxPassCpu, threads_do_not_change_a_bit) {
  const Case c{.type = LogitType::kFloat32, .rows = 64, .vocab = 5000};
  Sample one(c), many(c);
  std::vector<float> loss_one(64), loss_many(64), lse(64);
  cross_entropy_pass_cpu_on(GetParam(), one.cross_entropy(loss_one.data(), lse.data()), 1);
  cross_entropy_pass_cpu_on(GetParam(), many.cross_entropy(loss_many.data(), lse.data()), 8);
  EXPECT_EQ(loss_one, loss_many);
  EXPECT_EQ(one.allocation, many.allocation);
}

INSTANTIATE_TEST_SUITE_P(every_instruction_set, SoftmaxPassCpu,
                         ::testing::ValuesIn(softmax_pass_instruction_sets()),
                         [](const auto& info) { return info.param; });

TEST(SoftmaxPassArguments, no_rows_is_nothing_to_do) {
  EXPECT_NO_THROW(cross_entropy_pass_cpu({}, 0));
  EXPECT_NO_THROW(token_statistics_pass_cpu({}, 0));
  EXPECT_NO_THROW(token_statistics_gradient_pass_cpu({}, 0));
}

TEST(SoftmaxPassArguments, labels_out_of_range_are_refused_before_anything_is_written) {
  for (const std::int64_t label : {std::int64_t{-1}, std::int64_t{1000}, std::int64_t{1} << 40}) {
    Sample s({});
    s.labels[4] = label;
    const auto before = s.allocation;
    float loss[5] = {9, 9, 9, 9, 9}, lse[5];
    EXPECT_THROW(cross_entropy_pass_cpu(s.cross_entropy(loss, lse), 2), std::invalid_argument);
    EXPECT_EQ(s.allocation, before);
    EXPECT_EQ(loss[0], 9.0f);
  }
}

TEST(SoftmaxPassArguments, what_cannot_be_is_refused) {
  float loss[5], lse[5];
  const auto refused = [&](auto change) {
    Sample s({});
    CrossEntropyPass pass = s.cross_entropy(loss, lse);
    change(pass);
    EXPECT_THROW(cross_entropy_pass_cpu(pass, 1), std::invalid_argument);
  };
  refused([](CrossEntropyPass& p) { p.logits.data = nullptr; });
  refused([](CrossEntropyPass& p) { p.logits.data = static_cast<char*>(p.logits.data) + 1; });
  refused([](CrossEntropyPass& p) { p.logits.rows = -1; });
  refused([](CrossEntropyPass& p) { p.logits.vocab = 0; });
  refused([](CrossEntropyPass& p) { p.logits.stride = p.logits.vocab - 1; });
  refused([](CrossEntropyPass& p) { p.logits.stride = std::int64_t{1} << 62; });
  refused([](CrossEntropyPass& p) { p.logits.type = static_cast<LogitType>(7); });
  refused([](CrossEntropyPass& p) { p.logits.transform.temperature = 0.0; });
  refused([](CrossEntropyPass& p) { p.logits.transform.softcap = std::nan(""); });
  refused([](CrossEntropyPass& p) { p.label_smoothing = 1.5f; });
  refused([](CrossEntropyPass& p) { p.label_smoothing = std::nanf(""); });
  refused([](CrossEntropyPass& p) { p.z_loss = std::numeric_limits<float>::infinity(); });
  refused([](CrossEntropyPass& p) { p.labels = nullptr; });
  refused([](CrossEntropyPass& p) { p.loss = nullptr; });
}

TEST(SoftmaxPassArguments, unknown_instruction_sets_are_refused) {
  EXPECT_THROW(cross_entropy_pass_cpu_on("AVX9000", {}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::backprop
