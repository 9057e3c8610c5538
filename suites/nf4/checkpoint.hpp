// SPDX-License-Identifier: Apache-2.0
// The matrices of a checkpoint that can be judged: bitsandbytes-4bit weights as they are on disk, and 16- or
// 32-bit ones, which are quantized when they are loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/io/checkpoint_files.hpp"
#include "suites/nf4/checkpoint_4bit.hpp"
#include "suites/nf4/checkpoint_dense.hpp"
#include "suites/nf4/host_weights.hpp"

namespace assay::suites::nf4 {

struct WeightSource {
  std::string name;  ///< of the tensor, for example "model.layers.0.mlp.down_proj.weight"
  std::int64_t rows = 0, cols = 0;
  kernels::nf4::ScalarType dtype =
      kernels::nf4::ScalarType::kBfloat16;  ///< the type it was, or is, stored for
  bool quantized_on_disk = false;
};

struct IgnoredTensor {
  std::string name;
  std::string reason;  ///< as reason_not_judged gives it
};

class Checkpoint {
 public:
  /// `path` as CheckpointFiles::open takes it. Everything but the values of 16- and 32-bit weights is checked
  /// here, before anything runs. Throws UsageError, also when no tensor can be judged.
  static Checkpoint open(const std::filesystem::path& path);

  /// In order of the names.
  const std::vector<WeightSource>& weights() const { return weights_; }
  const std::vector<IgnoredTensor>& ignored() const { return ignored_; }
  /// One line for people: how many matrices, how many tensors were left out and why.
  std::string summary() const;

  /// Reads one of weights(), by name; `how` matters only where it is not quantized on disk. Throws
  /// UsageError.
  HostWeights load(const std::string& name, const QuantizeOnLoad& how = {}) const;

 private:
  explicit Checkpoint(harness::CheckpointFiles files) : files_(std::move(files)) {}

  harness::CheckpointFiles files_;
  std::vector<Stored4bit> stored_4bit_;
  std::vector<WeightSource> weights_;
  std::vector<IgnoredTensor> ignored_;
};

}  // namespace assay::suites::nf4
