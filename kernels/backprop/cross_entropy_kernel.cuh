// SPDX-License-Identifier: Apache-2.0
// Device code: loss and gradient of cross entropy, a row a block or a row a cluster.
#pragma once

#include "kernels/backprop/softmax_pass_sweep.cuh"

namespace assay::kernels::backprop::device {

/// By value in the parameter bank.
struct CrossEntropy {
  Rows rows;
  const std::int64_t* labels;
  const float* class_weight;    // null: 1
  const float* gradient_scale;  // null: 1
  float* loss;
  float* lse;  // null: not wanted
  std::int64_t ignore_index;
  float label_share;   // 1 − label smoothing
  float smooth_share;  // label smoothing / vocab
  float z_loss;
  bool write_gradient;
};

/// Where a row waits between its two sweeps.
enum class Residence { kMemory, kShared, kCluster };

/// Of one row: gradient_v = (2^(y_v − shift) · factor − smooth_term · w_v − [v = label] · label_term) ·
/// dv/dx.
struct GradientTerms {
  float shift, factor, label_term, smooth_term;
  int label;
};

template <class T, bool kGeneral, int kCount>
__device__ __forceinline__ void to_gradient(const CrossEntropy& p, const GradientTerms& g, int first,
                                            float (&x)[kCount]) {
  float slope[kCount];
  transform<T, kGeneral>(p.rows, first, x, slope);
#pragma unroll
  for (int i = 0; i < kCount; ++i) x[i] = exp2_approx(fmaf(x[i], p.rows.scale, -g.shift)) * g.factor;
  if constexpr (kGeneral) {
    if (p.smooth_share != 0.0f) {
#pragma unroll
      for (int i = 0; i < kCount; ++i)
        x[i] -= g.smooth_term * (p.class_weight == nullptr ? 1.0f : __ldg(p.class_weight + first + i));
    }
  }
  const int label = g.label - first;
  if (label >= 0 && label < kCount) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] -= i == label ? g.label_term : 0.0f;
  }
  if constexpr (kGeneral) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] *= slope[i];
  }
}

/// Loss and lse by one thread; the gradient's terms to every thread. `value`: v of the label, read by that
/// thread alone.
__device__ __forceinline__ GradientTerms finish_row(const CrossEntropy& p, std::int64_t row, int label,
                                                    float value, const Partial& total, bool writes_loss) {
  const float log_sum = log2f(total.sum), lse = kLn2 * (total.shift + log_sum);
  const float label_weight =
      p.label_share * (p.class_weight == nullptr ? 1.0f : __ldg(p.class_weight + label));
  const float weights = p.class_weight == nullptr ? static_cast<float>(p.rows.vocab) : total.second;
  float scale = label_weight;
  if (p.smooth_share != 0.0f)
    scale += p.smooth_share * weights;
  if (p.z_loss != 0.0f)
    scale += 2.0f * p.z_loss * lse;
  if (writes_loss) {
    // Relative to the shift, so that a small loss beside large logits keeps its digits.
    float loss = label_weight * kLn2 * (log_sum - fmaf(value, p.rows.scale, -total.shift));
    if (p.smooth_share != 0.0f)
      loss += p.smooth_share * (lse * weights - kLn2 * p.rows.scale * total.first);
    if (p.z_loss != 0.0f)
      loss += p.z_loss * lse * lse;
    p.loss[row] = loss;
    if (p.lse != nullptr)
      p.lse[row] = lse;
  }
  const float upstream = (p.gradient_scale == nullptr ? 1.0f : __ldg(p.gradient_scale)) * p.rows.slope;
  return {total.shift, upstream * scale / total.sum, upstream * label_weight, upstream * p.smooth_share,
          label};
}

/// 64 registers: one block of 1024 threads, or two of 512 that overlap loading with storing.
template <class T, bool kGeneral, Residence kResidence>
__global__ void __launch_bounds__(kResidence == Residence::kMemory ? 1024 : 512,
                                  kResidence == Residence::kMemory ? 1 : 2)
    cross_entropy_kernel(const __grid_constant__ CrossEntropy p) {
  constexpr bool kStaged = kResidence != Residence::kMemory, kClustered = kResidence == Residence::kCluster;
  constexpr Sums kSums = kGeneral ? Sums::kSmoothing : Sums::kNone;
  const int rank = kClustered ? cluster_rank() : 0, ranks = kClustered ? cluster_size() : 1;
  const std::int64_t row = blockIdx.x / static_cast<unsigned>(ranks);
  const RowView<T> view(p.rows, row);
  const int share = (view.vectors + ranks - 1) / ranks;
  const Part part{min(view.vectors, rank * share), min(view.vectors, (rank + 1) * share)};
  const int thread = static_cast<int>(threadIdx.x);
  const bool speaks = rank == 0 && thread == 0;

  // Rows that do not count, and labels that cannot be: nothing is read. All blocks of a cluster leave here
  // together.
  const std::int64_t label = p.labels[row];
  const bool ignored = label == p.ignore_index;
  if (ignored || label < 0 || label >= p.rows.vocab) {
    const float value = ignored ? 0.0f : NAN;
    if (p.write_gradient)
      fill(view, part, rank == 0, value);
    if (speaks) {
      p.loss[row] = value;
      if (p.lse != nullptr)
        p.lse[row] = value;
    }
    return;
  }

  // First sweep. The label's logit is read here, before the reduction behind which others may overwrite it.
  float of_label[1] = {0.0f}, edge[1] = {0.0f}, unused[1];
  if (speaks) {
    of_label[0] = Elements<T>::widen(view.data[label]);
    transform<T, kGeneral>(p.rows, static_cast<int>(label), of_label, unused);
  }
  const bool has_edge = rank == 0 && thread < view.num_edges();
  const int edge_at = has_edge ? view.edge(thread) : 0;
  const float raw_edge = has_edge ? Elements<T>::widen(view.data[edge_at]) : 0.0f;
  auto* const stage = reinterpret_cast<uint4*>(shared_memory()) + kSlots;
  const Smoothing smoothing{p.smooth_share != 0.0f, p.class_weight};
  Partial mine =
      gather<T, kGeneral, kSums, kStaged>(p.rows, view, part, smoothing, stage, !kStaged && p.write_gradient);
  if (has_edge) {
    edge[0] = raw_edge;
    transform<T, kGeneral>(p.rows, edge_at, edge, unused);
    add<kSums>(mine, edge, p.rows.scale);
    if constexpr (kGeneral)
      add_weighted(mine, smoothing, edge_at, edge);
  }
  const Partial total = kClustered ? reduce_cluster<kSums>(mine) : reduce_block<kSums>(mine);
  const GradientTerms terms = finish_row(p, row, static_cast<int>(label), of_label[0], total, speaks);

  // Second sweep.
  if (p.write_gradient) {
    rewrite<T, kStaged>(view, part, stage, [&](int first, float(&x)[Elements<T>::kPerVector]) {
      to_gradient<T, kGeneral>(p, terms, first, x);
    });
    if (has_edge) {
      edge[0] = raw_edge;
      to_gradient<T, kGeneral>(p, terms, edge_at, edge);
      view.data[edge_at] = Elements<T>::narrow(edge[0]);
    }
  }
  if constexpr (kClustered)
    cluster_wait();
}

}  // namespace assay::kernels::backprop::device
