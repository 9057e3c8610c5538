// SPDX-License-Identifier: Apache-2.0
// What the wrong implementations of nf4/dequantize share: how one is declared, and for which cases its fault
// shows.
#pragma once

#include <functional>
#include <string>

#include "harness/core/registry.hpp"
#include "harness/verify/verify.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4::mutants {

using kernels::nf4::PackedWeights;

/// Does one call. The views stay valid as long as the call may be made.
using Body =
    std::function<void(const PackedWeights& weights, const harness::TensorView& out, harness::Stream stream)>;

/// What a case must have for the fault to show; every mutant needs nested NF4 and at least two blocks.
struct Needs {
  std::int64_t min_weights = 0;
  std::int64_t min_blocks = 2;
  /// Faults of about one f32 ulp in absmax: each last bit of the output lost to rounding halves the share of
  /// elements that show them, so 16-bit outputs need many elements (tested in mutants_test.cpp).
  bool last_bits = false;
};

/// `check` is one of harness::checks. `make_body` is called at each prepare, so that a body may keep state.
harness::Implementation mutant(std::string name, harness::DeviceKind device, const char* check,
                               std::string about, std::function<Body()> make_body, Needs needs = {});

}  // namespace assay::suites::nf4::mutants
