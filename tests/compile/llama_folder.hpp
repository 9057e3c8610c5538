// SPDX-License-Identifier: Apache-2.0
// A small Llama in a Hugging Face folder of its own, written by reference/llama, removed at the end.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace assay::testing {

struct FolderKind {
  std::string name;
  at::ScalarType type = at::kBFloat16;
  bool tied = false, llama3_rope = true, sharded = false;
  bool four_bit = false;  ///< linears, double-quantized by the rules of reference/nf4
  bool device_size =
      false;  ///< head size 64 and rows of whole 16-byte vectors, as the kernels of the GPU want
};

class LlamaFolder {
 public:
  explicit LlamaFolder(const FolderKind& kind);
  ~LlamaFolder();
  LlamaFolder(const LlamaFolder&) = delete;
  LlamaFolder& operator=(const LlamaFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// What the files hold; change and write() again.
  std::map<std::string, at::Tensor> tensors;
  nlohmann::json config;
  void write() const;

 private:
  bool sharded_;
  std::filesystem::path path_;
};

/// Linears of `tensors` become what bitsandbytes' Linear4bit saves (double-quantized NF4).
void quantize_linears(std::map<std::string, at::Tensor>& tensors);

}  // namespace assay::testing
