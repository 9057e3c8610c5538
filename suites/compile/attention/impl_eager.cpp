// SPDX-License-Identifier: Apache-2.0
// The baseline: the whole matrix of scores with torch's operations, as transformers' eager attention, in
// parts where memory does not hold it. Its backward makes the scores again, as it has nobody's probabilities.
#include "harness/core/registry.hpp"
#include "suites/compile/attention/case_tensors.hpp"

namespace assay::suites::compile {
namespace {

harness::Implementation implementation(harness::DeviceKind device) {
  harness::Implementation out;
  out.name = device == harness::DeviceKind::kCpu ? "eager_cpu" : "eager";
  out.role = harness::Role::kBaseline;
  out.device = device;
  out.about = "torch's operations on the whole matrix of scores, as transformers writes them";
  out.headline_baseline = true;
  out.prepare = [](const harness::Case& which, const harness::TensorSet& inputs, harness::TensorSet& outputs,
                   harness::CallStyle style) {
    return prepare_tensor_call(inputs, outputs, style,
                               [c = attention_parameters_of(which)](const Tensors& in, const Tensors& to) {
                                 eager_attention_call(c, in, to);
                               });
  };
  out.sources = {"reference/attention/eager/attention.cpp", "suites/compile/attention/case_tensors.cpp",
                 "suites/compile/attention/impl_eager.cpp", "suites/compile/common/tensors.cpp"};
  return out;
}

const harness::RegisterImplementation kGpu(kAttentionChallenge,
                                           [] { return implementation(harness::DeviceKind::kCuda); });
const harness::RegisterImplementation kCpu(kAttentionChallenge,
                                           [] { return implementation(harness::DeviceKind::kCpu); });

}  // namespace
}  // namespace assay::suites::compile
