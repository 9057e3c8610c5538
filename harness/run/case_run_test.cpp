// SPDX-License-Identifier: Apache-2.0
// Which calls a measured case makes of an implementation.
#include "harness/run/case_run.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "harness/core/outside.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

struct Calls {
  int into = 0, allocating = 0;
};

Implementation counted(const char* name, Role role, const std::shared_ptr<Calls>& calls) {
  Implementation out;
  out.name = name;
  out.role = role;
  out.device = DeviceKind::kCpu;
  out.headline_baseline = role == Role::kBaseline;
  out.deterministic = false;
  out.prepare = [calls](const Case&, const TensorSet& inputs, TensorSet& outputs, CallStyle style) {
    return [calls, style, from = inputs.at("x").as<float>(), to = outputs.at("y").as<float>()](Stream) {
      if (style == CallStyle::kInto)
        ++calls->into, to[0] = from[0];
      else
        ++calls->allocating;
    };
  };
  return out;
}

Challenge copy_of_one_number() {
  Challenge challenge;
  challenge.suite = "made", challenge.name = "made/up";
  challenge.parity = {.exact = false, .k = 1.0, .floor_ulp = 1.0};
  Case only;
  only.name = "one";
  challenge.cases = {only};
  challenge.make_inputs = [](const Case&, std::uint64_t seed) {
    TensorSet set(DeviceKind::kCpu);
    *set.add({"x", Dtype::kFloat32, {1}}).as<float>() = 1.0f + static_cast<float>(seed % 97);
    return set;
  };
  challenge.outputs = [](const Case&) { return std::vector<TensorSpec>{{"y", Dtype::kFloat32, {1}}}; };
  challenge.oracle = [](const Case&, const TensorSet& inputs) {
    Oracle oracle;
    oracle.truth = [x = double{*inputs.at("x").as<float>()}](std::string_view, std::int64_t,
                                                             std::span<double> out) { out[0] = x; };
    return oracle;
  };
  challenge.work = [](const Case&) { return Work{.bytes = 8}; };
  return challenge;
}

/// Outcomes of the plain one and of `peer`.
std::vector<Outcome> run_pair(const Implementation& peer, const RunOptions& options) {
  Challenge challenge = copy_of_one_number();
  challenge.implementations = {counted("plain", Role::kBaseline, std::make_shared<Calls>()), peer};
  const DeviceInfo device = describe(DeviceKind::kCpu);
  const std::optional<Ceilings> ceilings;
  CaseRun run(challenge, challenge.cases.front(), device, options, ceilings, [](const std::string&) {});
  std::vector<Outcome> outcomes;
  for (auto& [implementation, outcome] :
       run.run({&challenge.implementations[0], &challenge.implementations[1]}))
    outcomes.push_back(std::move(outcome));
  return outcomes;
}

/// Calls of a peer while it is verified alone, and while it is measured too.
Calls calls_of_peer(bool copies_results, bool measure) {
  const auto calls = std::make_shared<Calls>();
  Implementation peer = counted("peer", Role::kPeer, calls);
  peer.copies_results = copies_results;
  RunOptions options;
  options.measure = measure;
  for (const Outcome& outcome : run_pair(peer, options))
    EXPECT_TRUE(std::holds_alternative<Passed>(outcome)) << outcome_reason(outcome);
  return *calls;
}

TEST(CaseRun, results_in_memory_of_their_own_are_not_copied_while_time_is_taken) {
  const Calls verified = calls_of_peer(true, false), measured = calls_of_peer(true, true);
  EXPECT_EQ(measured.into, verified.into);
  EXPECT_GT(measured.allocating, 100);
  const Calls others = calls_of_peer(false, true);
  EXPECT_GT(others.into, verified.into + 100);
}

TEST(CaseRun, who_promises_the_same_bits_cannot_leave_its_outputs_unwritten) {
  Implementation peer = counted("peer", Role::kPeer, std::make_shared<Calls>());
  peer.copies_results = peer.deterministic = true;
  const std::vector<Outcome> outcomes = run_pair(peer, {});
  EXPECT_TRUE(std::holds_alternative<Passed>(outcomes[0]));
  EXPECT_TRUE(std::holds_alternative<Failed>(outcomes[1]));
}

/// Calls elsewhere that take a millisecond each, or end as timed out once they are to be timed.
Implementation elsewhere(const char* name, Role role, bool ends) {
  Implementation out = counted(name, role, std::make_shared<Calls>());
  out.prepare_remote = [name, ends](const Case&, const std::vector<TensorSet>& inputs) {
    const auto window_ns = [name, ends](std::int64_t, std::int64_t count, std::int64_t) {
      if (ends)
        throw RowEnded(name, TimedOut{"too long"});
      return 1e6 * static_cast<double>(count);
    };
    return RemoteCalls{static_cast<std::int64_t>(inputs.size()), window_ns, [] { return Memory{}; }};
  };
  return out;
}

Outcome outcome_of_peer(bool baseline_ends, bool peer_ends) {
  Challenge challenge = copy_of_one_number();
  challenge.implementations = {elsewhere("plain", Role::kBaseline, baseline_ends),
                               elsewhere("peer", Role::kPeer, peer_ends)};
  const DeviceInfo device = describe(DeviceKind::kCpu);
  const RunOptions options;
  const std::optional<Ceilings> ceilings;
  CaseRun run(challenge, challenge.cases.front(), device, options, ceilings, [](const std::string&) {});
  return run.run({&challenge.implementations[0], &challenge.implementations[1]})[1].second;
}

TEST(CaseRun, calls_elsewhere_are_timed_in_one_mode) {
  const Outcome outcome = outcome_of_peer(false, false);
  const auto* passed = std::get_if<Passed>(&outcome);
  ASSERT_NE(passed, nullptr) << outcome_reason(outcome);
  ASSERT_EQ(passed->timings.size(), 1u);
  EXPECT_EQ(passed->timings.front().candidate_ns, 1e6);
}

TEST(CaseRun, a_row_ends_as_its_call_says) {
  EXPECT_EQ(outcome_name(outcome_of_peer(false, true)), "timed_out");
}

TEST(CaseRun, a_baseline_that_ends_elsewhere_is_not_blamed_on_who_is_judged) {
  const Outcome outcome = outcome_of_peer(true, false);
  EXPECT_EQ(outcome_name(outcome), "failed");
  EXPECT_EQ(outcome_reason(outcome), "its baseline ended before it: plain: too long");
}

}  // namespace
}  // namespace assay::harness
