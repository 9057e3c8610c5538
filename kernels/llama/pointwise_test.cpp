// SPDX-License-Identifier: Apache-2.0
// The pointwise kernels on the CPU: every instruction set of this machine over the case tables, and what is
// refused.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "kernels/llama/pointwise_cases_test.hpp"
#include "kernels/llama/pointwise_cpu.hpp"

namespace assay::kernels::llama {
namespace {

cases::Machine machine(const std::string& set, int threads) {
  return {[](cases::Arena& arena, const auto& body) { body(arena.data()); },
          [=](const RmsNormForward& a) { rms_norm_cpu_on(set, a, threads); },
          [=](const RmsNormBackward& a) { rms_norm_backward_cpu_on(set, a, threads); },
          [=](const Rope& a) { rope_cpu_on(set, a, threads); },
          [=](const SwigluForward& a) { swiglu_cpu_on(set, a, threads); },
          [=](const SwigluBackward& a) { swiglu_backward_cpu_on(set, a, threads); }};
}
cases::Machine dispatched() {
  return {[](cases::Arena& arena, const auto& body) { body(arena.data()); },
          [](const RmsNormForward& a) { rms_norm_cpu(a, 0); },
          [](const RmsNormBackward& a) { rms_norm_backward_cpu(a, 0); },
          [](const Rope& a) { rope_cpu(a, 0); },
          [](const SwigluForward& a) { swiglu_cpu(a, 0); },
          [](const SwigluBackward& a) { swiglu_backward_cpu(a, 0); }};
}

class PointwiseCpu : public ::testing::TestWithParam<std::string> {};

TEST_P(PointwiseCpu, the_norm_is_the_formula_in_every_case) {
  for (const cases::NormCase& c : cases::norm_cases(false)) cases::expect_norm(c, machine(GetParam(), 1));
}
TEST_P(PointwiseCpu, rope_is_the_formula_in_every_case) {
  for (const cases::RopeCase& c : cases::rope_cases(false)) cases::expect_rope(c, machine(GetParam(), 1));
  cases::expect_exact_angles(machine(GetParam(), 1));
}
TEST_P(PointwiseCpu, swiglu_is_the_formula_in_every_case) {
  for (const cases::SwigluCase& c : cases::swiglu_cases(false))
    cases::expect_swiglu(c, machine(GetParam(), 1));
}
TEST_P(PointwiseCpu, infinities_and_nan_stay_where_they_are) {
  for (const ElementType type : cases::kTypes) cases::expect_extremes(type, machine(GetParam(), 1));
}
TEST_P(PointwiseCpu, the_number_of_threads_changes_no_bit) {
  EXPECT_EQ(cases::outputs_of_everything(machine(GetParam(), 1)),
            cases::outputs_of_everything(machine(GetParam(), 5)));
}

INSTANTIATE_TEST_SUITE_P(Sets, PointwiseCpu, ::testing::ValuesIn(pointwise_instruction_sets()),
                         [](const auto& info) { return info.param; });

TEST(PointwiseCpuDispatch, large_cases_are_right_on_all_threads) {
  for (const cases::NormCase& c : cases::norm_cases(true)) {
    if (c.rows * c.hidden > 100000)
      cases::expect_norm(c, dispatched());
  }
  for (const cases::SwigluCase& c : cases::swiglu_cases(true)) {
    if (c.rows * c.columns > 100000)
      cases::expect_swiglu(c, dispatched());
  }
  cases::expect_rope(
      {.batches = 2, .length = 129, .q_heads = 32, .k_heads = 8, .head_dim = 128, .position_bytes = 8},
      dispatched());
}

TEST(Pointwise, unknown_instruction_sets_are_refused) {
  EXPECT_THROW(rms_norm_cpu_on("abacus", {}, 1), std::invalid_argument);
  EXPECT_THROW(rope_cpu_on("abacus", {}, 1), std::invalid_argument);
  EXPECT_THROW(swiglu_cpu_on("abacus", {}, 1), std::invalid_argument);
}

/// Refused on the CPU and, before anything is asked of a device, on the GPU.
template <class Args, class Change>
void expect_refused(Args args, void (*cpu)(const Args&, int), void (*gpu)(const Args&, cudaStream_t),
                    Change change) {
  EXPECT_NO_THROW(cpu(args, 1));
  change(args);
  EXPECT_THROW(cpu(args, 1), std::invalid_argument);
  EXPECT_THROW(gpu(args, nullptr), std::invalid_argument);
}

TEST(Pointwise, bad_norms_are_refused) {
  alignas(16) float x[8] = {}, y[8] = {}, w[8] = {}, rstd[2] = {};
  RmsNormForward right;
  right.type = ElementType::kFloat32, right.rows = 2, right.hidden = 4;
  right.x.data = x, right.y.data = y, right.weight = w;
  const auto refused = [&](auto change) { expect_refused(right, rms_norm_cpu, rms_norm, change); };
  refused([](auto& a) { a.x.data = nullptr; });
  refused([](auto& a) { a.y.data = nullptr; });
  refused([](auto& a) { a.weight = nullptr; });
  refused([](auto& a) { a.x.stride = 3; });
  refused([](auto& a) { a.rows = -1; });
  refused([](auto& a) { a.hidden = std::int64_t{1} << 31; });
  refused([](auto& a) { a.eps = -1.0f; });
  refused([](auto& a) { a.eps = NAN; });
  refused([&](auto& a) { a.residual.data = x; });  // and nowhere for the sum
  refused([](auto& a) { a.type = static_cast<ElementType>(7); });
  refused([&](auto& a) { a.x.data = reinterpret_cast<const char*>(x) + 1; });
  RmsNormBackward back;
  back.type = ElementType::kFloat32, back.rows = 2, back.hidden = 4;
  back.h.data = x, back.dy.data = x, back.dh.data = y, back.weight = w, back.rstd = rstd;
  const auto refused_back = [&](auto change) {
    expect_refused(back, rms_norm_backward_cpu, rms_norm_backward, change);
  };
  refused_back([](auto& a) { a.rstd = nullptr; });
  refused_back([](auto& a) { a.dy.data = nullptr; });
  refused_back([&](auto& a) { a.dw = w; });  // and no workspace
}

TEST(Pointwise, bad_rope_is_refused) {
  float x[8] = {}, frequency[2] = {};
  Rope right;
  right.type = ElementType::kFloat32, right.length = 2, right.head_dim = 4;
  right.q = {x, x, 1, token_major(2, 1, 4), token_major(2, 1, 4)};
  right.inverse_frequency = frequency;
  const auto refused = [&](auto change) { expect_refused(right, rope_cpu, rope, change); };
  refused([](auto& a) { a.head_dim = 3; });
  refused([](auto& a) { a.head_dim = 2048; });
  refused([](auto& a) { a.length = std::int64_t{1} << 31; });
  refused([](auto& a) { a.q.out = nullptr; });
  refused([](auto& a) { a.q.heads = -1; });
  refused([](auto& a) { a.q.out_strides.token = 2; });
  refused([](auto& a) { a.inverse_frequency = nullptr; });
  refused([&](auto& a) { a.position_type = static_cast<PositionType>(9); });
  refused([&](auto& a) { a.positions = reinterpret_cast<const char*>(x) + 4; });
}

TEST(Pointwise, bad_swiglu_is_refused) {
  float x[8] = {}, y[8] = {};
  const SwigluForward right{ElementType::kFloat32, 2, 4, {x, 4}, {x, 4}, {y, 4}};
  const auto refused = [&](auto change) { expect_refused(right, swiglu_cpu, swiglu, change); };
  refused([](auto& a) { a.gate.data = nullptr; });
  refused([](auto& a) { a.up.stride = 1; });
  refused([](auto& a) { a.columns = -4; });
  const SwigluBackward back{ElementType::kFloat32, 2, 4, {x, 4}, {x, 4}, {x, 4}, {y, 4}, {y, 4}, {}};
  expect_refused(back, swiglu_backward_cpu, swiglu_backward, [](auto& a) { a.dup.data = nullptr; });
  expect_refused(back, swiglu_backward_cpu, swiglu_backward,
                 [](auto& a) { a.type = static_cast<ElementType>(3); });
}

TEST(Pointwise, nothing_to_do_touches_nothing) {
  rms_norm({}, nullptr), rms_norm_cpu({}, 1);
  rms_norm_backward({}, nullptr), rms_norm_backward_cpu({}, 1);
  Rope empty;
  empty.head_dim = 64;
  rope(empty, nullptr), rope_cpu(empty, 1);
  swiglu({}, nullptr), swiglu_cpu({}, 1);
  swiglu_backward({}, nullptr), swiglu_backward_cpu({}, 1);
}

TEST(Pointwise, without_rows_the_gradient_of_the_weight_is_zero) {
  float dw[3] = {1, 2, 3};
  RmsNormBackward args{.type = ElementType::kFloat32, .rows = 0, .hidden = 3};
  args.dw = dw;
  EXPECT_EQ(rms_norm_workspace_bytes(args), 0);
  rms_norm_backward_cpu(args, 1);
  for (const float each : dw) EXPECT_EQ(each, 0.0f);
}

}  // namespace
}  // namespace assay::kernels::llama
