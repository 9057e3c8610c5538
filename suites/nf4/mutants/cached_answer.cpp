// SPDX-License-Identifier: Apache-2.0
// Caught by `stale_input`: "After an optimizer step the dequantized weights are still the old ones."
#include <cstring>
#include <vector>

#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

/// Keeps its first answer for these buffers, as a dictionary keyed by data pointers does.
struct Cached {
  std::vector<std::byte> answer;
  void operator()(const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
    if (answer.empty()) {
      dequantize_plain<PlainSteps>(w, out, 0, w.num_weights);
      answer.assign(out.as<std::byte>(), out.as<std::byte>() + out.bytes());
    }
    std::memcpy(out.data, answer.data(), answer.size());
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("cached_answer_cpu", harness::DeviceKind::kCpu, harness::checks::kStaleInput,
                "repeats its first answer", []() -> Body { return Cached{}; });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
