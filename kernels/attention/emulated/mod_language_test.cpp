// SPDX-License-Identifier: Apache-2.0
// The mod language on the host: values and slopes of its functions against f64, two learnable slots, and what
// sums in fixed point do with numbers that do not fit.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "kernels/attention/device/backward_score.cuh"

namespace assay::kernels::attention::device {
namespace {

using D = Dual<2>;

struct Function {
  const char* name;
  std::function<D(const D&)> dual;
  std::function<double(double)> truth;
  bool positive = false;
};

const std::vector<Function>& functions() {
  static const std::vector<Function> kFunctions = {
      {"negation", [](const D& x) { return -x; }, [](double x) { return -x; }},
      {"sum", [](const D& x) { return 2.0f + x + x - 0.5f; }, [](double x) { return 2 * x + 1.5; }},
      {"product", [](const D& x) { return 3.0f * x * x; }, [](double x) { return 3 * x * x; }},
      {"quotient", [](const D& x) { return x / (x * x + 1.0f); }, [](double x) { return x / (x * x + 1); }},
      {"number over dual", [](const D& x) { return 1.0f / x; }, [](double x) { return 1 / x; }},
      {"exp2", [](const D& x) { return exp2(x); }, [](double x) { return std::exp2(x); }},
      {"exp", [](const D& x) { return exp(x); }, [](double x) { return std::exp(x); }},
      {"log", [](const D& x) { return log(x); }, [](double x) { return std::log(x); }, true},
      {"sqrt", [](const D& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }, true},
      {"abs", [](const D& x) { return abs(x); }, [](double x) { return std::fabs(x); }},
      {"max", [](const D& x) { return max(x, 0.2f) + max(0.2f, x); },
       [](double x) { return 2 * std::fmax(x, 0.2); }},
      {"min", [](const D& x) { return min(x, 0.2f) + min(x * x, x); },
       [](double x) { return std::fmin(x, 0.2) + std::fmin(x * x, x); }},
      {"sigmoid", [](const D& x) { return sigmoid(x); }, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"tanh", [](const D& x) { return tanh(x); }, [](double x) { return std::tanh(x); }},
      {"tanh_approx", [](const D& x) { return tanh_approx(x); }, [](double x) { return std::tanh(x); }},
  };
  return kFunctions;
}

/// 1e-5: f32's own 6e-8 through at most a few operations on numbers below 10, with the cancellation in 1 −
/// y².
TEST(ModLanguage, values_and_slopes_are_those_of_calculus) {
  for (const Function& f : functions()) {
    for (const double x : {-2.5, -0.7, -0.1, 0.05, 0.19, 0.21, 1.5, 4.0}) {
      if (f.positive && x <= 0)
        continue;
      D dual(static_cast<float>(x));
      dual.d[0] = 1.0f, dual.d[1] = -3.0f;  // the chain rule carries every direction
      const D y = f.dual(dual);
      const double at = double{dual.value}, step = 1e-5;
      const double slope = (f.truth(at + step) - f.truth(at - step)) / (2 * step);
      const double scale = 1.0 + std::fabs(f.truth(at)) + std::fabs(slope);
      EXPECT_NEAR(y.value, f.truth(at), 1e-5 * scale) << f.name << " of " << x;
      EXPECT_NEAR(y.d[0], slope, 1e-5 * scale) << f.name << " of " << x;
      EXPECT_NEAR(y.d[1], -3 * slope, 3e-5 * scale) << f.name << " of " << x;
    }
  }
}

TEST(ModLanguage, comparisons_look_at_the_value) {
  const D a(1.0f), b(2.0f);
  EXPECT_TRUE(a < b && b > a && a <= 1.0f && 1.0f >= a);
  EXPECT_FALSE(b < a || a > 1.0f || 2.0f < a);
}

/// x · bias[i] + gain[j]²
struct TwoSlots {
  template <class S>
  S score_mod(S score, int, int h, int, int k, const Buffers& buffers) {
    const S gain = buffers.learnable<S>(1, h);
    return score * buffers.learnable<S>(0, k) + gain * gain;
  }
};
struct TwoSlotsSetup {
  using Mods = TwoSlots;
  static constexpr bool kHasScore = true, kHasDerivative = false;
};

TEST(ModLanguage, two_learnable_slots_have_slopes_of_their_own) {
  const float bias[] = {5.0f, 7.0f}, gain[] = {11.0f, 13.0f, 17.0f};
  const BufferTable table{{bias, gain}, {}, {}};
  const Buffers buffers(table, 1, 2);
  const Slopes<2> s = slopes<TwoSlotsSetup, 2>(3.0f, {0, 2, 0, 1}, buffers);
  EXPECT_EQ(s.value, 3.0f * 7.0f + 17.0f * 17.0f);
  EXPECT_EQ(s.derivative, 7.0f);
  EXPECT_EQ(s.learnable[0], 3.0f);
  EXPECT_EQ(s.learnable[1], 34.0f);
  EXPECT_EQ(buffers.read[0], 1);
  EXPECT_EQ(buffers.read[1], 2);
}

TEST(ModLanguage, sums_in_fixed_point_show_what_does_not_fit) {
  float sum[4] = {};
  unsigned long long fixed[4] = {};
  const LearnableGradient to{sum, fixed};
  const float one = 0x1p40f;
  emulated::run({1, 32}, [&] {
    LearnableSum of_lane;
    of_lane.add(to, one, 0, 0.25f);
    of_lane.add(to, one, 0, -0.125f);
    of_lane.add(to, one, 1, lane_index() == 3 ? NAN : 1.0f);
    of_lane.add(to, one, 2, lane_index() == 5 ? -1e9f : 1.0f);
    of_lane.add(to, one, 3, 1.0f);
    of_lane.finish(to, one);
  });
  const auto total = [&](int i) { return sum[i] + from_fixed(fixed[i], one); };
  EXPECT_EQ(total(0), 32 * 0.125f);
  EXPECT_TRUE(std::isnan(total(1)));
  EXPECT_EQ(total(2), -INFINITY);
  EXPECT_EQ(total(3), 32.0f);
}

}  // namespace
}  // namespace assay::kernels::attention::device
