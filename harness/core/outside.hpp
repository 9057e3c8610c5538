// SPDX-License-Identifier: Apache-2.0
// Code from outside: how a suite hands its cases to code that it was not built with, and what calls in
// another process look like to the rest of the harness.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outcome.hpp"

namespace assay::harness {

/// Address of a symbol that a loaded library exports; null when it does not.
using Lookup = std::function<void*(const char* symbol)>;

/// A fact of a case beside the names, dtypes and shapes of its tensors, as a text protocol carries it.
using Attribute = std::variant<bool, std::int64_t, std::string>;

struct OutsideInterface {
  /// One call of the library's function, CallStyle::kInto. Throws Skip where the library does not offer it,
  /// and std::runtime_error where it was built for another interface; so may the call.
  std::function<Invocation(const Lookup&, const Case&, const TensorSet& inputs, TensorSet& outputs)> bind;
  std::function<std::map<std::string, Attribute>(const Case&)> attributes;
};

/// An implementation prepared on every set of a rotation in a process of its own.
struct RemoteCalls {
  std::int64_t sets = 0;
  /// Nanoseconds of this process's clock from the request of `count` calls, on the sets from `first` on,
  /// until the answer that all their work has ended. Copies nothing; looks at what was written, and throws
  /// RowEnded.
  /// Windows of one `round`, of whatever process, begin on the same core: a core that others keep busy must
  /// not be one side's alone.
  std::function<double(std::int64_t first, std::int64_t count, std::int64_t round)> window_ns;
  std::function<Memory()> memory;  ///< peak of one call, seen from this process
};

/// Thrown by a call that knows how its row ends: its process died, hung, took too much memory or was caught.
struct RowEnded : std::exception {
  RowEnded(std::string implementation, Outcome how)
      : who(std::move(implementation)), outcome(std::move(how)), text(who + ": " + outcome_reason(outcome)) {}
  const char* what() const noexcept override { return text.c_str(); }

  std::string who;
  Outcome outcome;
  std::string text;
};

}  // namespace assay::harness
