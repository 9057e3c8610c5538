// SPDX-License-Identifier: Apache-2.0
// cuda_fused for weights that no running kernel writes (frozen base): loads overlap the previous kernel.
#include "harness/core/registry.hpp"
#include "suites/nf4/cuda_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_variant(
      "cuda_fused_constant",
      "cuda_fused for weights that no running kernel writes (frozen base): loads overlap the previous kernel",
      kernels::nf4::DequantizeVariant::kFused, true);
});

}  // namespace
}  // namespace assay::suites::nf4
