// SPDX-License-Identifier: Apache-2.0
// Checks, configuration, launch of SwiGLU. Dispatch over type, alignment and vectors is total.
#include "kernels/llama/check.hpp"
#include "kernels/llama/launch.cuh"
#include "kernels/llama/pointwise_config.hpp"
#include "kernels/llama/swiglu_kernel.cuh"

namespace assay::kernels::llama {
namespace {

// Six and ten bytes an element: two vectors of two inputs, or one of three, are 64 and 48 bytes a thread in
// flight.
constexpr int kForwardVectors = 2, kBackwardVectors = 1;

device::SwigluIn in(const InputRows& rows) {
  return {rows.data, rows.stride};
}
device::SwigluOut out(const OutputRows& rows) {
  return {rows.data, rows.stride};
}

template <class Args>
SwigluConfig config_of(const Args& a, int vectors) {
  return choose_swiglu_config(a.rows, a.columns, static_cast<int>(size_of(a.type)), is_aligned(a), vectors);
}

device::SwigluTiles tiles_of(const SwigluConfig& config, std::int64_t columns, bool aligned) {
  if (config.blocks > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("swiglu: expected fewer than 2^31 blocks, found " +
                                std::to_string(config.blocks) + "; split the rows");
  return {
      .columns = columns, .tiles_per_row = static_cast<unsigned>(config.tiles_per_row), .aligned = aligned};
}

}  // namespace

void swiglu(const SwigluForward& args, cudaStream_t stream) {
  check(args);
  if (args.rows == 0 || args.columns == 0)
    return;
  const SwigluForward a = flattened(with_strides(args));
  const SwigluConfig config = config_of(a, kForwardVectors);
  const device::Swiglu p{
      .tiles = tiles_of(config, a.columns, is_aligned(a)), .gate = in(a.gate), .up = in(a.up), .y = out(a.y)};
  const Launch shape{config.blocks, config.threads, 0, stream};
  dispatch(a.type, [&]<class T>() {
    launch(config.vectorized ? device::swiglu_kernel<T, true, kForwardVectors>
                             : device::swiglu_kernel<T, false, kForwardVectors>,
           shape, p);
  });
}

void swiglu_backward(const SwigluBackward& args, cudaStream_t stream) {
  check(args);
  if (args.rows == 0 || args.columns == 0)
    return;
  const SwigluBackward a = flattened(with_strides(args));
  const SwigluConfig config = config_of(a, kBackwardVectors);
  const device::SwigluGradient p{.tiles = tiles_of(config, a.columns, is_aligned(a)),
                                 .gate = in(a.gate),
                                 .up = in(a.up),
                                 .dy = in(a.dy),
                                 .dgate = out(a.dgate),
                                 .dup = out(a.dup),
                                 .y = out(a.y)};
  const Launch shape{config.blocks, config.threads, 0, stream};
  dispatch(a.type, [&]<class T>() {
    launch(config.vectorized ? device::swiglu_backward_kernel<T, true, kBackwardVectors>
                             : device::swiglu_backward_kernel<T, false, kBackwardVectors>,
           shape, p);
  });
}

}  // namespace assay::kernels::llama
