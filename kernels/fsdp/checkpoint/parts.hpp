// SPDX-License-Identifier: Apache-2.0
// What a sharded checkpoint stores: of every tensor, runs of consecutive row-major elements, each with one
// rank. A run knows nothing of worlds, so any other world can ask for other runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace assay::kernels::fsdp {

enum class Element : std::uint8_t { kUint8, kFloat16, kBfloat16, kFloat32, kInt64 };
std::int64_t bytes_of(Element element);
/// safetensors' spelling: U8, F16, BF16, F32, I64. parse_element throws std::invalid_argument for others.
std::string name_of(Element element);
Element parse_element(const std::string& name);

struct TensorType {
  Element element = Element::kFloat32;
  std::vector<std::int64_t> shape;  ///< of the whole tensor
  std::int64_t elements() const;
  bool operator==(const TensorType&) const = default;
};

/// Elements [first, first + count) of a tensor.
struct TensorPart {
  std::string name;
  TensorType type;
  std::int64_t first = 0, count = 0;
};

struct PartToWrite {
  TensorPart part;
  std::span<const std::byte> bytes;
};

/// A part as it lies in a shard's file.
struct StoredPart {
  TensorPart part;
  std::uint64_t offset = 0;  ///< bytes from the file's beginning
};

/// What a rank knows of the shard it wrote, and the manifest of all shards.
struct ShardReceipt {
  std::string file;  ///< its name within the checkpoint
  std::uint64_t bytes = 0;
  std::string sha256;
  std::vector<StoredPart> parts;
};

/// Every tensor's type. Throws std::invalid_argument, naming the tensor, where the shards' parts overlap,
/// leave elements out, disagree about a type or lie outside their tensor or file.
std::map<std::string, TensorType> tensors_of(std::span<const ShardReceipt> shards);

}  // namespace assay::kernels::fsdp
