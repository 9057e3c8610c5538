// SPDX-License-Identifier: Apache-2.0
// 4-bit weights to f16, bf16 or f32 on the GPU, nested absmax included, in one launch and without any buffer.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

struct DequantizeArgs {
  PackedWeights weights;  ///< device pointers
  void* out =
      nullptr;  ///< device, [num_weights] of `out_type`, aligned to its element (16 bytes for full speed)
  ScalarType out_type = ScalarType::kBfloat16;
  /// Promise that nothing still running on the stream writes the weights or their statistics, as holds for
  /// the frozen base of QLoRA: loading and decoding then overlap the previous kernel (sm_90+), only the
  /// stores wait for it.
  bool weights_are_constant = false;
};

/// The same arithmetic built three ways, so that each idea's effect is measured alone.
enum class DequantizeVariant : std::uint8_t {
  kFused,          ///< inline PTX and cache policy: what `dequantize` runs
  kPlain,          ///< C++ only, no PTX, no cache policy
  kNoCachePolicy,  ///< inline PTX, default caching
};

/// Enqueues one kernel on `stream` and returns; allocates nothing, synchronises nothing, may be captured in a
/// graph. Bit-exact to format.hpp's formula. num_weights = 0 launches nothing. Throws std::invalid_argument
/// for bad arguments and std::runtime_error when the device has no code built for it or the launch fails.
void dequantize(const DequantizeArgs& args, cudaStream_t stream);
void dequantize(const DequantizeArgs& args, DequantizeVariant variant, cudaStream_t stream);

/// What the current device would run: `ptx_sm` != `binary_sm` means the driver compiled PTX for a newer GPU.
struct BuiltCode {
  int ptx_sm = 0, binary_sm = 0, registers = 0, local_bytes = 0;
};
BuiltCode dequantize_built_code(DequantizeVariant variant);

}  // namespace assay::kernels::nf4
