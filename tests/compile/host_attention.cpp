// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/host_attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/compile/device/rounding.hpp"

namespace assay::testing {
namespace {

using kernels::attention::BackwardArgs;
using kernels::attention::ForwardArgs;
using kernels::attention::Sequences;
using kernels::attention::View;
using kernels::compile::ComputeType;
using kernels::compile::rounded;
using kernels::compile::widened;
using Matrix = std::vector<std::vector<float>>;  ///< [length][head size]

std::uint16_t* row_of(const View& view, std::int64_t row, std::int64_t head) {
  return static_cast<std::uint16_t*>(view.data) + row * view.token_stride + head * view.head_stride;
}

/// The rows of one head in one sequence.
struct Part {
  std::int64_t begin, length, head_size;
  ComputeType type;

  Matrix read(const View& view, std::int64_t head) const {
    Matrix out(static_cast<std::size_t>(length));
    for (std::int64_t i = 0; i < length; ++i)
      for (std::int64_t d = 0; d < head_size; ++d)
        out[static_cast<std::size_t>(i)].push_back(widened(row_of(view, begin + i, head)[d], type));
    return out;
  }
  void write(const View& view, std::int64_t head, const Matrix& values) const {
    for (std::int64_t i = 0; i < length; ++i)
      for (std::int64_t d = 0; d < head_size; ++d)
        row_of(view, begin + i, head)[d] =
            rounded(values[static_cast<std::size_t>(i)][static_cast<std::size_t>(d)], type);
  }
  Matrix zeros() const {
    return Matrix(static_cast<std::size_t>(length), std::vector<float>(static_cast<std::size_t>(head_size)));
  }
};

float dot(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}
void add(std::vector<float>& to, float factor, const std::vector<float>& values) {
  for (std::size_t d = 0; d < to.size(); ++d) to[d] += factor * values[d];
}

template <class Body>
void for_each_sequence(const Sequences& s, ComputeType type, const View& q, const Body& body) {
  for (int i = 0; i < s.sequences; ++i) {
    const Part part{s.q_starts[i], s.q_starts[i + 1] - s.q_starts[i], q.head_stride, type};
    if (part.length > 0)
      body(part);
  }
}

}  // namespace

void host_attention(const ForwardArgs& args, ComputeType type) {
  const Sequences& s = args.sequences;
  for_each_sequence(s, type, args.q, [&](const Part& part) {
    for (int head = 0; head < s.q_heads; ++head) {
      const int shared = head / (s.q_heads / s.kv_heads);
      const Matrix q = part.read(args.q, head), k = part.read(args.k, shared), v = part.read(args.v, shared);
      Matrix o = part.zeros();
      for (std::size_t i = 0; i < q.size(); ++i) {
        std::vector<float> scores;
        for (std::size_t j = 0; j <= i; ++j) scores.push_back(s.scale * dot(q[i], k[j]));
        const float most = std::ranges::max(scores);
        float sum = 0;
        for (const float score : scores) sum += std::exp(score - most);
        const float lse = most + std::log(sum);
        for (std::size_t j = 0; j <= i; ++j) add(o[i], std::exp(scores[j] - lse), v[j]);
        args.lse[head * s.q_rows + part.begin + static_cast<std::int64_t>(i)] = lse;
      }
      part.write(args.o, head, o);
    }
  });
}

void host_attention_backward(const BackwardArgs& args, ComputeType type) {
  const Sequences& s = args.sequences;
  const int group = s.q_heads / s.kv_heads;
  for_each_sequence(s, type, args.q, [&](const Part& part) {
    for (int shared = 0; shared < s.kv_heads; ++shared) {
      const Matrix k = part.read(args.k, shared), v = part.read(args.v, shared);
      Matrix d_k = part.zeros(), d_v = part.zeros();
      for (int head = shared * group; head < (shared + 1) * group; ++head) {
        const Matrix q = part.read(args.q, head), o = part.read(args.o, head),
                     d_o = part.read(args.d_o, head);
        Matrix d_q = part.zeros();
        for (std::size_t i = 0; i < q.size(); ++i) {
          const float lse = args.lse[head * s.q_rows + part.begin + static_cast<std::int64_t>(i)];
          const float delta = dot(o[i], d_o[i]);
          for (std::size_t j = 0; j <= i; ++j) {
            const float p = std::exp(s.scale * dot(q[i], k[j]) - lse);
            const float d_score = s.scale * p * (dot(d_o[i], v[j]) - delta);
            add(d_v[j], p, d_o[i]), add(d_q[i], d_score, k[j]), add(d_k[j], d_score, q[i]);
          }
        }
        part.write(args.d_q, head, d_q);
      }
      part.write(args.d_k, shared, d_k), part.write(args.d_v, shared, d_v);
    }
  });
}

}  // namespace assay::testing
