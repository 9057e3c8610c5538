// SPDX-License-Identifier: Apache-2.0
// The pointwise pieces on the CPU with a pinned instruction set, for tests: one source, compiled for every
// set.
#pragma once

#include <string>
#include <vector>

#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "kernels/llama/swiglu.hpp"

namespace assay::kernels::llama {

/// What this machine can run, best first.
std::vector<std::string> pointwise_instruction_sets();

/// Throw std::invalid_argument for a set that this machine cannot run.
void rms_norm_cpu_on(const std::string& instruction_set, const RmsNormForward& args, int num_threads);
void rms_norm_backward_cpu_on(const std::string& instruction_set, const RmsNormBackward& args,
                              int num_threads);
void rope_cpu_on(const std::string& instruction_set, const Rope& args, int num_threads);
void swiglu_cpu_on(const std::string& instruction_set, const SwigluForward& args, int num_threads);
void swiglu_backward_cpu_on(const std::string& instruction_set, const SwigluBackward& args, int num_threads);

}  // namespace assay::kernels::llama
