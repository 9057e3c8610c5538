// SPDX-License-Identifier: Apache-2.0
// CPU baseline: the plain loop.
#include "harness/core/registry.hpp"
#include "suites/nf4/cpu_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  harness::Implementation out;
  out.name = "cpu_scalar";
  out.role = harness::Role::kBaseline;
  out.device = harness::DeviceKind::kCpu;
  out.about = "One plain loop over blocks on one thread, compiled with -O3";
  out.headline_baseline = true;
  out.prepare = [](const harness::Case& which, const harness::TensorSet& inputs, harness::TensorSet& outputs,
                   harness::CallStyle style) {
    const DequantizeCase& c = parameters_of(which);
    return prepare_cpu(
        outputs, style,
        [weights = as_reference(packed_weights(c, inputs)), type = as_reference(scalar_type(c.dtype))](
            void* to) { reference::nf4::dequantize_scalar(weights, type, to); });
  };
  out.sources = {"reference/nf4/dequantize_scalar.cpp", "reference/nf4/rounding.hpp",
                 "reference/nf4/table.hpp"};
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4
