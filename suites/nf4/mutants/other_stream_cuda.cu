// SPDX-License-Identifier: Apache-2.0
// Caught by `stream`: "It is right with CUDA_LAUNCH_BLOCKING=1 and sometimes wrong without."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

/// Works on a stream of its own and never looks at the one it was given.
struct OtherStream {
  std::shared_ptr<harness::OwnedStream> stream =
      std::make_shared<harness::OwnedStream>(harness::DeviceKind::kCuda);
  void operator()(const PackedWeights& w, const harness::TensorView& out, harness::Stream) const {
    launch_plain<PlainDeviceSteps>(w, out, *stream);
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("other_stream_cuda", harness::DeviceKind::kCuda, harness::checks::kStream,
                "works on a stream of its own", []() -> Body { return OtherStream{}; });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
