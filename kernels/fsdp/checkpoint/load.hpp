// SPDX-License-Identifier: Apache-2.0
// Reading a sharded checkpoint, on any number of ranks.
#pragma once

#include <filesystem>

#include "kernels/fsdp/checkpoint/manifest.hpp"

namespace assay::kernels::fsdp {

class ShardedCheckpoint {
 public:
  /// Opens the folder of one step. Before any byte is used the marker, the manifest against it, and every
  /// shard's length and SHA-256 are checked, and that the parts are all tensors. Throws CheckpointError that
  /// names the file.
  static ShardedCheckpoint open(const std::filesystem::path& folder);

  /// The newest committed step under `root`; throws CheckpointError where there is none.
  static ShardedCheckpoint open_newest(const std::filesystem::path& root);

  std::int64_t step() const { return manifest_.step; }
  int world() const { return static_cast<int>(manifest_.shards.size()); }  ///< that wrote it
  const ReplicatedState& state() const { return manifest_.state; }
  const std::map<std::string, TensorType>& tensors() const { return tensors_; }
  /// Throws CheckpointError where the checkpoint is of another base model.
  void require_model(const std::string& model) const;

  /// Elements [first, first + count) of the tensor, wherever they lie, into `out` of their size. Throws
  /// CheckpointError for a name, type or range that is not there.
  void read(const TensorPart& part, std::span<std::byte> out) const;

 private:
  explicit ShardedCheckpoint(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path folder_;
  Manifest manifest_;
  std::map<std::string, TensorType> tensors_;
};

}  // namespace assay::kernels::fsdp
