// SPDX-License-Identifier: Apache-2.0
// CPU baseline: 16-bit weights a row at a time, f32 sums in order, one thread.
#include "harness/core/registry.hpp"
#include "suites/nf4/matmul/adapter.hpp"

namespace assay::suites::nf4::matmul {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  harness::Implementation out;
  out.name = "reference_cpu";
  out.role = harness::Role::kBaseline;
  out.device = harness::DeviceKind::kCpu;
  out.about = "Dequantize, then multiply: plain loops, f32 sums, one thread";
  out.headline_baseline = true;
  out.prepare = [](const harness::Case& which, const harness::TensorSet& inputs, harness::TensorSet& outputs,
                   harness::CallStyle style) {
    return prepare_product(
        outputs, style,
        [product = reference_product(parameters_of(which), inputs)](void* y, void*, harness::Stream) {
          reference::nf4::dequantize_then_multiply(product, 0, product.n, y);
        });
  };
  out.sources = {"reference/nf4/matmul.cpp", "reference/nf4/dequantize.cpp", "reference/nf4/rounding.hpp",
                 "reference/nf4/table.hpp"};
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4::matmul
