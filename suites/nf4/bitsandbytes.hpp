// SPDX-License-Identifier: Apache-2.0
// The real bitsandbytes libraries of an installed wheel, opened by dlopen: outside truth and outside
// baseline.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <optional>
#include <string>

namespace assay::suites::nf4 {

/// Entry points of libbitsandbytes_cuda<XYZ>.so (names and signatures: csrc/pythonInterface.cpp, 0.50).
struct BitsandbytesCuda {
  using DequantizeAbsmax = void (*)(float* code, unsigned char* a, float* absmax, float* out, int block_size,
                                    int n, cudaStream_t stream);
  using Dequantize4bit = void (*)(float* code, unsigned char* a, float* absmax, void* out, int block_size,
                                  int n, cudaStream_t stream);
  using Quantize = void (*)(float* code, void* a, float* absmax, unsigned char* out, int block_size, int n);
  /// y [m, n] = a [m, k] · bᵀ + bias [n] with b [n, k] in 4 bits, nested absmax where `absmax_8bit` is given
  /// (csrc/gemm_4bit.cu).
  using Gemm4bit = void (*)(const void* a, const unsigned char* b, const float* absmax,
                            const unsigned char* absmax_8bit, const float* absmax_code,
                            const float* absmax_offset, void* y, const void* bias, int m, int n, int k,
                            int block_size, int quant_type, cudaStream_t stream);
  DequantizeAbsmax dequantize_fp32 = nullptr;
  Dequantize4bit fp16_nf4 = nullptr, bf16_nf4 = nullptr, fp32_nf4 = nullptr;
  Dequantize4bit fp16_fp4 = nullptr, bf16_fp4 = nullptr, fp32_fp4 = nullptr;
  Quantize quantize_fp32 = nullptr;  // 8-bit dynamic map
  Quantize quantize_fp16_nf4 = nullptr, quantize_bf16_nf4 = nullptr, quantize_fp32_nf4 = nullptr;
  Quantize quantize_fp16_fp4 = nullptr, quantize_bf16_fp4 = nullptr, quantize_fp32_fp4 = nullptr;
  Gemm4bit gemm_fp16 = nullptr, gemm_bf16 = nullptr;  ///< since 0.50; null before
  std::string version;                                ///< "bitsandbytes 0.50.2", from the wheel's metadata
  std::string path;
};

/// Found beside the program (bundle), in the Python named at configure time, or in python3's site-packages;
/// the first that loads. nullptr when none does; `why` then receives what was tried. Opened once.
const BitsandbytesCuda* bitsandbytes_cuda(std::string* why = nullptr);

/// Path of libbitsandbytes_cpu.so by the same search, with its version; nullopt when there is none.
struct BitsandbytesCpuLibrary {
  std::string path, version;
};
std::optional<BitsandbytesCpuLibrary> bitsandbytes_cpu_library();

}  // namespace assay::suites::nf4
