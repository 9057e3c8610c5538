// SPDX-License-Identifier: Apache-2.0
// What a step needs beside the kernels of other folders: rows of the embedding, rows behind the last
// sequence, the mean over the labels that count. All enqueue on `stream` and return: no allocation, no
// synchronisation, capturable, deterministic. Throw std::invalid_argument for bad arguments,
// std::runtime_error when a launch fails. Rows of 0: nothing (but a loss, which is 0).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::kernels::compile {

/// out[t, :] = embedding[tokens[t], :], elements of 16 bits, packed rows. A token outside [0, vocab) makes
/// its row NaN; nothing is read out of bounds. Rows of a multiple of 16 bytes, aligned to it, at full speed.
struct Embed {
  const std::int64_t* tokens = nullptr;  ///< [rows]
  const void* embedding = nullptr;       ///< [vocab, columns]
  void* out = nullptr;                   ///< [rows, columns]
  std::int64_t rows = 0, vocab = 0, columns = 0;
};
void embed(const Embed& args, cudaStream_t stream);

/// Writes zeros over rows *used … rows − 1 of up to three matrices of 16-bit elements, whose rows are whole
/// 16-byte vectors, packed and aligned to 16 bytes. `used`: on the device; outside [0, rows] it counts as the
/// nearer end. What attention leaves unwritten, and products over all rows would read.
struct ClearRows {
  struct Matrix {
    void* data = nullptr;  ///< null: no such matrix
    std::int64_t columns = 0;
  };
  const std::int32_t* used = nullptr;
  std::int64_t rows = 0;
  Matrix matrices[3];
};
void clear_rows(const ClearRows& args, cudaStream_t stream);

/// *scale = 1 / max(1, number of labels that are not ignore_index).
struct LossScale {
  const std::int64_t* labels = nullptr;  ///< [rows]
  std::int64_t rows = 0, ignore_index = -100;
  float* scale = nullptr;  ///< [1]
};
void find_loss_scale(const LossScale& args, cudaStream_t stream);

/// values *= *factor, `count` of them, aligned to 16 bytes.
struct Scale {
  float* values = nullptr;
  std::int64_t count = 0;
  const float* factor = nullptr;  ///< [1] on the device
};
void scale(const Scale& args, cudaStream_t stream);

/// *mean = *scale · Σ losses, in f32, in an order that depends on `rows` alone.
struct MeanLoss {
  const float* losses = nullptr;  ///< [rows]
  std::int64_t rows = 0;
  const float* scale = nullptr;
  float* mean = nullptr;  ///< [1]
};
void mean_loss(const MeanLoss& args, cudaStream_t stream);

}  // namespace assay::kernels::compile
