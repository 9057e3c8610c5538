// SPDX-License-Identifier: Apache-2.0
// Trained adapters over ranks: every rank keeps an equal chunk of weights, gradient and AdamW's moments in
// f32; products read a gathered copy in the compute type. Gradients are reduced in f32, whatever the compute
// type.
#pragma once

#include <array>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "kernels/fsdp/checkpoint/load.hpp"
#include "kernels/fsdp/layout/adapter_layout.hpp"

namespace assay::kernels::fsdp {

class ShardedAdapters {
 public:
  ShardedAdapters(std::vector<AdapterTensor> tensors, at::ScalarType compute,
                  c10::intrusive_ptr<c10d::Backend> group, at::Device device = at::kCPU);

  const AdapterLayout& layout() const { return layout_; }
  /// Views of tensor `i` in the buckets, [rows, columns]: the compute copy, and the f32 gradient that
  /// backward writes.
  at::Tensor copy(std::size_t i) const { return view(copies_, i); }
  at::Tensor gradient(std::size_t i) const { return view(gradients_, i); }

  /// Keeps what this rank owns of a whole f32 tensor. Throws c10::Error (ValueError) for another size.
  void load(std::size_t tensor, const at::Tensor& whole);

  /// One all-gather: every rank's chunk, rounded to the compute type, into the copies.
  void gather();
  /// Adds factor · gradient to what waits on this rank for the next reduction.
  void accumulate(double factor);
  /// One reduce-scatter: the sum over ranks of factor · gradient + waiting_factor · what waits, in f32.
  /// Nothing waits afterwards.
  void reduce(double factor, double waiting_factor);
  /// One all-reduce: the square sum of all ranks' chunks, f32 [1].
  at::Tensor square_sum();
  /// AdamW on the chunk, clipped by the norm of all gradients; `settings` [4] f32 as program.hpp says. A
  /// square sum that is not finite moves nothing, on any rank, where there is a largest norm.
  void step(const at::Tensor& square_sum, const at::Tensor& settings);

  /// Of this rank's chunk: weight, gradient and both moments, padding included.
  std::int64_t resident_bytes() const {
    return static_cast<std::int64_t>(weight_.nbytes() + mean_.nbytes() + square_.nbytes() +
                                     gradient_.nbytes());
  }

  /// The chunk's runs for a checkpoint: weight/…, mean/…, square/… with their bytes, valid until the next
  /// call of anything.
  std::vector<PartToWrite> parts() const;
  /// This rank's runs of a checkpoint written by any world. Throws CheckpointError.
  void restore(const ShardedCheckpoint& checkpoint);

 private:
  at::Tensor view(const at::Tensor& bucket, std::size_t i) const;
  std::vector<PartToWrite> parts_of(const char* kind, const at::Tensor& chunk) const;

  AdapterLayout layout_;
  c10::intrusive_ptr<c10d::Backend> group_;
  at::Tensor weight_, mean_, square_, gradient_;  ///< f32 [chunk]
  /// Weight and moments as parts() gave them: copies where the chunk lies on a GPU, else the same tensors.
  mutable std::array<at::Tensor, 3> host_;
  at::Tensor waiting_;  ///< f32 [world · chunk] from the first accumulate on
  bool waits_ = false;
  at::Tensor copies_, gradients_;  ///< [world · chunk]: compute type, f32
};

}  // namespace assay::kernels::fsdp
