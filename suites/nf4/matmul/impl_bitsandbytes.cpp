// SPDX-License-Identifier: Apache-2.0
// The installed bitsandbytes' fused 4-bit linear, called as its Python calls it (backends/cuda/ops.py, 0.50).
#include "harness/core/registry.hpp"
#include "suites/nf4/bitsandbytes.hpp"
#include "suites/nf4/matmul/adapter.hpp"

namespace assay::suites::nf4::matmul {
namespace {

// Its kernel for few rows rounds code, absmax and their product to 16 bits where dequantizing rounds once
// (csrc/gemm_4bit_simt.cu): 1.23 (bf16) and 1.25 times (f16) the baseline's error with random weights of
// 2048x2048 and 16 rows, and more in single tiles. The rows say how far it is.
constexpr double kOwnK = 1.6;
constexpr std::int64_t kMostRows = 1536;  // above, its Python never calls it

BitsandbytesCuda::Gemm4bit entry_for(const BitsandbytesCuda& library, harness::Dtype dtype) {
  return dtype == harness::Dtype::kFloat16 ? library.gemm_fp16 : library.gemm_bf16;
}

std::optional<std::string> unsupported(const harness::Case& which, const harness::DeviceFacts&) {
  const MatmulCase& c = parameters_of(which);
  std::string why;
  const BitsandbytesCuda* const library = bitsandbytes_cuda(&why);
  if (library == nullptr)
    return "no bitsandbytes CUDA library: " + why;
  if (entry_for(*library, c.dtype) == nullptr)
    return library->version + " has no cgemm_4bit; it came with 0.50";
  if (c.k % c.block_size != 0)
    return "its Python falls back to dequantizing where K is no multiple of the block size";
  if (c.m > kMostRows)
    return "its Python falls back to dequantizing above 1536 rows";
  return std::nullopt;
}

harness::Invocation prepare(const harness::Case& which, const harness::TensorSet& inputs,
                            harness::TensorSet& outputs, harness::CallStyle style) {
  constexpr int kNf4 = 2;
  const MatmulCase c = parameters_of(which);
  const kernels::nf4::PackedWeights w = packed_weights(c, inputs);
  return prepare_product(
      outputs, style, [c, w, x = inputs.at("x").data](void* y, void*, harness::Stream stream) {
        entry_for(*bitsandbytes_cuda(), c.dtype)(
            x, w.packed, w.nested_absmax, w.absmax_codes, w.nested_code, w.nested_offset, y, nullptr,
            static_cast<int>(c.m), static_cast<int>(c.n), static_cast<int>(c.k), c.block_size, kNf4, stream);
      });
}

const harness::RegisterImplementation kThis(kMatmul, [] {
  harness::Implementation out;
  out.name = "bitsandbytes";
  out.role = harness::Role::kPeer;
  out.about = "cgemm_4bit of the installed bitsandbytes library";
  out.headline_baseline = true;  // what people run today: where it is the faster way, it is the one to beat
  out.own_k = kOwnK;
  out.unsupported = unsupported;
  out.prepare = prepare;
  out.sources = {"suites/nf4/matmul/impl_bitsandbytes.cpp"};
  if (harness::cuda_available() && bitsandbytes_cuda() != nullptr)
    out.version = bitsandbytes_cuda()->version;
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4::matmul
