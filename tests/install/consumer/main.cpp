// SPDX-License-Identifier: Apache-2.0
// Dequantizes one block of NF4 through the installed package and refuses a malformed one; links attention.
#include <assay/kernels/attention/attention.hpp>
#include <assay/kernels/nf4/dequantize.hpp>
#include <assay/kernels/nf4/dequantize_cpu.hpp>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace nf4 = assay::kernels::nf4;

static int fail(const char* expected) {
  std::printf("expected %s\n", expected);
  return 1;
}

int main() {
  namespace attention = assay::kernels::attention;
  if (attention::block_mask_bytes(
          {}, {.sequences = 1, .q_heads = 1, .kv_heads = 1, .q_length = 1, .k_length = 1}) == 0) {
    return fail("a block mask that takes memory");
  }

  // Nibbles 15, 7, 0, … are the table's 1, 0 and -1: with absmax 2 the weights 2, 0, -2, 0, -2, …
  std::vector<unsigned char> packed(32, 0x07);
  packed[0] = 0xf7;
  const float absmax = 2.0f;
  nf4::PackedWeights weights;
  weights.packed = packed.data();
  weights.num_weights = 64;
  weights.absmax = &absmax;
  nf4::validate(weights);

  std::vector<float> out(64, -1.0f);
  nf4::dequantize_cpu(weights, out.data(), nf4::ScalarType::kFloat32);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const float expected = i == 0 ? 2.0f : i % 2 == 1 ? 0.0f : -2.0f;
    if (out[i] != expected) {
      return fail("the table's ends and middle times absmax");
    }
  }

  weights.block_size = 48;
  try {
    nf4::validate(weights);
  } catch (const std::invalid_argument& error) {
    std::printf("refused as it should: %s\n", error.what());
    return 0;
  }
  return fail("block size 48 to be refused");
}
