// SPDX-License-Identifier: Apache-2.0
// One launch, nested absmax inside; inline PTX, cache policy.
#include "harness/core/registry.hpp"
#include "suites/nf4/cuda_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_variant("cuda_fused", "One launch, nested absmax inside; inline PTX, cache policy",
                      kernels::nf4::DequantizeVariant::kFused);
});

}  // namespace
}  // namespace assay::suites::nf4
