// SPDX-License-Identifier: Apache-2.0
// The softmax pass on a chosen instruction set: one SIMD source compiled for every one, tests run all of
// them.
#pragma once

#include <string>
#include <vector>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

/// Names of the instruction sets this machine can run, best first.
std::vector<std::string> softmax_pass_instruction_sets();

/// As the functions without `_on`; std::invalid_argument for a name this machine cannot run.
void cross_entropy_pass_cpu_on(const std::string& instruction_set, const CrossEntropyPass& pass,
                               int num_threads);
void token_statistics_pass_cpu_on(const std::string& instruction_set, const TokenStatisticsPass& pass,
                                  int num_threads);
void token_statistics_gradient_pass_cpu_on(const std::string& instruction_set,
                                           const TokenStatisticsGradientPass& pass, int num_threads);

}  // namespace assay::kernels::backprop
