// SPDX-License-Identifier: Apache-2.0
// Right or wrong: numbers against the oracle, and safety around the call. A wrong result names the check that
// saw it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outcome.hpp"

namespace assay::harness {

/// Errors of the plain same-precision baseline on the same inputs, per output tensor: what candidates are
/// held against.
struct OutputErrors {
  std::string output;
  double rel_err = 0;
  std::vector<double> tile_rms;  ///< row-major over 128×128 tiles of the matrix (vectors: 1×16384)
  std::vector<double> tile_max;
};
struct BaselineErrors {
  std::vector<OutputErrors> outputs;
};

/// Pure: judges outputs that lie on the CPU. With `rule.exact`, bits must equal oracle.exact (f64 truth still
/// gives rel_err, ULP histogram). Otherwise needs `baseline`: per element |out − truth| ≤ k · (largest
/// baseline error of its tile) + floor, per tile RMS likewise. Comparisons are positive-form: NaN never
/// passes. Uses all cores.
Parity compare(const TensorSet& outputs, const Oracle& oracle, const ParityRule& rule,
               const BaselineErrors* baseline);
BaselineErrors measure_errors(const TensorSet& outputs, const Oracle& oracle);
bool passes(const Parity& parity);

/// Names of the checks, in the order they run (canary and input_mutated once more at the end); a mutant's
/// `expected_check` is one of these.
namespace checks {
inline constexpr const char* kRunError = "run_error";          // exception, sticky CUDA error
inline constexpr const char* kCanary = "canary";               // wrote outside an output
inline constexpr const char* kInputMutated = "input_mutated";  // input bytes changed
inline constexpr const char* kUnwritten = "unwritten";  // poison left / result depends on prior contents
inline constexpr const char* kParity = "parity";
inline constexpr const char* kStaleInput = "stale_input";  // answer does not follow changed inputs (cached)
inline constexpr const char* kStream = "stream";           // work not ordered on the given stream
// before graph_replay: a call that waits cannot be captured either, and waiting is the reason to be told
inline constexpr const char* kHostSync = "host_sync";  // blocked the host though none is declared
inline constexpr const char* kGraphReplay =
    "graph_replay";  // capture fails, or Nth replay (CPU: Nth call) differs
inline constexpr const char* kDeterminism = "determinism";   // declared deterministic, bits differ
inline constexpr const char* kLateWrite = "late_write";      // another process: written after the return
inline constexpr const char* kTimedOutput = "timed_output";  // outputs after timing differ from verified ones
}  // namespace checks

struct VerifyResult {
  Outcome outcome;                       ///< Passed without timings, or what went wrong
  std::optional<BaselineErrors> errors;  ///< of a baseline that passed: what others are held against
};

/// Runs every check on one implementation. `host_inputs` hold the case's inputs on the CPU; `second_inputs`
/// are the same case with another seed (stale_input, graph_replay after inputs change in place). Never throws
/// for a fault of the implementation; throws Interrupted (core/interrupt.hpp) on Ctrl-C.
VerifyResult verify(const Challenge& challenge, const Case& which, const Implementation& implementation,
                    const TensorSet& host_inputs, const TensorSet& second_inputs, const Oracle& oracle,
                    const Oracle& second_oracle, const BaselineErrors* baseline);

}  // namespace assay::harness
