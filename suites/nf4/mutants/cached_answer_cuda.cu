// SPDX-License-Identifier: Apache-2.0
// Caught by `stale_input`: "After an optimizer step the dequantized weights are still the old ones."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

/// Keeps its first answer for these buffers, as a dictionary keyed by data pointers does; on the right
/// stream.
struct Cached {
  std::shared_ptr<harness::DeviceBuffer> answer;
  void operator()(const PackedWeights& w, const harness::TensorView& out, harness::Stream stream) {
    if (!answer) {
      answer = std::make_shared<harness::DeviceBuffer>(out.bytes(), harness::DeviceKind::kCuda);
      launch_plain<PlainDeviceSteps>(w, out, stream);
      ASSAY_HARNESS_CUDA(
          cudaMemcpyAsync(answer->data(), out.data, out.bytes(), cudaMemcpyDeviceToDevice, stream));
    }
    ASSAY_HARNESS_CUDA(
        cudaMemcpyAsync(out.data, answer->data(), out.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("cached_answer_cuda", harness::DeviceKind::kCuda, harness::checks::kStaleInput,
                "repeats its first answer", []() -> Body { return Cached{}; });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
