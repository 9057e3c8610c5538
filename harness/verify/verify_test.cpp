// SPDX-License-Identifier: Apache-2.0
// How verify() ends where nothing is wrong with numbers, and at the edges: outcomes of exceptions, exact
// parity, scalars, empty outputs, baselines. The faults that each check must see are in harness/selftest.
#include "harness/verify/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <new>

namespace assay::harness {
namespace {

using Body = std::function<void(const TensorView& x, const TensorView& y)>;
using testing::HasSubstr;

/// y = x over `shape` in f32; the seed is added to every element.
struct Copying {
  Challenge challenge;
  Case which;
  TensorSet inputs{DeviceKind::kCpu}, second{DeviceKind::kCpu};

  explicit Copying(std::vector<std::int64_t> shape, bool exact = true, double seed_step = 1.0) {
    challenge.name = "test/copy";
    challenge.parity = {.exact = exact, .k = 1.0, .floor_ulp = 0.0};
    challenge.outputs = [shape](const Case&) {
      return std::vector<TensorSpec>{{"y", Dtype::kFloat32, shape}};
    };
    which.name = "case";
    fill(inputs, shape, 0.0);
    fill(second, shape, seed_step);
  }

  static void fill(TensorSet& set, const std::vector<std::int64_t>& shape, double offset) {
    const TensorView& x = set.add({"x", Dtype::kFloat32, shape});
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      x.as<float>()[i] = static_cast<float>(static_cast<double>(i % 251) + 1.0 + offset);
    }
  }

  static Oracle oracle(const TensorSet& of) {
    const TensorView x = of.at("x");
    Oracle result;
    result.truth = [x](std::string_view, std::int64_t begin, std::span<double> out) {
      std::copy_n(x.as<float>() + begin, out.size(), out.begin());
    };
    result.exact = [x](std::string_view, std::int64_t begin, std::int64_t count, std::byte* out) {
      std::memcpy(out, x.as<float>() + begin, static_cast<std::size_t>(count) * sizeof(float));
    };
    return result;
  }

  VerifyResult judge(const Implementation& implementation, const BaselineErrors* baseline = nullptr) const {
    return verify(challenge, which, implementation, inputs, second, oracle(inputs), oracle(second), baseline);
  }
};

Implementation calling(Body body, Role role = Role::kCandidate) {
  Implementation implementation;
  implementation.name = "tested";
  implementation.role = role;
  implementation.device = DeviceKind::kCpu;
  implementation.prepare = [body](const Case&, const TensorSet& inputs, TensorSet& outputs, CallStyle) {
    return Invocation([x = inputs.at("x"), y = outputs.at("y"), body](Stream) { body(x, y); });
  };
  return implementation;
}

void copy(const TensorView& x, const TensorView& y) {
  std::memcpy(y.data, x.data, x.bytes());
}

/// Copies with a relative error.
Body copy_times(float factor) {
  return [factor](const TensorView& x, const TensorView& y) {
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      y.as<float>()[i] = factor * x.as<float>()[i];
    }
  };
}

template <class Exception>
Implementation throwing_in_call(Exception exception) {
  return calling([exception](const TensorView&, const TensorView&) { throw exception; });
}
template <class Exception>
Implementation throwing_in_prepare(Exception exception) {
  Implementation implementation = calling(copy);
  implementation.prepare = [exception](const Case&, const TensorSet&, TensorSet&, CallStyle) -> Invocation {
    throw exception;
  };
  return implementation;
}

template <class Kind>
std::string reason_of(const VerifyResult& result) {
  EXPECT_TRUE(std::holds_alternative<Kind>(result.outcome)) << outcome_name(result.outcome);
  return outcome_reason(result.outcome);
}

TEST(Verify, a_right_copy_passes_with_its_figures) {
  const VerifyResult result = Copying({130, 140}).judge(calling(copy));
  const auto* passed = std::get_if<Passed>(&result.outcome);
  ASSERT_NE(passed, nullptr) << outcome_reason(result.outcome);
  EXPECT_EQ(passed->parity.elements, 130 * 140);
  EXPECT_EQ(passed->parity.mismatches, 0);
  EXPECT_TRUE(passed->timings.empty()) << "verify measures no time";
  EXPECT_FALSE(result.errors.has_value()) << "exact parity needs no tolerance";
}

TEST(Verify, one_wrong_bit_is_rejected_with_place_and_values) {
  const VerifyResult result = Copying({130, 140}).judge(calling([](const TensorView& x, const TensorView& y) {
    copy(x, y);
    y.as<float>()[129 * 140 + 7] = -1.0f;
  }));
  const auto* wrong = std::get_if<Wrong>(&result.outcome);
  ASSERT_NE(wrong, nullptr);
  EXPECT_EQ(wrong->check, checks::kParity);
  EXPECT_THAT(wrong->reason, HasSubstr("[129, 7] of 'y'"));
  EXPECT_THAT(wrong->reason, HasSubstr("found -1"));
  ASSERT_TRUE(wrong->parity.has_value());
  EXPECT_EQ(wrong->parity->first_bad_index, 129 * 140 + 7);
}

