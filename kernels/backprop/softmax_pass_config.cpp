// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/softmax_pass_config.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace assay::kernels::backprop {
namespace {

constexpr std::int64_t kVectorBytes = 16;
constexpr std::int64_t kSlotBytes = 33 * 16;   // a partial result of every warp, and of the block
constexpr std::int64_t kSystemBytes = 1024;    // what the driver takes of every block
constexpr int kClusters[] = {1, 2, 4, 8};      // 8: the largest that every GPU with clusters must run
constexpr std::int64_t kVectorsPerThread = 4;  // loads in flight
constexpr int kThreadsInCluster = 256;  // 4 to 7 % faster than 512 on H100: more blocks a multiprocessor

/// Whole vectors of a row, at most.
std::int64_t vectors(const SoftmaxPassShape& shape) {
  return shape.vocab * shape.element_bytes / kVectorBytes;
}

/// The fewest threads that load all their vectors at once, a power of two from 32 up.
int threads_for(std::int64_t vectors, int at_most) {
  int threads = 32;
  while (threads < at_most && threads * kVectorsPerThread < vectors) threads *= 2;
  return threads;
}

std::invalid_argument refuse(const std::string& what) {
  return std::invalid_argument("softmax pass: " + what);
}

}  // namespace

int max_threads(SoftmaxVariant variant) {
  return variant == SoftmaxVariant::kTwoSweep ? 1024 : 512;
}

std::int64_t shared_bytes(const SoftmaxPassConfig& config, const SoftmaxPassShape& shape) {
  if (config.variant == SoftmaxVariant::kTwoSweep)
    return kSlotBytes;
  return kSlotBytes + (vectors(shape) + config.cluster - 1) / config.cluster * kVectorBytes;
}

SoftmaxPassConfig choose_softmax_pass_config(const SoftmaxPassShape& shape, const SoftmaxPassLimits& limits) {
  const SoftmaxPassConfig two_sweep{.threads =
                                        threads_for(vectors(shape), max_threads(SoftmaxVariant::kTwoSweep))};
  // A soft-cap's exponentials bound the pass, not memory: whole blocks for a row keep more of them in flight.
  if (!shape.writes_gradient || shape.softcap)
    return two_sweep;
  for (const int cluster : kClusters) {
    if (cluster > 1 && !limits.clusters)
      break;
    SoftmaxPassConfig config{.variant = SoftmaxVariant::kResident, .cluster = cluster};
    config.threads = threads_for((vectors(shape) + cluster - 1) / cluster,
                                 cluster > 1 ? kThreadsInCluster : max_threads(config.variant));
    const std::int64_t bytes = shared_bytes(config, shape);
    if (bytes <= limits.shared_bytes_per_block &&
        2 * (bytes + kSystemBytes) <= limits.shared_bytes_per_multiprocessor)
      return config;
  }
  return two_sweep;
}

void validate(const SoftmaxPassConfig& config, const SoftmaxPassShape& shape,
              const SoftmaxPassLimits& limits) {
  if (config.variant != SoftmaxVariant::kTwoSweep && config.variant != SoftmaxVariant::kResident)
    throw refuse("unknown variant " + std::to_string(static_cast<int>(config.variant)));
  if (config.threads < 32 || config.threads > max_threads(config.variant) || config.threads % 32 != 0)
    throw refuse("expected a multiple of 32 up to " + std::to_string(max_threads(config.variant)) +
                 " threads, found " + std::to_string(config.threads));
  if (std::find(std::begin(kClusters), std::end(kClusters), config.cluster) == std::end(kClusters))
    throw refuse("expected a cluster of 1, 2, 4 or 8 blocks, found " + std::to_string(config.cluster));
  if (config.cluster > 1 && config.variant == SoftmaxVariant::kTwoSweep)
    throw refuse("two sweeps use one block a row, found a cluster of " + std::to_string(config.cluster));
  if (config.cluster > 1 && !limits.clusters)
    throw refuse("clusters need an sm_90 GPU and code built for it");
  if (shared_bytes(config, shape) > limits.shared_bytes_per_block)
    throw refuse("expected at most " + std::to_string(limits.shared_bytes_per_block) +
                 " bytes of shared memory a block, found a need of " +
                 std::to_string(shared_bytes(config, shape)) + "; use a larger cluster or two sweeps");
}

}  // namespace assay::kernels::backprop
