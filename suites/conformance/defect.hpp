// SPDX-License-Identifier: Apache-2.0
// A defect that users reported upstream as a case: one check, asked about our code and about a mutant that
// has the fault. The check must accept ours and reject the mutant.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::conformance {

inline constexpr const char* kChallenge = "conformance/upstream";

/// The verdict of a check: not what the case demands. Anything else that leaves a check is an accident, which
/// rejects nobody.
struct Rejected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What users reported, and which of our paths (paths.hpp) is asked about it.
struct Report {
  const char* project;  ///< "bitsandbytes-foundation/bitsandbytes"
  int number;           ///< of the issue or pull request
  const char* fault;    ///< one line
  const char* path;
};

struct Defect {
  Report report;
  std::function<void()> ours, mutant;  ///< the same check about either
  /// The same check about the mutant without its fault, which must be accepted: nothing else is wrong with
  /// it. Null where the mutant is ours with the fault around it.
  std::function<void()> mended = nullptr;
  bool needs_gpu = false;

  std::string name() const;  ///< "bitsandbytes-2067"
};

template <class Subject>
Defect defect(const Report& report, std::type_identity_t<Subject> ours, std::type_identity_t<Subject> mutant,
              void (*check)(const Subject&), std::optional<std::type_identity_t<Subject>> mended = {}) {
  const auto judged = [check](Subject subject) {
    return std::function<void()>([subject = std::move(subject), check] { check(subject); });
  };
  Defect out{.report = report, .ours = judged(std::move(ours)), .mutant = judged(std::move(mutant))};
  if (mended)
    out.mended = judged(std::move(*mended));
  return out;
}

/// Evidence as JSON text: project, number, fault, path, ours "passed", mutant "rejected", what the mutant was
/// rejected for. Throws std::runtime_error where ours is rejected, the mutant is not, or it is without its
/// fault; harness::Skip without the GPU that a defect needs.
std::string judge(const Defect& defect, const harness::DeviceFacts& facts);

/// Throws Rejected where it does not hold.
void demand(bool holds, const std::string& expected, const std::string& found);
/// ‖found − truth‖ / ‖truth‖ at most `limit`, in words.
void demand_error(const std::string& what, double error, double limit);

/// The result of `call`; what it throws is no answer.
template <class Call>
auto answer(const Call& call) {
  try {
    return call();
  } catch (const Rejected&) {
    throw;
  } catch (const std::exception& error) {
    throw Rejected(std::string("expected an answer, found the error: ") + error.what());
  }
}

/// `call` must refuse: throw std::invalid_argument.
template <class Call>
void demand_refusal(const std::string& of, const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return;
  }
  throw Rejected("expected " + of + " to be refused, found it taken without a word");
}

}  // namespace assay::suites::conformance
