// SPDX-License-Identifier: Apache-2.0
// What the captured step and its peers train: model, tokens, settings; and how it is told to another process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/compile/step_estimate.hpp"
#include "kernels/compile/step_program.hpp"

namespace assay::suites::compile {

struct TrainingPlan {
  std::string shape = "tiny";  ///< 8b, 1b, tiny: kernels/compile/device/bench
  std::int64_t batch = 2, length = 2048;
  std::int64_t batches = 8;  ///< different ones, in turn
  std::int64_t words = 0;    ///< tokens are below this; 0: any of the vocabulary
  double learning_rate = 2e-4, weight_decay = 0.01;
  std::uint32_t seed = 1;
  bool reversed = false;  ///< sequences of a batch in the opposite order: the same sums, otherwise rounded
  std::string attention = "sdpa";  ///< the peer's, in transformers' words

  std::int64_t tokens() const { return batch * length; }
};

/// What the captured step keeps for backward: the first `lean_layers` layers less than the others.
struct Policy {
  kernels::compile::Keep keep = kernels::compile::Keep::kEverything;
  kernels::compile::Keep lean = kernels::compile::Keep::kEverything;
  std::int64_t lean_layers = 0;

  std::string name() const;  ///< "products", "products, first 4 layers attention"
};

/// As the captured step's list has it; adapters of rank 16, scaled by 2.
kernels::compile::StepOptions step_options(const TrainingPlan& plan, const Policy& policy);

/// [batches · batch · length]: three of four tokens follow from the one before, so there is something to
/// learn; the rest is random.
std::vector<std::int64_t> training_tokens(const TrainingPlan& plan);

/// All adapters as training begins, in the order of peer_specification's.
std::vector<float> first_adapters(const TrainingPlan& plan);

/// What suites/compile/peers/training_step.py reads. `tokens`: a file of training_tokens as int64.
nlohmann::ordered_json peer_specification(const TrainingPlan& plan, const std::filesystem::path& tokens,
                                          const std::string& device, const std::string& dtype);

}  // namespace assay::suites::compile
