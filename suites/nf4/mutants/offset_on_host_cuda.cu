// SPDX-License-Identifier: Apache-2.0
// Caught by `host_sync`: "Every layer stalls the CPU for as long as the GPU is behind: it calls .item() on
// the offset."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

/// Copies the nested offset to the host and waits for it, then passes it by value.
void read_offset_then_launch(const PackedWeights& w, const harness::TensorView& out, harness::Stream stream) {
  float offset = 0.0f;
  ASSAY_HARNESS_CUDA(
      cudaMemcpyAsync(&offset, w.nested_offset, sizeof(offset), cudaMemcpyDeviceToHost, stream));
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  launch_plain<PlainDeviceSteps>(w, out, stream);
}

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("offset_on_host_cuda", harness::DeviceKind::kCuda, harness::checks::kHostSync,
                "waits for the nested offset on the host", []() -> Body { return read_offset_then_launch; });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
