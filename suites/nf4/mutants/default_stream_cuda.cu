// SPDX-License-Identifier: Apache-2.0
// Caught by `stream`: "It is wrong as soon as I train on a side stream."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("default_stream_cuda", harness::DeviceKind::kCuda, harness::checks::kStream,
                "forgets the stream in its launch", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    launch_plain<PlainDeviceSteps>(w, out, nullptr);
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
