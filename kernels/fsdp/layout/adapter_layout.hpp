// SPDX-License-Identifier: Apache-2.0
// Trained adapters over ranks: all of a layer's (or a model's) A and B one behind the other in one f32
// bucket, cut into equal chunks. The gathered bucket is the adapters' storage: nothing is copied out;
// gradients reduce-scatter the same way, and AdamW's moments are two more buckets of the chunk's size.
#pragma once

#include <string>
#include <vector>

#include "kernels/fsdp/layout/split.hpp"

namespace assay::kernels::fsdp {

struct AdapterTensor {
  std::string name;
  std::int64_t rows = 0, columns = 0;
  std::int64_t elements() const { return rows * columns; }
};

/// Elements [first, first + elements) of tensor `tensor`, row-major, which lie at `local` in the chunk of
/// their rank.
struct AdapterPiece {
  std::size_t tensor = 0;
  std::int64_t first = 0, elements = 0, local = 0;
};

class AdapterLayout {
 public:
  /// Chunks are multiples of 16 elements (64 bytes of f32, 32 of a 16-bit copy). Throws std::invalid_argument
  /// for an empty list, a tensor without elements and a world below 1.
  AdapterLayout(std::vector<AdapterTensor> tensors, int world);

  const std::vector<AdapterTensor>& tensors() const { return tensors_; }
  std::int64_t offset(std::size_t tensor) const {
    return offsets_.at(tensor);
  }                                              ///< elements, in the gathered bucket
  const Split& split() const { return split_; }  ///< of the bucket's elements
  /// What `rank` owns, in order: the names under which a checkpoint stores a chunk, whatever the world.
  std::vector<AdapterPiece> owned(int rank) const;

 private:
  std::vector<AdapterTensor> tensors_;
  std::vector<std::int64_t> offsets_;
  Split split_;
};

}  // namespace assay::kernels::fsdp
