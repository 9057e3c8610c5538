// SPDX-License-Identifier: Apache-2.0
// Candidates: kernels/attention, with a block mask made before the calls or in each of them.
#include "harness/core/registry.hpp"
#include "suites/compile/attention/kernel_adapter.hpp"

namespace assay::suites::compile {
namespace {

/// One for all cases: a program serves every case of its mods, head size and type.
const std::shared_ptr<flex::Compiler>& compiler() {
  static const auto instance = std::make_shared<flex::Compiler>();
  return instance;
}

std::optional<std::string> unsupported(const harness::Case& which, const harness::DeviceFacts& device) {
  const bool half = attention_parameters_of(which).dtype == harness::Dtype::kFloat16;
  if (device.sm < 75)
    return "needs compute capability 7.5 or later";
  return half || device.sm >= 80 ? std::nullopt
                                 : std::optional<std::string>("bf16 needs compute capability 8.0 or later");
}

std::vector<std::string> sources() {
  std::vector<std::string> out = {"kernels/common/driver.cpp", "suites/compile/attention/impl_kernels.cpp",
                                  "suites/compile/attention/kernel_adapter.cpp"};
  for (const char* host : {"attention.cpp", "attention.hpp", "block_mask.cpp", "compiler.cpp", "config.cpp",
                           "example_mods.cpp", "loaded_program.cpp", "program_source.cpp", "tensor_map.cpp"})
    out.push_back(std::string("kernels/attention/") + host);
  for (const char* device : {"backward_delta.cuh",
                             "backward_keys.cuh",
                             "backward_keys_hopper.cuh",
                             "backward_queries.cuh",
                             "backward_queries_hopper.cuh",
                             "backward_score.cuh",
                             "block_mask.cuh",
                             "entries_backward.cuh",
                             "entries_backward_hopper.cuh",
                             "entries_backward_mma.cuh",
                             "entries_block_mask.cuh",
                             "entries_forward.cuh",
                             "entries_forward_hopper.cuh",
                             "forward.cuh",
                             "forward_hopper.cuh",
                             "hopper.cuh",
                             "hopper_tiles.cuh",
                             "machine.cuh",
                             "mod_language.cuh",
                             "mods.cuh",
                             "params.hpp",
                             "sequence.cuh",
                             "soft_rows.cuh",
                             "tiles.cuh"})
    out.push_back(std::string("kernels/attention/device/") + device);
  return out;
}

harness::Implementation implementation(const char* name, const char* about, MaskMade made) {
  harness::Implementation out;
  out.name = name;
  out.role = harness::Role::kCandidate;
  out.device = harness::DeviceKind::kCuda;
  out.about = about;
  out.unsupported = unsupported;
  out.prepare = [made](const harness::Case& which, const harness::TensorSet& inputs,
                       harness::TensorSet& outputs, harness::CallStyle style) {
    const AttentionCase& c = attention_parameters_of(which);
    const flex::FlexAttention attention(compiler(), flex_mods_of(c), head_type_of(c), flex::current_target());
    return prepare_flex(attention, c, inputs, outputs, style, made);
  };
  out.sources = sources();
  out.target = [] { return std::pair(flex::name_of(flex::current_target()), std::string("sass")); };
  return out;
}

const harness::RegisterImplementation kKernels(kAttentionChallenge, [] {
  return implementation("kernels", "FlexAttention: mods in CUDA C++ through NVRTC", MaskMade::kOnce);
});
const harness::RegisterImplementation kKernelsAndMask(kAttentionChallenge, [] {
  return implementation("kernels_and_mask", "The same, its block mask made anew in every call",
                        MaskMade::kInEveryCall);
});

}  // namespace
}  // namespace assay::suites::compile
