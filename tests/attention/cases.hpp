// SPDX-License-Identifier: Apache-2.0
// One table of attention cases for the GPU and for the emulated machine: inputs, truth by the f64 oracle, the
// error a plain layer of the same precision has, and the comparison.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "reference/attention/attention.hpp"

namespace assay::kernels::attention::cases {

constexpr float kCap = 3.0f;  ///< of softcap
constexpr int kReach = 20;    ///< of relative_bias

std::uint16_t to_bits(double x, ElementType type);
double from_bits(std::uint16_t bits, ElementType type);

struct Case {
  std::string mods;  ///< name in example_mods()
  std::vector<int> q_lengths, k_lengths;
  bool packed = false;
  int q_heads = 2, kv_heads = 1, head_size = 64;
  ElementType type = ElementType::kBfloat16;
  bool d_lse = false;
  int unused_rows = 0;        ///< packed: rows behind the last sequence
  double scale_factor = 1.0;  ///< on 1/√head_size

  std::string name() const;
};
void PrintTo(const Case& c, std::ostream* out);

/// Everything a call reads and writes, in host memory. Rows of q, k, v, … carry kPadding elements that nobody
/// may touch.
constexpr int kPadding = 8;
struct Sample {
  explicit Sample(const Case& c);

  Case c;
  reference::attention::Shape shape;
  std::vector<std::uint16_t> q, k, v, o, d_o, d_q, d_k, d_v;  ///< results start as NaN
  std::vector<float> lse, d_lse;
  std::vector<int> q_starts, k_starts;
  std::vector<std::vector<float>> float_buffers;  ///< by slot; empty: not used
  std::vector<std::vector<int>> int_buffers;
  int integer0 = 0;
  std::vector<float> learnable_gradient;  ///< slot 0; empty: not learnable

  int token_stride(int heads) const { return heads * c.head_size + kPadding; }
  int q_rows() const { return shape.q_starts.back() + c.unused_rows; }
  int k_rows() const { return shape.k_starts.back() + c.unused_rows; }

  /// Arguments with pointers through `place`, which maps host memory of the sample to where the kernels see
  /// it.
  using Place = std::function<void*(const void* host)>;
  Sequences sequences(const Place& place) const;
  ForwardArgs forward_args(const Place& place) const;
  BackwardArgs backward_args(const Place& place) const;
  View view(const std::vector<std::uint16_t>& values, int heads, const Place& place) const;
};

/// Fills o, lse and all gradients of the sample.
using Runner = std::function<void(Sample& sample)>;

/// Runs and compares; failures are gtest's, with first bad index, truth and result.
void expect_right(const Case& c, const Runner& run);

/// All mods, lengths around tiles and blocks, heads, types; `most` rows a sequence at most.
std::vector<Case> all_cases(int most);

}  // namespace assay::kernels::attention::cases
