// SPDX-License-Identifier: Apache-2.0
// Another's training step in a process of its own: suites/compile/peers/training_step.py.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "suites/compile/training/peer_process.hpp"
#include "suites/compile/training/training_plan.hpp"

namespace assay::suites::compile {

class StepPeer {
 public:
  /// After its three warm-up steps. `method`: eager, eager_checkpoint, torch_compile, liger,
  /// liger_checkpoint; `device`, `dtype` in torch's words. Throws harness::Skip where a package is missing or
  /// there is no Python, std::runtime_error with what it answered when it fails.
  StepPeer(const TrainingPlan& plan, const std::string& method, const std::string& device,
           const std::string& dtype);
  ~StepPeer();

  double time(int count);                ///< seconds of further steps
  std::vector<double> train(int count);  ///< their losses
  std::size_t peak_bytes();              ///< allocated by torch since the warm-up, the most at once
  std::vector<float> adapters();
  /// Losses of the warm-up steps, seconds to the first step, graphs and breaks of torch.compile, versions.
  const nlohmann::json& began() const { return began_; }
  std::vector<double> first_losses() const { return began_.at("losses"); }

 private:
  nlohmann::json ask(const std::string& command);

  std::filesystem::path folder_;  ///< its specification, tokens and answers in files
  std::unique_ptr<PeerProcess> process_;
  nlohmann::json began_;
};

}  // namespace assay::suites::compile
