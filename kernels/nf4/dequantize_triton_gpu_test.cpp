// SPDX-License-Identifier: Apache-2.0
// The Triton kernel on the machine's GPU against the scalar formula, bit by bit.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/cuda_check.hpp"
#include "kernels/nf4/dequantize_triton.hpp"

namespace assay::kernels::nf4 {
namespace {

constexpr ScalarType kTypes[] = {ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32};

bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

/// Device memory; `offset` bytes past an address aligned to 256.
class DeviceBytes {
 public:
  DeviceBytes(const void* host, std::size_t bytes, std::size_t offset = 0) : offset_(offset) {
    ASSAY_CUDA_CHECK(cudaMalloc(&base_, bytes + offset + 256));
    ASSAY_CUDA_CHECK(cudaMemset(base_, 0xff, bytes + offset + 256));
    if (host != nullptr && bytes > 0)
      ASSAY_CUDA_CHECK(cudaMemcpy(get(), host, bytes, cudaMemcpyHostToDevice));
  }
  ~DeviceBytes() { cudaFree(base_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  void* get() const { return static_cast<char*>(base_) + offset_; }

 private:
  void* base_ = nullptr;
  std::size_t offset_;
};

/// Random weights on the host, both levels.
struct HostWeights {
  std::vector<std::uint8_t> packed, codes;
  std::vector<float> absmax, nested_absmax, nested_code, offset;

  HostWeights(std::int64_t n, int block_size, int nested_block_size, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> real(-1.5f, 1.5f);
    const auto fill = [&](auto& v, std::int64_t size, auto make) {
      v.resize(static_cast<std::size_t>(size));
      for (auto& x : v) x = static_cast<std::remove_reference_t<decltype(x)>>(make());
    };
    const std::int64_t blocks = (n + block_size - 1) / block_size;
    fill(packed, (n + 1) / 2, [&] { return random() & 255u; });
    fill(codes, blocks, [&] { return random() & 255u; });
    fill(absmax, blocks, [&] { return real(random); });
    fill(nested_absmax, (blocks + nested_block_size - 1) / nested_block_size, [&] { return real(random); });
    fill(nested_code, 256, [&] { return real(random); });
    fill(offset, 1, [&] { return real(random); });
  }
};

struct Case {
  std::int64_t n;
  int block_size = 64;
  int nested_block_size = 256;
  Codebook codebook = Codebook::kNf4;
  bool nested = true;
  std::size_t packed_offset = 0, out_offset = 0;
  bool special = false;  ///< single level only: the first three blocks have NaN and infinite absmax
};

/// One weight by format.hpp's formula; the project builds host code without contraction into fma.
float expected(const HostWeights& w, const Case& c, std::int64_t i) {
  const auto at = [](const auto& v, std::int64_t k) { return v[static_cast<std::size_t>(k)]; };
  const int byte = at(w.packed, i / 2);
  const std::int64_t block = i / c.block_size;
  float absmax = 0;
  if (c.nested) {
    const float product =
        at(w.nested_code, at(w.codes, block)) * at(w.nested_absmax, block / c.nested_block_size);
    absmax = product + w.offset[0];
  } else {
    absmax = at(w.absmax, block);
  }
  return code_table(c.codebook)[i % 2 == 0 ? byte >> 4 : byte & 15] * absmax;
}

/// After one rounding to `type`; a NaN is the one that the GPU's arithmetic and conversions make.
std::uint32_t bits(float value, ScalarType type) {
  if (std::isnan(value))
    return type == ScalarType::kFloat32 ? 0x7fffffffu : 0x7fffu;
  switch (type) {
    case ScalarType::kFloat16:
      return __half_as_ushort(__float2half_rn(value));
    case ScalarType::kBfloat16:
      return __bfloat16_as_ushort(__float2bfloat16_rn(value));
    case ScalarType::kFloat32:
      break;
  }
  std::uint32_t word;
  std::memcpy(&word, &value, 4);
  return word;
}

/// Runs the case on the current GPU, compares every bit, and that nothing behind the end was written.
void expect_exact(const Case& c, ScalarType type) {
  HostWeights w(c.n, c.block_size, c.nested_block_size, 3407);
  if (c.special) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity};
    std::copy_n(values, 3, w.absmax.begin());
  }
  const std::size_t element = type == ScalarType::kFloat32 ? 4 : 2;
  const std::size_t out_bytes = static_cast<std::size_t>(c.n) * element;
  const DeviceBytes packed(w.packed.data(), w.packed.size(), c.packed_offset);
  const DeviceBytes codes(w.codes.data(), w.codes.size());
  const DeviceBytes absmax(w.absmax.data(), w.absmax.size() * 4);
  const DeviceBytes nested_absmax(w.nested_absmax.data(), w.nested_absmax.size() * 4);
  const DeviceBytes nested_code(w.nested_code.data(), 256 * 4);
  const DeviceBytes offset(w.offset.data(), 4);
  const DeviceBytes out(nullptr, out_bytes + 64, c.out_offset);

