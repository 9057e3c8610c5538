// SPDX-License-Identifier: Apache-2.0
// A checkpoint as people have it: one safetensors file, or shards with an index, or the directory of either.
#pragma once

#include <filesystem>
#include <vector>

#include "harness/io/safetensors.hpp"

namespace assay::harness {

class CheckpointFiles {
 public:
  /// `path` is a safetensors file, an index (`*.safetensors.index.json`) whose shards lie beside it, or a
  /// directory with an index, a `model.safetensors` or one single safetensors file, looked for in that order.
  /// All shards are opened and checked: a tensor the index promises must be in the shard it names, and no
  /// tensor may be in two. Throws UsageError.
  static CheckpointFiles open(const std::filesystem::path& path);

  /// Every tensor of every shard; bytes live as long as this object.
  const TensorTable& tensors() const { return tensors_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  /// What was opened: the file or the index.
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit CheckpointFiles(std::filesystem::path path) : path_(std::move(path)) {}
  void add(SafetensorsFile file);
  void open_index();

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  TensorTable tensors_;
};

}  // namespace assay::harness
