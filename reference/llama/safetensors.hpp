// SPDX-License-Identifier: Apache-2.0
// The safetensors format as tensors: 8 bytes of header length (little endian), a JSON header, the data.
// https://github.com/huggingface/safetensors
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace assay::reference::llama {

/// An open file. The header is checked whole when it is opened: known dtypes, lengths that fit the shapes,
/// data that covers the rest of the file without gaps or overlap. Throws std::invalid_argument with the path
/// otherwise.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }
  /// A copy on the CPU. Throws std::invalid_argument for a name that is not there.
  at::Tensor read(const std::string& name) const;

 private:
  struct Entry {
    at::ScalarType type = at::kFloat;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0;  ///< in the data
  };
  void read_header();

  std::filesystem::path path_;
  std::uint64_t data_begin_ = 0;
  std::map<std::string, Entry> entries_;
};

/// Writes a new file beside `path` and renames it; CUDA tensors are copied to the CPU. Metadata: {"format":
/// "pt"}.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors);

/// Tensors of a model folder: `model.safetensors`, or the shards of `model.safetensors.index.json`.
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return shard_of_.contains(name); }
  at::Tensor read(const std::string& name);  ///< and mark it as used
  std::vector<std::string> unused() const;   ///< names nobody read
  void ignore(const std::string& name) { used_[name] = true; }

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, std::size_t> shard_of_;
  std::map<std::string, bool> used_;
};

}  // namespace assay::reference::llama
