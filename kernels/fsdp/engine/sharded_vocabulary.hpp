// SPDX-License-Identifier: Apache-2.0
// Embedding and head cut along the vocabulary: a rank keeps V / world rows of each and never gathers them.
// Instead tokens and hidden states travel, as every rank has tokens of its own:
//   embedding: all tokens are gathered, each rank looks up those of its rows, the rows are reduce-scattered;
//   head: all hidden states are gathered, each rank makes its columns of the logits, softmax needs two small
//   all-reduces, and the gradient of the hidden states is reduce-scattered.
// Bytes: 4 tokens · hidden elements a step, whatever the vocabulary (Shoeybi et al., arXiv 1909.08053,
// section 3, for the parallel cross entropy). Logits of all ranks' tokens over V / world columns are as large
// as those of one rank's over V.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "kernels/fsdp/layout/split.hpp"

namespace assay::kernels::fsdp {

/// T tokens of this rank, H hidden, V vocabulary.
struct VocabularyShape {
  std::int64_t vocabulary = 0, hidden = 0, tokens = 0;
  bool tied = false;
};

class ShardedVocabulary {
 public:
  /// Ranks may have different numbers of tokens: one all-reduce here agrees on the largest, to which messages
  /// are padded.
  ShardedVocabulary(const VocabularyShape& shape, at::ScalarType compute,
                    c10::intrusive_ptr<c10d::Backend> group, at::Device device = at::kCPU);

  /// Keeps this rank's rows of a whole matrix [V, H] of the compute type. Tied: the embedding alone is
  /// loaded. Throws c10::Error (ValueError) for another shape or type.
  void load_embedding(const at::Tensor& whole) { keep(whole, embedding_); }
  void load_head(const at::Tensor& whole) { keep(whole, head_); }

  /// tokens int64 [T] → x [T, H]. The bits of a lookup in the whole matrix (but for the sign of zeros).
  void embed(const at::Tensor& tokens, at::Tensor x);

  /// h [T, H], labels int64 [T], −100 for those that do not count → mean cross entropy of this rank's labels
  /// f32 [1], and gradient_scale times its gradient of h. Sums are f32. No label that counts: loss and
  /// gradient 0.
  void head_loss(const at::Tensor& h, const at::Tensor& labels, at::Tensor loss, at::Tensor dh,
                 double gradient_scale = 1.0);

  std::int64_t resident_bytes() const;

 private:
  void keep(const at::Tensor& whole, at::Tensor rows);
  at::Tensor gather(const at::Tensor& own, double padding);
  at::Tensor scatter_sum(const at::Tensor& all);
  at::Tensor reduced(at::Tensor values, c10d::ReduceOp::RedOpType op);

  VocabularyShape shape_;
  c10::intrusive_ptr<c10d::Backend> group_;
  Split rows_;
  std::int64_t padded_tokens_ = 0;
  at::Tensor embedding_,
      head_;  ///< [chunk, H], rows behind this rank's own are zero; the same tensor where tied
};

}  // namespace assay::kernels::fsdp
