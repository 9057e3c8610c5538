// SPDX-License-Identifier: Apache-2.0
// The same in C++ alone: no PTX, no cache policy, no dependent launch.
#include "harness/core/registry.hpp"
#include "suites/nf4/cuda_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_variant("cuda_plain", "The same in C++ alone: no PTX, no cache policy, no dependent launch",
                      kernels::nf4::DequantizeVariant::kPlain);
});

}  // namespace
}  // namespace assay::suites::nf4
