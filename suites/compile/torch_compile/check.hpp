// SPDX-License-Identifier: Apache-2.0
// The check `hf_llama` of challenge compile/torch_compile: suites/compile/hf in a process of its own. The
// challenge has no cases, so its check runs where a filter names it: assay verify
// compile/torch_compile/checks/hf_llama.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

inline constexpr const char* kTorchCompile = "compile/torch_compile";
inline constexpr const char* kOperators = "operators";  ///< the implementation the check speaks of
inline constexpr const char* kHfLlama = "hf_llama";

/// What run.py is asked for on a device, without --library and --out: a run is a list of arguments. CPU: a
/// tiny model over 40 mixes of lengths with backend aot_eager and over 8 with inductor; GPU: Llama-3.2-1B's
/// shape in bf16 over 200 mixes with inductor.
std::vector<std::vector<std::string>> hf_llama_runs(harness::DeviceKind device);

/// Evidence from run.py's reports: `graph_breaks`, `graphs` (the most of a run),
/// `recompilations_after_warm_up`, `length_mixes` and `operators` (the least of a run: what every graph of
/// every run holds), `loss_matches`, and the reports as `runs`. Throws std::runtime_error with the faults
/// that reports name, or saying which field one lacks.
nlohmann::ordered_json hf_llama_evidence(const std::vector<nlohmann::ordered_json>& reports);

/// Skips where the interpreter lacks transformers or peft, and on GPUs without bf16.
harness::Challenge::SuiteCheck hf_llama_check();

}  // namespace assay::suites::compile
