// SPDX-License-Identifier: Apache-2.0
// cuda_fused with the hardware's default caching.
#include "harness/core/registry.hpp"
#include "suites/nf4/cuda_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_variant("cuda_no_cache_policy", "cuda_fused with the hardware's default caching",
                      kernels::nf4::DequantizeVariant::kNoCachePolicy);
});

}  // namespace
}  // namespace assay::suites::nf4
