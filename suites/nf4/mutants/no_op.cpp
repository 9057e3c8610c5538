// SPDX-License-Identifier: Apache-2.0
// Caught by `unwritten`: "The kernel launched nothing, yet the benchmark said 40 times faster."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant(
      "no_op_cpu", harness::DeviceKind::kCpu, harness::checks::kUnwritten, "does nothing",
      []() -> Body { return [](const PackedWeights&, const harness::TensorView&, harness::Stream) {}; });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