TEST(Verify, an_unwritten_element_is_named) {
  const VerifyResult result = Copying({4, 5}).judge(calling([](const TensorView& x, const TensorView& y) {
    std::memcpy(y.data, x.data, x.bytes() - sizeof(float));
  }));
  EXPECT_EQ(std::get<Wrong>(result.outcome).check, checks::kUnwritten);
  EXPECT_THAT(outcome_reason(result.outcome),
              HasSubstr("1 of 20 elements were never written, first [3, 4] of 'y'"));
}

TEST(Verify, scalars_and_empty_outputs_can_pass) {
  EXPECT_EQ(outcome_name(Copying({}).judge(calling(copy)).outcome), "passed");
  EXPECT_EQ(outcome_name(Copying({0}).judge(calling([](const TensorView&, const TensorView&) {})).outcome),
            "passed");
}

TEST(Verify, every_exception_has_its_outcome) {
  const Copying challenge({8});
  EXPECT_THAT(reason_of<Failed>(challenge.judge(throwing_in_call(std::runtime_error("broken")))),
              testing::AllOf(HasSubstr("run_error"), HasSubstr("the call threw: broken")));
  EXPECT_THAT(reason_of<Failed>(challenge.judge(throwing_in_prepare(std::logic_error("bad shape")))),
              HasSubstr("prepare threw: bad shape"));
  EXPECT_THAT(reason_of<Failed>(challenge.judge(throwing_in_call(42))), HasSubstr("no std::exception"));
  EXPECT_THAT(reason_of<Skipped>(challenge.judge(throwing_in_prepare(Skip("no library")))),
              HasSubstr("no library"));
  EXPECT_THAT(reason_of<OutOfMemoryOutcome>(challenge.judge(throwing_in_call(OutOfMemory("7 GiB")))),
              HasSubstr("7 GiB"));
  EXPECT_THAT(reason_of<OutOfMemoryOutcome>(challenge.judge(throwing_in_prepare(std::bad_alloc()))),
              HasSubstr("heap"));
}

TEST(Verify, an_implementation_that_prepares_no_call_has_failed) {
  Implementation implementation = calling(copy);
  implementation.prepare = [](const Case&, const TensorSet&, TensorSet&, CallStyle) { return Invocation(); };
  EXPECT_THAT(reason_of<Failed>(Copying({8}).judge(implementation)), HasSubstr("no call"));
}

TEST(Verify, an_answer_computed_in_prepare_is_stale) {
  Implementation implementation = calling(copy);
  implementation.prepare = [](const Case&, const TensorSet& inputs, TensorSet& outputs, CallStyle) {
    const TensorView x = inputs.at("x");
    std::vector<float> kept(x.as<float>(), x.as<float>() + x.numel());
    return Invocation([kept, y = outputs.at("y")](Stream) { std::memcpy(y.data, kept.data(), y.bytes()); });
  };
  const VerifyResult result = Copying({300}).judge(implementation);
  EXPECT_EQ(std::get<Wrong>(result.outcome).check, checks::kStaleInput);
  EXPECT_THAT(outcome_reason(result.outcome), HasSubstr("the old answer came again"));
}

TEST(VerifyTolerance, a_baseline_is_measured_and_candidates_are_held_against_it) {
  const Copying challenge({300, 10}, /*exact=*/false);
  const VerifyResult baseline = challenge.judge(calling(copy_times(1.001f), Role::kBaseline));
  ASSERT_EQ(outcome_name(baseline.outcome), "passed") << outcome_reason(baseline.outcome);
  ASSERT_TRUE(baseline.errors.has_value());
  EXPECT_NEAR(baseline.errors->outputs[0].rel_err, 0.001, 1e-5);
  EXPECT_EQ(outcome_name(challenge.judge(calling(copy), &*baseline.errors).outcome), "passed");
  const VerifyResult worse = challenge.judge(calling(copy_times(0.998f)), &*baseline.errors);
  EXPECT_EQ(std::get<Wrong>(worse.outcome).check, checks::kParity);
}

TEST(VerifyTolerance, without_a_baseline_a_candidate_cannot_be_judged) {
  const std::string reason = reason_of<Failed>(Copying({8}, /*exact=*/false).judge(calling(copy)));
  EXPECT_THAT(reason, HasSubstr("baseline"));
  EXPECT_THAT(reason, testing::Not(HasSubstr("run_error")));
}

TEST(VerifyTolerance, a_baseline_far_from_the_truth_sets_no_tolerance) {
  const VerifyResult result =
      Copying({64}, /*exact=*/false).judge(calling(copy_times(0.5f), Role::kBaseline));
  EXPECT_EQ(std::get<Wrong>(result.outcome).check, checks::kParity);
  EXPECT_THAT(outcome_reason(result.outcome), HasSubstr("near the truth"));
  EXPECT_FALSE(result.errors.has_value());
}

TEST(VerifyTolerance, inputs_that_hardly_change_the_answer_reject_nothing_right) {
  const Copying challenge({64}, /*exact=*/false, /*seed_step=*/1e-6);
  const VerifyResult baseline = challenge.judge(calling(copy_times(1.001f), Role::kBaseline));
  ASSERT_EQ(outcome_name(baseline.outcome), "passed") << outcome_reason(baseline.outcome);
  EXPECT_EQ(outcome_name(challenge.judge(calling(copy_times(0.9995f)), &*baseline.errors).outcome), "passed");
}

}  // namespace
}  // namespace assay::harness
