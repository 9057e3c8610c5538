// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/matmul_search.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels {
namespace {

constexpr int kMostProposals = 16;
constexpr int kQualifyingRounds = 2, kFinalRounds = 7;
constexpr std::size_t kFinalists = 4;
constexpr float kLeastGain = 0.01f;

class Stopwatch {
 public:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
    ASSAY_CUDA_CHECK(cudaEventCreate(&begin_));
    ASSAY_CUDA_CHECK(cudaEventCreate(&end_));
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  template <class Work>
  float time_us(const Work& work) {
    ASSAY_CUDA_CHECK(cudaEventRecord(begin_, stream_));
    work();
    ASSAY_CUDA_CHECK(cudaEventRecord(end_, stream_));
    ASSAY_CUDA_CHECK(cudaEventSynchronize(end_));
    float ms = 0.0f;
    ASSAY_CUDA_CHECK(cudaEventElapsedTime(&ms, begin_, end_));
    return 1e3f * ms;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

float median(std::vector<float> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

/// As the largest power of two that divides it, up to 256.
std::uint32_t stride_alignment(std::int64_t stride) {
  return std::uint32_t{1} << std::min(8, std::countr_zero(static_cast<std::uint64_t>(stride)));
}

/// The first proposal and the fastest of the others.
std::vector<std::size_t> finalists(const std::vector<float>& fastest_us) {
  std::vector<std::size_t> order(fastest_us.size() - 1);
  std::iota(order.begin(), order.end(), 1);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return fastest_us[a] < fastest_us[b]; });
  order.resize(std::min(order.size(), kFinalists));
  order.insert(order.begin(), 0);
  return order;
}

}  // namespace

std::int64_t bucket_size(std::int64_t size) {
  if (size <= 4)
    return size;
  const int exponent =
      std::bit_width(static_cast<std::uint64_t>(size)) - 3;  // size = (4 … 7.99) · 2^exponent
  const std::int64_t step = std::int64_t{1} << exponent;
  return (size + step - 1) / step * step;
}

MatmulBucket bucket_of(const MatmulArgs& g) {
  return {{bucket_size(g.m), bucket_size(g.n), bucket_size(g.k)},
          {g.transpose_a, g.transpose_b, static_cast<int>(g.in_type), static_cast<int>(g.out_type)},
          {alignment_of(g.a), alignment_of(g.b), alignment_of(g.d), stride_alignment(g.lda),
           stride_alignment(g.ldb), stride_alignment(g.ldd)},
          g.workspace_bytes,
          g.beta != 0.0f};
}

std::size_t fastest(const std::vector<std::vector<float>>& samples_us) {
  std::size_t best = 0;
  float best_us = (1.0f - kLeastGain) * median(samples_us.front());
  for (std::size_t i = 1; i < samples_us.size(); ++i) {
    if (const float us = median(samples_us[i]); us < best_us) {
      best = i;
      best_us = us;
    }
  }
  return best;
}

MatmulWinner search_fastest(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& g,
                            cudaStream_t stream) {
  const auto algorithms = proposals(handle, problem, g, kMostProposals);
  Stopwatch watch(stream);
  const auto time_us = [&](std::size_t i) {
    return watch.time_us([&] { run_product(handle, problem, g, algorithms[i], stream); });
  };
  std::vector<float> qualifying(algorithms.size());
  for (std::size_t i = 0; i < algorithms.size(); ++i) {
    time_us(i);  // loads its code
    qualifying[i] = time_us(i);
    for (int round = 1; round < kQualifyingRounds; ++round)
      qualifying[i] = std::min(qualifying[i], time_us(i));
  }
  const std::vector<std::size_t> last = finalists(qualifying);
  std::vector<std::vector<float>> samples(last.size());
  for (int round = 0; round < kFinalRounds; ++round)
    for (std::size_t i = 0; i < last.size(); ++i) samples[i].push_back(time_us(last[i]));
  const std::size_t best = fastest(samples);
  return {algorithms[last[best]],
          {.product = shape_text(g) + (g.beta != 0.0f ? ", added to d" : ""),
           .proposals = static_cast<int>(algorithms.size()),
           .winner = static_cast<int>(last[best]),
           .first_us = median(samples.front()),
           .winner_us = median(samples[best])}};
}

}  // namespace assay::kernels
