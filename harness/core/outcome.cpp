// SPDX-License-Identifier: Apache-2.0
// Names and reasons of outcomes, as records and messages print them.
#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

std::string outcome_name(const Outcome& outcome) {
  return std::visit(Overloaded{
                        [](const Passed&) { return "passed"; },
                        [](const Wrong&) { return "wrong"; },
                        [](const Skipped&) { return "skipped"; },
                        [](const Failed&) { return "failed"; },
                        [](const TimedOut&) { return "timed_out"; },
                        [](const OutOfMemoryOutcome&) { return "out_of_memory"; },
                    },
                    outcome);
}

std::string outcome_reason(const Outcome& outcome) {
  return std::visit(Overloaded{
                        [](const Passed&) { return std::string(); },
                        [](const Wrong& wrong) {
                          return wrong.check.empty() ? wrong.reason : wrong.check + ": " + wrong.reason;
                        },
                        [](const auto& other) { return other.reason; },
                    },
                    outcome);
}

}  // namespace assay::harness
