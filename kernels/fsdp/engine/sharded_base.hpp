// SPDX-License-Identifier: Apache-2.0
// The frozen 4-bit base on one of several ranks: its shards, what is replicated, and decoding from the
// gathered layer.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>

#include "kernels/compile/program.hpp"
#include "kernels/fsdp/engine/gathered_layers.hpp"
#include "kernels/nf4/format.hpp"

namespace assay::kernels::fsdp {

struct BaseOptions {
  Sharding sharding = Sharding::kPerParameter;
  PackedFormat format = {};
  int gather_buffers = 2;
};

class ShardedBase {
 public:
  /// `group`: for gathers alone, so that they can overlap other collectives.
  ShardedBase(const compile::Program& program, c10::intrusive_ptr<c10d::Backend> group,
              const BaseOptions& options, at::Device device = at::kCPU);

  /// Keeps what this rank owns of a whole weight. A loader goes weight by weight and drops each behind this.
  /// Throws std::invalid_argument for a name the program does not have, a weight of another shape, and nested
  /// codes that are not those of the weights before.
  void load(const std::string& name, const nf4::PackedWeights& whole);

  /// Gathers the weight's layer where it is not gathered, begins with the next one, and decodes into `out`
  /// [rows, columns], f16, bf16 or f32. In the order of the program's decode operations, on every rank.
  /// Throws std::logic_error for a weight that was never loaded.
  void decode(const std::string& name, at::Tensor out);

  std::int64_t shard_bytes() const;  ///< of all layers: what stays resident
  std::int64_t buffer_bytes() const { return gathered_->buffer_bytes(); }
  std::int64_t gathers() const { return gathered_->gathers(); }

 private:
  struct Place {
    int layer = 0;
    std::size_t parameter = 0;
    at::Tensor offset;  ///< f32 [1]
    nf4::Codebook codebook = nf4::Codebook::kNf4;
    bool loaded = false;
  };
  Place& place(const std::string& name);

  c10::intrusive_ptr<c10d::Backend> group_;
  std::vector<at::Tensor> shards_;
  std::unique_ptr<GatheredLayers> gathered_;
  std::map<std::string, Place> places_;
  std::vector<int> visits_;
  std::size_t visit_ = 0;
  std::array<float, 256> nested_code_{};
  at::Tensor code_;  ///< the same, where the shards lie
  bool has_code_ = false;
};

}  // namespace assay::kernels::fsdp
