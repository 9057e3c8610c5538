// SPDX-License-Identifier: Apache-2.0
// The command line of compiled_step_bench.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "kernels/compile/device/types.hpp"
#include "kernels/compile/step_program.hpp"

namespace assay::kernels::compile::bench {

struct BenchOptions {
  std::string shape = "tiny";  ///< 8b, 1b or tiny; with a model its folder
  /// Hugging Face folder whose Llama it is instead, and where its adapter goes after the steps; empty: none.
  std::filesystem::path model = {}, adapter_out = {};
  std::int64_t batch = 2, length = 2048;
  /// Empty: `batch` sequences of `length` in every step. "seeded": another random mix of lengths in every
  /// step, of at most batch · length tokens. Else a file, whose every line is the lengths of one step.
  std::string packed = {};
  Keep keep = Keep::kEverything;
  ComputeType compute = ComputeType::kBfloat16;
  bool packed_base = true;
  std::int64_t rank = 16;
  std::int64_t chunk_rows = 0;  ///< of logits; 0: chunk_plan's choice
  bool adapters_begin = true;   ///< StepOptions
  int steps = 20;               ///< timed ones
  bool profile = false;
  std::filesystem::path json = {}, cache = {};  ///< empty: none
};

/// Throws std::invalid_argument with what was expected, and the usage.
BenchOptions parse_options(std::span<const char* const> words);

/// Of the published models; throws std::invalid_argument for another name.
LlamaShape shape_of(const BenchOptions& options);
/// Base of the rotation frequencies.
double rope_theta(const std::string& shape);
std::string name_of(Keep keep);

}  // namespace assay::kernels::compile::bench
