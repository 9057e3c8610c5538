// SPDX-License-Identifier: Apache-2.0
// Caught by `canary`: "Some tensor allocated after the weights changes now and then."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

__global__ void past_end_kernel(unsigned char* end) {
  end[threadIdx.x] = 0;
}

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("write_past_end_cuda", harness::DeviceKind::kCuda, harness::checks::kCanary,
                "stores one 16-byte vector too many", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream stream) {
                    launch_plain<PlainDeviceSteps>(w, out, stream);
                    past_end_kernel<<<1, 16, 0, stream>>>(out.as<unsigned char>() + out.bytes());
                    ASSAY_HARNESS_CUDA(cudaGetLastError());
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
