// SPDX-License-Identifier: Apache-2.0
// How a wrong implementation of a piece is declared, and for which cases its fault shows. Each runs on both
// devices; files are named after it.
#pragma once

#include <functional>
#include <string>

#include "harness/verify/verify.hpp"
#include "suites/compile/attention/case_tensors.hpp"
#include "suites/compile/pointwise/torch_adapter.hpp"

namespace assay::suites::compile::mutants {

struct Mutant {
  Piece piece = Piece::kRmsNorm;
  std::string name;
  const char* check = harness::checks::kParity;  ///< one of harness::checks
  std::string about;
  std::function<TorchCall()> make_call;                ///< at each prepare, so that a call may keep state
  std::function<bool(const PointwiseCase&)> shows_in;  ///< cases in which the fault can be seen
};
/// Registers it for the CPU and for CUDA. Returns true, so that a static constant can hold it.
bool register_mutant(const Mutant& mutant);

/// `call` without state.
std::function<TorchCall()> stateless(TorchCall call);

/// Attention of all the case's parts, which `spoil` may change before, by `math`. All are caught by `parity`.
struct AttentionMutant {
  std::string name, about;
  std::function<void(const AttentionCase& c, Part& part)> spoil = {};
  PartMath math = {};
  std::function<bool(const AttentionCase&)> shows_in;
};
bool register_mutant(const AttentionMutant& mutant);

}  // namespace assay::suites::compile::mutants
