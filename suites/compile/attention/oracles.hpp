// SPDX-License-Identifier: Apache-2.0
// The two oracles that attention_oracle_of chooses from: apart, so that a test holds one against the other.
#pragma once

#include "suites/compile/attention/suite.hpp"

namespace assay::suites::compile {

/// reference/attention's loops.
harness::Oracle scalar_attention_oracle(const AttentionCase& c, const harness::TensorSet& inputs);
/// reference/attention/eager in f64.
harness::Oracle tensor_attention_oracle(const AttentionCase& c, const harness::TensorSet& inputs);

}  // namespace assay::suites::compile
