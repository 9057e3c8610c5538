// SPDX-License-Identifier: Apache-2.0
// The checks, one function each: nullopt when it holds, else the reason. verify.cpp has their order and
// names.
#pragma once

#include <optional>
#include <string>

#include "harness/verify/trial.hpp"

namespace assay::harness {

using Reason = std::optional<std::string>;

Reason check_first_run(Trial& trial);  ///< throws CallFailed; leaves Trial::first
Reason check_canary(Trial& trial);
Reason check_unwritten(Trial& trial);    ///< leaves Trial::bits_varied
Reason check_parity(Trial& trial);       ///< leaves parity, errors and first_answer
Reason check_stale_input(Trial& trial);  ///< leaves second_answer
Reason check_stream(Trial& trial);
Reason check_host_sync(Trial& trial);
Reason check_graph_replay(Trial& trial);
Reason check_determinism(Trial& trial);
Reason check_input_mutated(Trial& trial);

}  // namespace assay::harness
