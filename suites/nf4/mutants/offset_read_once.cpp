// SPDX-License-Identifier: Apache-2.0
// Caught by `stale_input`: "Loading another checkpoint into the same buffers shifts every weight a little."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  harness::Implementation implementation =
      mutant("offset_read_once_cpu", harness::DeviceKind::kCpu, harness::checks::kStaleInput,
             "reads the nested offset when it is prepared", nullptr);
  implementation.prepare = [](const harness::Case& which, const harness::TensorSet& inputs,
                              harness::TensorSet& outputs, harness::CallStyle) {
    const PackedWeights weights = packed_weights(parameters_of(which), inputs);
    return harness::Invocation(
        [weights, offset = *weights.nested_offset, out = outputs.at("weight")](harness::Stream) {
          PackedWeights with_old_offset = weights;
          with_old_offset.nested_offset = &offset;
          dequantize_plain<PlainSteps>(with_old_offset, out, 0, weights.num_weights);
        });
  };
  return implementation;
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
