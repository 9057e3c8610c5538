// SPDX-License-Identifier: Apache-2.0
// The tensors of a Hugging Face folder, in one file or in shards.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/compile/checkpoint/stored_file.hpp"

namespace assay::kernels::compile::checkpoint {

class StoredModel {
 public:
  /// Opens the shards of `model.safetensors.index.json`, or `model.safetensors` where there is no index. With
  /// an index exactly the tensors that it lists are there. Throws std::invalid_argument that begins with the
  /// path of the file it is about: unreadable, damaged (StoredFile), or a shard without a listed tensor.
  explicit StoredModel(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return place_.contains(name); }
  std::vector<std::string> names() const;
  /// Throws std::invalid_argument that names folder and tensor where there is none.
  const StoredTensor& tensor(const std::string& name) const;
  void read(const std::string& name, std::span<std::byte> to) const;  ///< as StoredFile::read

 private:
  void open_index(const std::filesystem::path& index);
  const StoredFile& file_of(const std::string& name) const;

  std::filesystem::path folder_;
  std::vector<StoredFile> files_;
  std::map<std::string, std::size_t> place_;  ///< which file
};

}  // namespace assay::kernels::compile::checkpoint