  DequantizeArgs args{.weights = {.packed = static_cast<const std::uint8_t*>(packed.get()),
                                  .num_weights = c.n,
                                  .block_size = c.block_size,
                                  .codebook = c.codebook,
                                  .nested_block_size = c.nested_block_size},
                      .out = out.get(),
                      .out_type = type};
  if (c.nested) {
    args.weights.absmax_codes = static_cast<const std::uint8_t*>(codes.get());
    args.weights.nested_absmax = static_cast<const float*>(nested_absmax.get());
    args.weights.nested_code = static_cast<const float*>(nested_code.get());
    args.weights.nested_offset = static_cast<const float*>(offset.get());
  } else {
    args.weights.absmax = static_cast<const float*>(absmax.get());
  }
  dequantize_triton(args, nullptr);
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());

  std::vector<char> host(out_bytes + 64);
  ASSAY_CUDA_CHECK(cudaMemcpy(host.data(), out.get(), host.size(), cudaMemcpyDeviceToHost));
  for (std::int64_t i = 0; i < c.n; ++i) {
    std::uint32_t found = 0;
    std::memcpy(&found, host.data() + static_cast<std::size_t>(i) * element, element);
    ASSERT_EQ(found, bits(expected(w, c, i), type)) << "weight " << i << " of " << c.n << ", block size "
                                                    << c.block_size << ", type " << static_cast<int>(type);
  }
  for (std::size_t i = out_bytes; i < host.size(); ++i)
    ASSERT_EQ(host[i], '\xff') << "byte " << i - out_bytes << " past the end was written, length " << c.n;
}

class GpuDequantizeTriton : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_gpu())
      GTEST_SKIP() << "no GPU";
    if (dequantize_triton_images().empty())
      GTEST_SKIP() << "built with ASSAY_TRITON=OFF";
  }
};

TEST_F(GpuDequantizeTriton, every_bit_is_the_formula_for_whole_programs_and_tails) {
  for (const ScalarType type : kTypes) {
    for (const std::int64_t n : {1, 2, 63, 64, 65, 1023, 1024, 2047, 2048, 2049, 4096, 100001, 1 << 20})
      expect_exact({.n = n}, type);
  }
}

TEST_F(GpuDequantizeTriton, every_block_size_codebook_and_level_is_exact) {
  for (const ScalarType type : kTypes) {
    for (int block_size = 32; block_size <= 4096; block_size *= 2) {
      for (const bool nested : {true, false}) {
        expect_exact({.n = 70001, .block_size = block_size, .nested_block_size = 16, .nested = nested}, type);
        expect_exact({.n = 8192, .block_size = block_size, .codebook = Codebook::kFp4, .nested = nested},
                     type);
      }
    }
  }
}

TEST_F(GpuDequantizeTriton, unaligned_pointers_are_exact) {
  for (const ScalarType type : kTypes) {
    expect_exact({.n = 10007, .packed_offset = 1}, type);
    expect_exact({.n = 10007, .out_offset = 4}, type);
    expect_exact({.n = 10007, .nested = false, .packed_offset = 3, .out_offset = 12}, type);
  }
}

TEST_F(GpuDequantizeTriton, nan_and_infinite_absmax_give_nan_and_infinity) {
  for (const ScalarType type : kTypes) expect_exact({.n = 5000, .nested = false, .special = true}, type);
}

TEST_F(GpuDequantizeTriton, captured_call_is_one_kernel_node) {
  const HostWeights w(4096, 64, 256, 1);
  const DeviceBytes packed(w.packed.data(), w.packed.size());
  const DeviceBytes absmax(w.absmax.data(), w.absmax.size() * 4);
  const DeviceBytes out(nullptr, 4096 * 2);
  const DequantizeArgs args{.weights = {.packed = static_cast<const std::uint8_t*>(packed.get()),
                                        .num_weights = 4096,
                                        .absmax = static_cast<const float*>(absmax.get())},
                            .out = out.get()};
  cudaStream_t stream{};
  ASSAY_CUDA_CHECK(cudaStreamCreate(&stream));
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  dequantize_triton(args, stream);
  cudaGraph_t graph{};
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  std::size_t count = 0;
  ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &count));
  ASSERT_EQ(count, 1u);
  cudaGraphNode_t node{};
  ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph, &node, &count));
  cudaGraphNodeType type{};
  ASSAY_CUDA_CHECK(cudaGraphNodeGetType(node, &type));
  EXPECT_EQ(type, cudaGraphNodeTypeKernel);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(GpuDequantizeTriton, target_names_the_image_that_runs) {
  const TritonImage& image = dequantize_triton_target();
  EXPECT_EQ(image.name, "bf16_nested_aligned");
  EXPECT_GE(image.arch, 75);
}

}  // namespace
}  // namespace assay::kernels::nf4
