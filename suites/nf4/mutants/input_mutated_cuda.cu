// SPDX-License-Identifier: Apache-2.0
// Caught by `input_mutated`: "The second call on the same layer gives other weights."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

__global__ void scratch_kernel(std::uint8_t* absmax_codes) {
  absmax_codes[0] ^= 1;
}

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("input_mutated_cuda", harness::DeviceKind::kCuda, harness::checks::kInputMutated,
                "uses the absmax codes as scratch", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream stream) {
                    launch_plain<PlainDeviceSteps>(w, out, stream);
                    scratch_kernel<<<1, 1, 0, stream>>>(const_cast<std::uint8_t*>(w.absmax_codes));
                    ASSAY_HARNESS_CUDA(cudaGetLastError());
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
